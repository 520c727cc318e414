//! Walks an object along its type: drops what the type does not have, says what it dropped, refuses
//! what has the wrong shape, and writes quantities and times in their one canonical form.

use serde_json::Value;

use super::{Field, Kind, Shape, Type};
use crate::{quantity, time};

/// What the walk found.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// Paths of fields that the type does not have; they are gone.
    pub(crate) unknown: Vec<String>,
    /// The first value of a wrong shape, in the decoder's words.
    pub(crate) mismatch: Option<String>,
}

/// Prunes `value` to `ty` in place.
pub(crate) fn prune(value: &mut Value, ty: &'static Type) -> Pruned {
    let mut found = Pruned::default();
    walk_type(value, ty, &mut String::new(), &mut found);
    found
}

/// Appends to the path for the time of one call.
fn below(path: &mut String, part: &str, run: impl FnOnce(&mut String)) {
    let length = path.len();
    if length > 0 && !part.starts_with('[') {
        path.push('.');
    }
    path.push_str(part);
    run(path);
    path.truncate(length);
}

fn walk_type(value: &mut Value, ty: &'static Type, path: &mut String, found: &mut Pruned) {
    let Value::Object(map) = value else {
        mismatch(value, &go_name(ty.name), path, found);
        return;
    };
    map.retain(|key, child| {
        if ty.fields.contains_key(key.as_str()) {
            return !child.is_null();
        }
        below(path, key, |path| found.unknown.push(path.clone()));
        false
    });
    for (key, child) in map.iter_mut() {
        let field = ty.fields[key.as_str()];
        below(path, key, |path| walk_field(child, &field, path, found));
    }
}

fn walk_field(value: &mut Value, field: &Field, path: &mut String, found: &mut Pruned) {
    match (field.shape, &mut *value) {
        (Shape::One, _) => walk_kind(value, field.kind, path, found),
        (Shape::List, Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                below(path, &format!("[{index}]"), |path| walk_kind(item, field.kind, path, found));
            }
        }
        (Shape::Map, Value::Object(items)) => {
            for (key, item) in items.iter_mut() {
                below(path, key, |path| walk_kind(item, field.kind, path, found));
            }
        }
        (Shape::List, _) => mismatch(value, &format!("[]{}", go_kind(field.kind)), path, found),
        (Shape::Map, _) => mismatch(value, &format!("map[string]{}", go_kind(field.kind)), path, found),
    }
}

fn walk_kind(value: &mut Value, kind: Kind, path: &mut String, found: &mut Pruned) {
    let ok = match kind {
        Kind::Object(name) => match super::type_of(name) {
            Some(ty) => return walk_type(value, ty, path, found),
            None => true,
        },
        Kind::Any => true,
        Kind::Text | Kind::Base64 => value.is_string(),
        Kind::Int32 => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Kind::Int64 => value.as_i64().is_some(),
        Kind::Number => value.is_number(),
        Kind::Bool => value.is_boolean(),
        Kind::IntOrText => value.is_string() || value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Kind::Quantity => return canonical_quantity(value, path, found),
        Kind::Time | Kind::MicroTime => return canonical_time(value, kind == Kind::MicroTime, path, found),
    };
    if !ok {
        mismatch(value, &go_kind(kind), path, found);
    }
}

fn canonical_quantity(value: &mut Value, path: &str, found: &mut Pruned) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return mismatch(value, "resource.Quantity", path, found),
    };
    match quantity::canonical(&text) {
        Some(canonical) => *value = canonical.into(),
        None => {
            found.mismatch.get_or_insert_with(|| {
                "quantities must match the regular expression \
                 '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                    .to_owned()
            });
        }
    }
}

fn canonical_time(value: &mut Value, micro: bool, path: &str, found: &mut Pruned) {
    let Some(at) = value.as_str().and_then(time::parse_rfc3339) else {
        let shown = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
        let text = format!("parsing time {shown} as \"2006-01-02T15:04:05Z07:00\": cannot parse {shown} ({path})");
        found.mismatch.get_or_insert(text);
        return;
    };
    // A micro time may be finer than a millisecond: keep such text as it is.
    if !micro {
        *value = time::rfc3339(at).into();
    }
}

/// The words of Go's decoder, since clients and people know them.
fn mismatch(value: &Value, wanted: &str, path: &str, found: &mut Pruned) {
    let got = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() || wanted == "int32" || wanted == "int64" => {
            format!("number {number}")
        }
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    found
        .mismatch
        .get_or_insert_with(|| format!("json: cannot unmarshal {got} into Go struct field {path} of type {wanted}"));
}

fn go_kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "string",
        Kind::Base64 => "[]uint8",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Number => "float64",
        Kind::Bool => "bool",
        Kind::Quantity => "resource.Quantity",
        Kind::IntOrText => "intstr.IntOrString",
        Kind::Time | Kind::MicroTime => "v1.Time",
        Kind::Any => "runtime.RawExtension",
        Kind::Object(name) => return go_name(name),
    }
    .to_owned()
}

fn go_name(name: &str) -> String {
    let start = name.find('.').map_or(0, |dot| dot + 1);
    name[start..].to_owned()
}
