//! One kind that two groups serve: Events are stored in the core form and renamed for `events.k8s.io`.

use std::sync::Arc;

use serde_json::Value;

use crate::resource::Resource;
use crate::value::{object, remove};

/// Core name, name in `events.k8s.io/v1`.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
];

const SERVED: &str = "events.k8s.io";

/// The form in which objects of `resource` are stored.
pub(crate) fn to_stored(resource: &Resource, mut value: Value) -> Value {
    if resource.group == SERVED {
        for (core, served) in RENAMED {
            rename(&mut value, served, core);
        }
        object(&mut value).insert("apiVersion".into(), "v1".into());
    }
    value
}

/// The form in which `resource` serves a stored object.
pub(crate) fn to_served(resource: &Resource, value: &Arc<Value>) -> Arc<Value> {
    if resource.group != SERVED {
        return Arc::clone(value);
    }
    let mut served = Value::clone(value);
    for (core, name) in RENAMED {
        rename(&mut served, core, name);
    }
    object(&mut served).insert("apiVersion".into(), resource.api_version().into());
    Arc::new(served)
}

fn rename(value: &mut Value, from: &str, to: &str) {
    if let Some(field) = remove(value, &[from]) {
        object(value).insert(to.to_owned(), field);
    }
}
