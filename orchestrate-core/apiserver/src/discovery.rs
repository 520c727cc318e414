//! What the server offers, in the forms that clients ask for: group lists, resource lists, the
//! aggregated document, versions, health and OpenAPI.

use serde_json::{Value, json};

use crate::path::{Route, group_versions};
use crate::request::{Request, Response};
use crate::resource::{RESOURCES, Resource};
use crate::schema;
use crate::status::Status;

/// The Kubernetes release whose behaviour this server follows.
pub(crate) const VERSION: &str = "v1.33.0";

/// Every verb of a stored resource.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

pub(crate) fn answer(route: &Route, request: &Request) -> Result<Response, Status> {
    let aggregated = request.accept.contains("as=APIGroupDiscoveryList") && request.accept.contains("v=v2");
    Ok(match route {
        Route::Health => Response::text(200, "ok"),
        Route::Version => Response::json(200, version()),
        Route::Core if aggregated => aggregate(true),
        Route::Groups if aggregated => aggregate(false),
        Route::Core => Response::json(
            200,
            json!({ "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1" }] }),
        ),
        Route::Groups => {
            let groups: Vec<_> = groups().into_iter().filter(|g| !g.is_empty()).map(group).collect();
            Response::json(200, json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        Route::Group(name) if !name.is_empty() && groups().contains(&name.as_str()) => {
            let mut group = group(name);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            Response::json(200, group)
        }
        Route::Resources(group, version) => Response::json(200, resources(group, version)?),
        Route::OpenApiIndex => Response::json(200, openapi_index()),
        Route::OpenApi(group, version) => {
            Response::json(200, schema::document(group, version).ok_or_else(Status::no_such_path)?)
        }
        Route::OpenApiV2 => return Err(Status::not_implemented("OpenAPI v2 (use /openapi/v3)")),
        Route::Index => {
            let mut paths: Vec<String> = vec!["/api".into(), "/api/v1".into(), "/apis".into()];
            let versions = group_versions().into_iter().filter(|(group, _)| !group.is_empty());
            paths.extend(versions.flat_map(|(g, v)| [format!("/apis/{g}"), format!("/apis/{g}/{v}")]));
            paths.extend(["/healthz", "/livez", "/openapi/v3", "/readyz", "/version"].map(str::to_owned));
            Response::json(200, json!({ "paths": paths }))
        }
        Route::Group(_) | Route::Objects(_) => return Err(Status::no_such_path()),
    })
}

fn version() -> Value {
    json!({ "major": "1", "minor": "33", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "linux/amd64" })
}

fn groups() -> Vec<&'static str> {
    group_versions().into_iter().map(|(group, _)| group).collect()
}

fn group(name: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
    json!({ "name": name, "versions": [version], "preferredVersion": version })
}

/// Kind and verbs of a subresource.
fn subresource(sub: &str, row: &Resource) -> (&'static str, &'static str, &'static str, Vec<&'static str>) {
    match sub {
        "scale" => ("autoscaling", "v1", "Scale", vec!["get", "patch", "update"]),
        "binding" => ("", "v1", "Binding", vec!["create"]),
        "eviction" => ("policy", "v1", "Eviction", vec!["create"]),
        "exec" => ("", "v1", "PodExecOptions", vec!["create", "get"]),
        "attach" => ("", "v1", "PodAttachOptions", vec!["create", "get"]),
        "portforward" => ("", "v1", "PodPortForwardOptions", vec!["create", "get"]),
        "log" => ("", "v1", row.kind, vec!["get"]),
        "finalize" => ("", "v1", row.kind, vec!["update"]),
        _ => ("", "", row.kind, vec!["get", "patch", "update"]),
    }
}

fn verbs(row: &Resource) -> Vec<&'static str> {
    VERBS.into_iter().filter(|verb| *verb != "deletecollection" || row.namespaced || row.is("Node")).collect()
}

fn resources(group: &str, version: &str) -> Result<Value, Status> {
    let rows: Vec<_> = RESOURCES.iter().filter(|r| r.group == group && r.version == version).collect();
    let Some(first) = rows.first() else { return Err(Status::no_such_path()) };
    let mut out = Vec::new();
    for row in &rows {
        let mut entry = json!({ "name": row.plural, "singularName": row.singular, "namespaced": row.namespaced,
            "kind": row.kind, "verbs": verbs(row) });
        if !row.short.is_empty() {
            entry["shortNames"] = row.short.into();
        }
        if !row.categories.is_empty() {
            entry["categories"] = row.categories.into();
        }
        out.push(entry);
        for sub in row.subresources {
            let (group, version, kind, verbs) = subresource(sub, row);
            let mut entry = json!({ "name": format!("{}/{sub}", row.plural), "singularName": "",
                "namespaced": row.namespaced, "kind": kind, "verbs": verbs });
            if kind != row.kind && group != row.group {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            out.push(entry);
        }
    }
    Ok(json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": out }))
}

fn aggregate(core: bool) -> Response {
    let items: Vec<_> = groups().into_iter().filter(|group| group.is_empty() == core).map(aggregated_group).collect();
    let list = json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items });
    let mut response = Response::json(200, list);
    response.content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList".to_owned();
    response
}

fn aggregated_group(group: &str) -> Value {
    let rows: Vec<Value> = RESOURCES.iter().filter(|r| r.group == group).map(aggregated_resource).collect();
    let mut metadata = json!({ "creationTimestamp": null });
    if !group.is_empty() {
        metadata["name"] = group.into();
    }
    json!({ "metadata": metadata, "versions": [{ "version": "v1", "resources": rows, "freshness": "Current" }] })
}

fn aggregated_resource(row: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    let subresources: Vec<Value> = row
        .subresources
        .iter()
        .map(|sub| {
            let (group, version, name, verbs) = subresource(sub, row);
            let response =
                if name == row.kind { kind(row.group, row.version, name) } else { kind(group, version, name) };
            json!({ "subresource": sub, "responseKind": response, "verbs": verbs })
        })
        .collect();
    let mut out = json!({
        "resource": row.plural, "responseKind": kind(row.group, row.version, row.kind),
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular, "verbs": verbs(row),
    });
    if !row.short.is_empty() {
        out["shortNames"] = row.short.into();
    }
    if !row.categories.is_empty() {
        out["categories"] = row.categories.into();
    }
    if !subresources.is_empty() {
        out["subresources"] = subresources.into();
    }
    out
}

fn openapi_index() -> Value {
    let paths = group_versions().into_iter().map(|(group, version)| {
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        // The documents only change with the crate, so its version is their hash.
        let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
        (path, json!({ "serverRelativeURL": url }))
    });
    json!({ "paths": paths.collect::<serde_json::Map<_, _>>() })
}
