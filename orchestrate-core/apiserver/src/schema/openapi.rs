//! The schema table as an OpenAPI v3 document, so that kubectl can validate, explain and patch.

use serde_json::{Map, Value, json};

use super::{Field, Kind, Shape, Type, types};
use crate::resource::{RESOURCES, Resource};

/// The document of one group version.
pub(crate) fn document(group: &str, version: &str) -> Option<Value> {
    let rows: Vec<_> = RESOURCES.iter().filter(|r| r.group == group && r.version == version).collect();
    if rows.is_empty() {
        return None;
    }
    let mut schemas = Map::new();
    for row in &rows {
        collect(row.schema, &mut schemas);
        let kind = json!([{ "group": row.group, "version": row.version, "kind": row.kind }]);
        if let Some(schema) = schemas.get_mut(&long_name(row.schema)) {
            schema["x-kubernetes-group-version-kind"] = kind;
        }
    }
    let mut paths = Map::new();
    for row in &rows {
        add_paths(row, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": crate::discovery::VERSION },
        "paths": paths,
        "components": { "schemas": schemas },
    }))
}

fn collect(name: &'static str, out: &mut Map<String, Value>) {
    let long = long_name(name);
    let Some(ty) = types().get(name) else { return };
    if out.contains_key(&long) {
        return;
    }
    out.insert(long.clone(), Value::Null);
    out[&long] = schema(ty);
    for field in ty.fields.values() {
        if let Kind::Object(inner) = field.kind {
            collect(inner, out);
        }
    }
}

fn schema(ty: &Type) -> Value {
    let properties: Map<String, Value> = ty.fields.iter().map(|(k, f)| ((*k).to_owned(), property(f))).collect();
    let required: Vec<_> = ty.fields.iter().filter(|(_, f)| f.required).map(|(k, _)| *k).collect();
    let mut out = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn property(field: &Field) -> Value {
    let one = kind(field.kind);
    let mut out = match field.shape {
        Shape::One => one,
        Shape::List => json!({ "type": "array", "items": one }),
        Shape::Map => json!({ "type": "object", "additionalProperties": one }),
    };
    let mut strategy = Vec::new();
    if let Some(key) = field.merge_key {
        strategy.push("merge");
        if !key.is_empty() {
            out["x-kubernetes-patch-merge-key"] = key.into();
        }
    }
    if field.retain_keys {
        strategy.insert(0, "retainKeys");
    }
    if !strategy.is_empty() {
        out["x-kubernetes-patch-strategy"] = strategy.join(",").into();
    }
    match field.list_type {
        "" => {}
        plain @ ("atomic" | "set") => out["x-kubernetes-list-type"] = plain.into(),
        keys => {
            out["x-kubernetes-list-type"] = "map".into();
            out["x-kubernetes-list-map-keys"] = keys.split(',').collect();
        }
    }
    out
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Quantity => json!({ "type": "string" }),
        Kind::Base64 => json!({ "type": "string", "format": "byte" }),
        Kind::Int32 => json!({ "type": "integer", "format": "int32" }),
        Kind::Int64 => json!({ "type": "integer", "format": "int64" }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::IntOrText => json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] }),
        Kind::Time | Kind::MicroTime => json!({ "type": "string", "format": "date-time" }),
        Kind::Any => json!({ "type": "object" }),
        // A reference beside other keywords must be wrapped, so it always is.
        Kind::Object(name) => {
            json!({ "allOf": [{ "$ref": format!("#/components/schemas/{}", long_name(name)) }], "default": {} })
        }
    }
}

/// `core.v1.Pod` as the published documents call it.
fn long_name(name: &str) -> String {
    match name.split_once('.') {
        Some(("meta", _)) => format!("io.k8s.apimachinery.pkg.apis.{name}"),
        _ => format!("io.k8s.api.{name}"),
    }
}

fn add_paths(row: &Resource, out: &mut Map<String, Value>) {
    let namespace = if row.namespaced { "{namespace}" } else { "" };
    let gvk = json!({ "group": row.group, "version": row.version, "kind": row.kind });
    let operation = |action: &str, parameters: &[&str]| {
        let parameters: Vec<_> = parameters
            .iter()
            .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } }))
            .collect();
        json!({
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
            "parameters": parameters,
            "responses": { "200": { "description": "OK" } },
        })
    };
    let write = ["dryRun", "fieldManager", "fieldValidation"];
    out.insert(
        row.collection(namespace),
        json!({ "get": operation("list", &["limit", "continue", "watch"]), "post": operation("post", &write) }),
    );
    out.insert(
        row.object(namespace, "{name}"),
        json!({
            "get": operation("get", &[]),
            "put": operation("put", &write),
            "patch": operation("patch", &["dryRun", "fieldManager", "fieldValidation", "force"]),
            "delete": operation("delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
        }),
    );
}
