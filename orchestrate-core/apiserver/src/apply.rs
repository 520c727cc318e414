//! `kubectl apply` as a pure function: what to send so that a live object becomes what a manifest says.
//!
//! The manifest that was applied last travels in an annotation, so that fields which a manifest no
//! longer has are removed, and fields that others set are left alone.

use serde_json::Value;

use crate::patch::three_way;
use crate::resource::Resource;
use crate::schema::type_of;
use crate::value::{object, place, remove, set, text};

/// Where the last applied manifest is kept.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What an apply comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// Post this object.
    Create(Value),
    /// Send this strategic merge patch.
    Patch(Value),
    /// The object is already so.
    Unchanged,
}

/// Compares the manifest `wanted` with the `live` object, if there is one.
#[must_use]
pub fn plan(resource: &Resource, wanted: &Value, live: Option<&Value>) -> Applied {
    let mut manifest = wanted.clone();
    remove(&mut manifest, &["metadata", "annotations", LAST_APPLIED]);
    remove(&mut manifest, &["status"]);
    object(place(&mut manifest, &["metadata", "annotations"]));
    let text_now = format!("{}\n", sorted(&manifest));
    set(&mut manifest, &["metadata", "annotations", LAST_APPLIED], text_now);
    let Some(live) = live else { return Applied::Create(manifest) };
    let before = text(live, &["metadata", "annotations", LAST_APPLIED]);
    let before: Value = serde_json::from_str(before).unwrap_or_default();
    let mut patch = three_way(&before, &manifest, live, type_of(resource.schema));
    for identity in ["apiVersion", "kind"] {
        remove(&mut patch, &[identity]);
    }
    if is_empty(&patch) { Applied::Unchanged } else { Applied::Patch(patch) }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.values().all(is_empty))
}

/// The tree with its keys in order, as kubectl writes it.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| key.as_str());
            Value::Object(pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiServer, Config, PatchKind, Request};
    use serde_json::json;

    #[test]
    fn applying_removes_what_the_manifest_lost_and_keeps_what_others_set() {
        let mut api = ApiServer::new(Config::default());
        let maps = crate::resource::kind("ConfigMap");
        let manifest = |data: Value| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m", "namespace": "default" },
                "data": data })
        };
        let Applied::Create(new) = plan(maps, &manifest(json!({ "a": "1", "b": "2" })), None) else {
            panic!("nothing to create")
        };
        api.handle(0, &Request::post(maps.collection("default"), new)).into_result().expect("created");
        let path = maps.object("default", "m");
        let other = Request::patch(path.clone(), PatchKind::Merge, json!({ "data": { "c": "3" } }));
        let live = api.handle(0, &other).into_result().expect("patched");
        let next = manifest(json!({ "a": "9" }));
        let Applied::Patch(patch) = plan(maps, &next, Some(&live)) else { panic!("no patch") };
        let request = Request::patch(path, PatchKind::Strategic, patch);
        let live = api.handle(0, &request).into_result().expect("patched");
        assert_eq!(live["data"], json!({ "a": "9", "c": "3" }));
        assert_eq!(plan(maps, &next, Some(&live)), Applied::Unchanged);
    }
}
