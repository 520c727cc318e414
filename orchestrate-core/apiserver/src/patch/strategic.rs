//! Strategic merge patch: lists of objects are merged by the key that the schema names.
//!
//! Directives: `$patch: replace|delete|merge`, `$retainKeys`, `$setElementOrder/FIELD` and
//! `$deleteFromPrimitiveList/FIELD`. The client's three-way patch is made here too, so that both
//! directions of the language are in one place.

use serde_json::{Map, Value};

use super::Refusal;
use crate::schema::{Field, Shape, Type};
use crate::value::object;

const ORDER: &str = "$setElementOrder/";
const UNLIST: &str = "$deleteFromPrimitiveList/";

/// Lays `change` over `target`, an object of type `ty` (or of unknown type: lists are replaced).
pub(super) fn apply(target: &mut Value, change: &Value, ty: Option<&'static Type>) -> Result<(), Refusal> {
    let Value::Object(fields) = change else {
        *target = change.clone();
        return Ok(());
    };
    match fields.get("$patch").and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => {
            let kept = fields.iter().filter(|(key, _)| *key != "$patch");
            *target = Value::Object(kept.map(|(k, v)| (k.clone(), v.clone())).collect());
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some(other) => return Err(Refusal::Malformed(format!("Unknown patch type found in patch: {other}"))),
    }
    if let Some(Value::Array(keep)) = fields.get("$retainKeys") {
        object(target).retain(|key, _| keep.iter().any(|k| k == key));
    }
    for (key, value) in fields {
        if key.starts_with('$') && !key.starts_with(UNLIST) {
            continue;
        }
        let name = key.strip_prefix(UNLIST).unwrap_or(key);
        let field = ty.and_then(|ty| ty.fields.get(name));
        if name != key {
            unlist(target, name, value);
        } else if value.is_null() {
            object(target).shift_remove(key);
        } else {
            let place = object(target).entry(key.as_str()).or_insert(Value::Null);
            apply_field(place, value, field, ty)?;
        }
    }
    reorder(target, fields, ty);
    Ok(())
}

fn apply_field(
    place: &mut Value,
    value: &Value,
    field: Option<&Field>,
    ty: Option<&'static Type>,
) -> Result<(), Refusal> {
    let Some(field) = field else { return apply(place, value, None) };
    match (field.shape, field.merge_key, value) {
        (Shape::One, _, _) => apply(place, value, field.inner()),
        (Shape::Map, _, _) => {
            let Value::Object(entries) = value else { return apply(place, value, None) };
            if entries.get("$patch").is_some() || field.inner().is_none() {
                return apply(place, value, None);
            }
            for (key, entry) in entries {
                if entry.is_null() {
                    object(place).shift_remove(key);
                } else {
                    apply(object(place).entry(key.as_str()).or_insert(Value::Null), entry, field.inner())?;
                }
            }
            Ok(())
        }
        (Shape::List, Some(""), Value::Array(added)) => {
            let items = list(place);
            added.iter().for_each(|item| {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            });
            Ok(())
        }
        (Shape::List, Some(key), Value::Array(changes)) => merge_list(list(place), changes, key, field.inner()),
        (Shape::List, _, Value::Array(items)) => {
            *place = Value::Array(items.iter().filter(|item| item.get("$patch").is_none()).cloned().collect());
            Ok(())
        }
        (Shape::List, ..) => {
            let owner = ty.map_or("", |ty| ty.name);
            Err(Refusal::Malformed(format!("invalid patch: a list is expected in {owner}")))
        }
    }
}

fn list(place: &mut Value) -> &mut Vec<Value> {
    if !place.is_array() {
        *place = Value::Array(Vec::new());
    }
    match place {
        Value::Array(items) => items,
        _ => unreachable!("made a list above"),
    }
}

fn merge_list(
    items: &mut Vec<Value>,
    changes: &[Value],
    key: &str,
    inner: Option<&'static Type>,
) -> Result<(), Refusal> {
    let directive = |change: &Value| change.get("$patch").and_then(Value::as_str).map(str::to_owned);
    if changes.iter().any(|change| directive(change).as_deref() == Some("replace") && change.get(key).is_none()) {
        items.clear();
    }
    for change in changes {
        let Some(wanted) = change.get(key) else {
            if directive(change).is_some() {
                continue;
            }
            let shown = serde_json::to_string(change).unwrap_or_default();
            return Err(Refusal::Malformed(format!("map: {shown} does not contain declared merge key: {key}")));
        };
        let found = items.iter().position(|item| item.get(key) == Some(wanted));
        match (directive(change).as_deref(), found) {
            (Some("delete"), Some(at)) => drop(items.remove(at)),
            (Some("delete"), None) => {}
            (_, Some(at)) => apply(&mut items[at], change, inner)?,
            (_, None) => {
                let mut item = Value::Object(Map::new());
                apply(&mut item, change, inner)?;
                items.push(item);
            }
        }
    }
    Ok(())
}

fn unlist(target: &mut Value, name: &str, gone: &Value) {
    if let (Some(Value::Array(items)), Value::Array(gone)) = (target.get_mut(name), gone) {
        items.retain(|item| !gone.contains(item));
    }
}

