//! Rows of the apps group.

use serde_json::Value;

use super::{age, name};
use crate::selector::to_query;
use crate::time::Millis;
use crate::value::{at, int, list, text};

fn wide(object: &Value) -> [Value; 3] {
    let containers = list(object, &["spec", "template", "spec", "containers"]);
    let joined = |field: &str| {
        let all: Vec<_> = containers.iter().map(|c| text(c, &[field])).collect();
        Value::from(all.join(","))
    };
    let selector = to_query(at(object, &["spec", "selector"]).unwrap_or(&Value::Null));
    [joined("name"), joined("image"), selector.into()]
}

pub(super) fn deployment(object: &Value, now: Millis) -> Vec<Value> {
    let status = |field: &str| int(object, &["status", field]);
    let mut cells = vec![
        name(object),
        format!("{}/{}", status("readyReplicas"), int(object, &["spec", "replicas"])).into(),
        status("updatedReplicas").into(),
        status("availableReplicas").into(),
        age(object, now),
    ];
    cells.extend(wide(object));
    cells
}

pub(super) fn replica_set(object: &Value, now: Millis) -> Vec<Value> {
    let mut cells = vec![
        name(object),
        int(object, &["spec", "replicas"]).into(),
        int(object, &["status", "replicas"]).into(),
        int(object, &["status", "readyReplicas"]).into(),
        age(object, now),
    ];
    cells.extend(wide(object));
    cells
}
