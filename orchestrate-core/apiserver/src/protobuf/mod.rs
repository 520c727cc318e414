//! Bodies in protobuf, which kubectl's `create` and typed Go clients send: read into JSON trees.
//!
//! `messages.txt` is derived from the struct tags of Kubernetes 1.33: one line per message,
//! `name number:field:kind...`. A kind is a letter (`s` text, `y` bytes, `i` integer, `b` boolean,
//! `q` quantity, `x` int or text, `t` time, `m` micro time, `-` left out) or another message, after
//! `*` for a pointer, `[]` for a list, `{}` for a map. A field without a name is inlined. Fields that
//! are no pointers are always sent, so their zero values mean nothing and are dropped. Answers are
//! JSON, which every client accepts.

mod wire;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::base64;
use crate::resource::of_kind;
use crate::time::{rfc3339, rfc3339_micro};
use wire::{Field, fields};

/// How deep messages may be nested.
const MAX_DEPTH: usize = 32;
const MAGIC: &[u8] = b"k8s\0";

/// Bytes that are no message of the kind they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// One field of a message: its name and kind.
type Known = (&'static str, &'static str);

static TEXT: &str = include_str!("messages.txt");

fn messages() -> &'static BTreeMap<&'static str, BTreeMap<u64, Known>> {
    static MESSAGES: OnceLock<BTreeMap<&'static str, BTreeMap<u64, Known>>> = OnceLock::new();
    MESSAGES.get_or_init(|| TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(message).collect())
}

fn message(line: &'static str) -> Option<(&'static str, BTreeMap<u64, Known>)> {
    let (name, rest) = line.split_once(' ')?;
    let known = rest.split(' ').filter_map(|word| {
        let mut parts = word.splitn(3, ':');
        Some((parts.next()?.parse().ok()?, (parts.next()?, parts.next()?)))
    });
    Some((name, known.collect()))
}

/// The message of an object's kind.
fn message_of(api_version: &str, kind: &str) -> Option<&'static str> {
    match (api_version, kind) {
        (_, "DeleteOptions") => Some("meta.v1.DeleteOptions"),
        ("v1", "Binding") => Some("core.v1.Binding"),
        ("policy/v1", "Eviction") => Some("policy.v1.Eviction"),
        ("autoscaling/v1", "Scale") => Some("autoscaling.v1.Scale"),
        _ => of_kind(api_version, kind).map(|resource| resource.schema),
    }
}