/// Puts lists into the order that the patch names; items it does not name keep their neighbours.
fn reorder(target: &mut Value, fields: &Map<String, Value>, ty: Option<&'static Type>) {
    for (directive, order) in fields {
        let (Some(name), Value::Array(order)) = (directive.strip_prefix(ORDER), order) else { continue };
        let key = ty.and_then(|ty| ty.fields.get(name)).and_then(|field| field.merge_key).unwrap_or("");
        let Some(Value::Array(items)) = target.get_mut(name) else { continue };
        let identity = |item: &Value| if key.is_empty() { item.clone() } else { item[key].clone() };
        let wanted: Vec<Value> = order.iter().map(identity).collect();
        let rank = |item: &Value| wanted.iter().position(|w| *w == identity(item));
        let mut named: Vec<Value> = items.iter().filter(|item| rank(item).is_some()).cloned().collect();
        named.sort_by_key(&rank);
        let mut named = named.into_iter();
        for item in items.iter_mut() {
            if rank(item).is_some()
                && let Some(next) = named.next()
            {
                *item = next;
            }
        }
    }
}

/// Server-side apply without ownership: what the configuration names is set, lists that are maps
/// are merged by their keys, sets are united, atomic lists are replaced.
pub(super) fn apply_configuration(target: &mut Value, config: &Value, ty: Option<&'static Type>) {
    let (Value::Object(fields), Some(ty)) = (config, ty) else {
        *target = config.clone();
        return;
    };
    for (key, value) in fields {
        let place = object(target).entry(key.as_str()).or_insert(Value::Null);
        match ty.fields.get(key.as_str()) {
            Some(field) => apply_configured(place, value, field),
            None => *place = value.clone(),
        }
    }
}

fn apply_configured(place: &mut Value, value: &Value, field: &Field) {
    match (field.shape, value, field.list_type) {
        (Shape::One, Value::Object(_), _) => apply_configuration(place, value, field.inner()),
        (Shape::Map, Value::Object(entries), _) => {
            entries.iter().for_each(|(key, entry)| drop(object(place).insert(key.clone(), entry.clone())));
        }
        (Shape::List, Value::Array(added), "set") => {
            let items = list(place);
            added.iter().for_each(|item| {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            });
        }
        (Shape::List, Value::Array(added), keys) if !matches!(keys, "" | "atomic") => {
            let items = list(place);
            for item in added {
                let same = |other: &Value| keys.split(',').all(|key| same_key(other, item, key));
                match items.iter_mut().find(|other| same(other)) {
                    Some(found) => apply_configuration(found, item, field.inner()),
                    None => items.push(item.clone()),
                }
            }
        }
        _ => *place = value.clone(),
    }
}

/// Keys that may be left out have a default that counts.
fn same_key(a: &Value, b: &Value, key: &str) -> bool {
    let default = if key == "protocol" { Value::from("TCP") } else { Value::Null };
    a.get(key).unwrap_or(&default) == b.get(key).unwrap_or(&default)
}

/// The patch of a client-side apply: adds and changes what `wanted` says against `live`, removes what
/// `before` had and `wanted` lacks.
pub(crate) fn three_way(before: &Value, wanted: &Value, live: &Value, ty: Option<&'static Type>) -> Value {
    let mut patch = Map::new();
    let (Value::Object(wanted), empty) = (wanted, Map::new()) else { return wanted.clone() };
    let before = before.as_object().unwrap_or(&empty);
    let live = live.as_object().unwrap_or(&empty);
    for key in before.keys().filter(|key| !wanted.contains_key(*key) && live.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in wanted {
        let field = ty.and_then(|ty| ty.fields.get(key.as_str()));
        let (old, now) = (before.get(key).unwrap_or(&Value::Null), live.get(key).unwrap_or(&Value::Null));
        let change = three_way_field(old, value, now, field);
        let nothing = change.as_object().is_some_and(Map::is_empty) || change.as_array().is_some_and(Vec::is_empty);
        let same = nothing && (now.is_object() || now.is_array());
        if value != now && !same {
            patch.insert(key.clone(), change);
        }
    }
    Value::Object(patch)
}

fn three_way_field(before: &Value, wanted: &Value, live: &Value, field: Option<&Field>) -> Value {
    let key = field.and_then(|field| field.merge_key).filter(|key| !key.is_empty());
    match (wanted, live) {
        (Value::Object(_), Value::Object(_)) => three_way(before, wanted, live, field.and_then(Field::inner)),
        (Value::Array(items), Value::Array(there)) if key.is_some() => {
            let key = key.unwrap_or_default();
            let by_key = |list: &[Value], id: &Value| list.iter().find(|item| item.get(key) == Some(id)).cloned();
            let earlier = before.as_array().map_or(&[][..], Vec::as_slice);
            let mut out = Vec::new();
            for item in earlier.iter().filter_map(|item| item.get(key)) {
                if by_key(items, item).is_none() && by_key(there, item).is_some() {
                    out.push(serde_json::json!({ "$patch": "delete", key: item }));
                }
            }
            for item in items {
                let id = item.get(key).cloned().unwrap_or_default();
                let old = by_key(earlier, &id).unwrap_or_default();
                match by_key(there, &id) {
                    Some(now) => {
                        let mut change = three_way(&old, item, &now, field.and_then(Field::inner));
                        if change.as_object().is_some_and(|map| !map.is_empty()) {
                            object(&mut change).insert(key.to_owned(), id);
                            out.push(change);
                        }
                    }
                    None => out.push(item.clone()),
                }
            }
            Value::Array(out)
        }
        _ => wanted.clone(),
    }
}
