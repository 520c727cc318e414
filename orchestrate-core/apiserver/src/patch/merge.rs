//! RFC 7386: a tree laid over another, in which null removes.

use serde_json::Value;

use crate::value::object;

/// Lays `change` over `target`.
pub(super) fn apply(target: &mut Value, change: &Value) {
    let Value::Object(fields) = change else {
        *target = change.clone();
        return;
    };
    let map = object(target);
    for (key, value) in fields {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            apply(map.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}