/// Reads an object in Kubernetes' envelope.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, Malformed> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(Malformed)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in fields(envelope)? {
        match field {
            (1, Field::Bytes(meta)) => {
                for part in fields(meta)? {
                    match part {
                        (1, Field::Bytes(text)) => api_version = string(text)?,
                        (2, Field::Bytes(text)) => kind = string(text)?,
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = message_of(&api_version, &kind).ok_or(Malformed)?;
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    read(raw, name, &mut object, 0)?;
    Ok(Value::Object(object))
}

fn string(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

/// Reads a message into `out`.
fn read(bytes: &[u8], name: &str, out: &mut Map<String, Value>, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed);
    }
    let known = messages().get(name).ok_or(Malformed)?;
    for (number, field) in fields(bytes)? {
        let Some((name, kind)) = known.get(&number) else { continue };
        if name.is_empty() {
            let Field::Bytes(inner) = field else { return Err(Malformed) };
            read(inner, kind, out, depth + 1)?;
        } else if let Some(item) = kind.strip_prefix("[]") {
            let value = value(field, item, true, depth)?.unwrap_or_default();
            match out.entry(*name).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(items) => items.push(value),
                _ => return Err(Malformed),
            }
        } else if let Some(item) = kind.strip_prefix("{}") {
            let (key, value) = entry(field, item, depth)?;
            crate::value::object(out.entry(*name).or_insert(Value::Null)).insert(key, value);
        } else {
            let (kind, pointer) = kind.strip_prefix('*').map_or((*kind, false), |kind| (kind, true));
            if let Some(value) = value(field, kind, pointer, depth)? {
                out.insert((*name).to_owned(), value);
            }
        }
    }
    Ok(())
}

/// One entry of a map: a message of key and value.
fn entry(field: Field<'_>, kind: &str, depth: usize) -> Result<(String, Value), Malformed> {
    let Field::Bytes(bytes) = field else { return Err(Malformed) };
    let (mut key, mut item) = (String::new(), None);
    for part in fields(bytes)? {
        match part {
            (1, Field::Bytes(text)) => key = string(text)?,
            (2, field) => item = value(field, kind, true, depth)?,
            _ => {}
        }
    }
    Ok((key, item.unwrap_or_else(|| "".into())))
}

/// One value. `zero` says that a zero means something.
fn value(field: Field<'_>, kind: &str, zero: bool, depth: usize) -> Result<Option<Value>, Malformed> {
    Ok(match (kind, field) {
        ("-", _) => None,
        ("i", Field::Number(number)) => (zero || number != 0).then(|| number.cast_signed().into()),
        ("b", Field::Number(number)) => (zero || number != 0).then(|| (number != 0).into()),
        ("s", Field::Bytes(text)) => (zero || !text.is_empty()).then(|| string(text)).transpose()?.map(Value::from),
        ("y", Field::Bytes(bytes)) => Some(base64::encode(bytes).into()),
        ("q", Field::Bytes(inner)) => {
            let text = fields(inner)?.into_iter().find_map(|field| match field {
                (1, Field::Bytes(text)) => Some(string(text)),
                _ => None,
            });
            text.transpose()?.map(Value::from)
        }
        ("x", Field::Bytes(inner)) => int_or_text(inner, zero)?,
        ("t" | "m", Field::Bytes(inner)) => moment(inner, kind == "m")?,
        (name, Field::Bytes(inner)) => {
            let mut map = Map::new();
            read(inner, name, &mut map, depth + 1)?;
            Some(Value::Object(map))
        }
        _ => return Err(Malformed),
    })
}

fn int_or_text(bytes: &[u8], zero: bool) -> Result<Option<Value>, Malformed> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for field in fields(bytes)? {
        match field {
            (1, Field::Number(kind)) => is_text = kind == 1,
            (2, Field::Number(value)) => number = value.cast_signed(),
            (3, Field::Bytes(value)) => text = string(value)?,
            _ => {}
        }
    }
    let empty = if is_text { text.is_empty() } else { number == 0 };
    let value = if is_text { Value::from(text) } else { number.into() };
    Ok((zero || !empty).then_some(value))
}

/// A time as seconds and nanoseconds; an empty one is no time.
fn moment(bytes: &[u8], micro: bool) -> Result<Option<Value>, Malformed> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    for field in fields(bytes)? {
        match field {
            (1, Field::Number(value)) => seconds = value.cast_signed(),
            (2, Field::Number(value)) => nanos = value.cast_signed(),
            _ => {}
        }
    }
    if bytes.is_empty() || seconds.unsigned_abs() > 1 << 40 {
        return Ok(None);
    }
    let millis = seconds * 1000 + nanos.clamp(0, 999_999_999) / 1_000_000;
    Ok(Some(if micro { rfc3339_micro(millis) } else { rfc3339(millis) }.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn part(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    fn object(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [part(1, api_version.as_bytes()), part(2, kind.as_bytes())].concat();
        [MAGIC, &part(1, &meta), &part(2, raw)].concat()
    }

    #[test]
    fn a_config_map_and_its_entries() {
        let metadata = [part(1, b"m"), part(3, b""), part(8, b"")].concat();
        let data = [part(1, b"key"), part(2, b"value")].concat();
        let raw = [part(1, &metadata), part(2, &data)].concat();
        let wanted = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m" },
            "data": { "key": "value" } });
        assert_eq!(decode(&object("v1", "ConfigMap", &raw)), Ok(wanted));
    }

    #[test]
    fn every_message_is_known_and_every_field_is_in_the_schema() {
        for (name, known) in messages() {
            for (field, kind) in known.values() {
                let inner = kind.trim_start_matches(['*', '[', ']', '{', '}']);
                assert!(inner.len() == 1 || messages().contains_key(inner), "{name} names {inner}");
                let typed = crate::schema::type_of(name);
                assert!(
                    field.is_empty() || typed.is_none_or(|ty| ty.fields.contains_key(field)),
                    "{name}.{field} is not in the schema"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
            let _ = decode(&object("v1", "Pod", &bytes));
        }
    }
}
