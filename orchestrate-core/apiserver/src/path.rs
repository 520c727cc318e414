//! Paths of the API: from text to what they name.

use crate::resource::{RESOURCES, Resource, find};
use crate::status::Status;

/// What a path names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Route {
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/version`.
    Version,
    /// `/`.
    Index,
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    Resources(String, String),
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/...`.
    OpenApi(String, String),
    /// `/openapi/v2`.
    OpenApiV2,
    /// Objects, one object, or a part of one.
    Objects(Target),
}

/// The objects that a path names.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: &'static Resource,
    /// Empty: cluster scope, or all namespaces.
    pub(crate) namespace: String,
    /// Empty: the collection.
    pub(crate) name: String,
    /// Empty: the object itself.
    pub(crate) subresource: String,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.resource, other.resource)
            && (&self.namespace, &self.name, &self.subresource) == (&other.namespace, &other.name, &other.subresource)
    }
}

/// Reads a path.
pub(crate) fn route(path: &str) -> Result<Route, Status> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Ok(match parts.as_slice() {
        [] => Route::Index,
        ["healthz" | "livez" | "readyz", ..] => Route::Health,
        ["version"] => Route::Version,
        ["api"] => Route::Core,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group((*group).to_owned()),
        ["api", version] => Route::Resources(String::new(), (*version).to_owned()),
        ["apis", group, version] => Route::Resources((*group).to_owned(), (*version).to_owned()),
        ["openapi", "v3"] => Route::OpenApiIndex,
        ["openapi", "v3", "api", version] => Route::OpenApi(String::new(), (*version).to_owned()),
        ["openapi", "v3", "apis", group, version] => Route::OpenApi((*group).to_owned(), (*version).to_owned()),
        ["openapi", "v2"] => Route::OpenApiV2,
        ["api", version, rest @ ..] => objects("", version, rest)?,
        ["apis", group, version, rest @ ..] => objects(group, version, rest)?,
        _ => return Err(Status::no_such_path()),
    })
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Result<Route, Status> {
    let (namespace, plural, rest) = match rest {
        // `/namespaces/x` and its subresources are the namespace itself, not something in it.
        ["namespaces", _name] => ("", "namespaces", &rest[1..]),
        ["namespaces", _name, sub] if crate::resource::kind("Namespace").has(sub) => ("", "namespaces", &rest[1..]),
        ["namespaces", namespace, plural, tail @ ..] => (*namespace, *plural, tail),
        [plural, tail @ ..] => ("", *plural, tail),
        [] => return Err(Status::no_such_path()),
    };
    let resource = find(group, version, plural).ok_or_else(Status::no_such_path)?;
    let (name, subresource) = match rest {
        [] => ("", ""),
        [name] => (*name, ""),
        [name, sub] if resource.has(sub) => (*name, *sub),
        _ => return Err(Status::no_such_path()),
    };
    let misplaced = if resource.namespaced { namespace.is_empty() && !name.is_empty() } else { !namespace.is_empty() };
    if misplaced {
        return Err(Status::no_such_path());
    }
    Ok(Route::Objects(Target {
        resource,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
    }))
}

/// Group versions in the order of discovery.
pub(crate) fn group_versions() -> Vec<(&'static str, &'static str)> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for row in &RESOURCES {
        if !seen.contains(&(row.group, row.version)) {
            seen.push((row.group, row.version));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> (String, String, String, String) {
        match route(path) {
            Ok(Route::Objects(t)) => (t.resource.plural.to_owned(), t.namespace, t.name, t.subresource),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_name_objects() {
        let own = |a: &str, b: &str, c: &str, d: &str| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned());
        assert_eq!(target("/api/v1/pods"), own("pods", "", "", ""));
        assert_eq!(target("/api/v1/namespaces/a/pods/b/log"), own("pods", "a", "b", "log"));
        assert_eq!(target("/api/v1/namespaces/a"), own("namespaces", "", "a", ""));
        assert_eq!(target("/api/v1/namespaces/a/finalize"), own("namespaces", "", "a", "finalize"));
        assert_eq!(target("/apis/apps/v1/namespaces/a/deployments/b/scale"), own("deployments", "a", "b", "scale"));
        for bad in ["/api/v1/pods/x", "/api/v2/pods", "/apis/apps/v1/pods", "/nope", "/api/v1/namespaces/a/nodes"] {
            assert_eq!(route(bad), Err(Status::no_such_path()), "{bad}");
        }
    }
}
