//! Reading and writing inside JSON trees by path, in one line each.

use serde_json::{Map, Value};

/// The value at `path`, when every step of it is an object that has the key.
pub(crate) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |here, key| here.get(*key))
}

/// The text at `path`; empty when absent or no text.
pub(crate) fn text<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    at(value, path).and_then(Value::as_str).unwrap_or("")
}

/// The integer at `path`, 0 when absent.
pub(crate) fn int(value: &Value, path: &[&str]) -> i64 {
    at(value, path).and_then(Value::as_i64).unwrap_or(0)
}

/// The boolean at `path`, false when absent.
pub(crate) fn flag(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at `path`, empty when absent.
pub(crate) fn list<'v>(value: &'v Value, path: &[&str]) -> &'v [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The object at `path`, if there is one.
pub(crate) fn map<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Map<String, Value>> {
    at(value, path).and_then(Value::as_object)
}

/// Makes `value` an object (an empty one if it was none) and returns it.
pub(crate) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

/// The place at `path`, making objects on the way.
pub(crate) fn place<'v>(value: &'v mut Value, path: &[&str]) -> &'v mut Value {
    path.iter().fold(value, |here, key| object(here).entry(*key).or_insert(Value::Null))
}

/// Writes `new` at `path`, making objects on the way.
pub(crate) fn set(value: &mut Value, path: &[&str], new: impl Into<Value>) {
    *place(value, path) = new.into();
}

/// Removes the value at `path`, keeping the order of its siblings.
pub(crate) fn remove(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, front) = path.split_last()?;
    let parent = front.iter().try_fold(value, |here, key| here.get_mut(*key))?;
    parent.as_object_mut()?.shift_remove(*last)
}

/// Moves the value of `path` out of `from` into `to`; what `from` lacks is removed from `to`.
pub(crate) fn carry(from: &Value, to: &mut Value, path: &[&str]) {
    match at(from, path) {
        Some(value) => set(to, path, value.clone()),
        None => drop(remove(to, path)),
    }
}
