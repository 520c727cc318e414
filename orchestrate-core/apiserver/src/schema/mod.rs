//! What fields the kinds have, as data.
//!
//! `types.txt` is derived from the OpenAPI v3 documents that Kubernetes 1.33 publishes: one line per
//! type, `name field=kind...`. A kind is a letter (`s` text, `y` base64, `i` int32, `l` int64,
//! `n` number, `b` boolean, `q` quantity, `x` int or text, `t` time, `m` micro time, `o` anything)
//! or the name of another type, after `[]` for a list or `{}` for a map. Then follow `~key` (a
//! strategic merge patch merges the list by that key; by value when empty), `%` (keys that the patch
//! does not name are dropped), `@keys` (server-side apply: `atomic`, `set`, or keys of a map) and
//! `!` (required). Absent on purpose: rules beyond shape; they are in [`crate::validate`].

mod openapi;
mod prune;

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub(crate) use openapi::document;
pub(crate) use prune::prune;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Base64,
    Int32,
    Int64,
    Number,
    Bool,
    Quantity,
    IntOrText,
    Time,
    MicroTime,
    Any,
    Object(&'static str),
}

/// How a field's values repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    List,
    Map,
}

/// One field of a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
    /// Strategic merge patch: key to merge list items by; empty means by value.
    pub(crate) merge_key: Option<&'static str>,
    pub(crate) retain_keys: bool,
    pub(crate) list_type: &'static str,
    pub(crate) required: bool,
}

impl Field {
    /// The type of this field's object, list items or map values, if they are objects of a type.
    pub(crate) fn inner(&self) -> Option<&'static Type> {
        match self.kind {
            Kind::Object(name) => type_of(name),
            _ => None,
        }
    }
}

/// The fields of one type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) fields: BTreeMap<&'static str, Field>,
}

static TEXT: &str = include_str!("types.txt");

/// Every type of the table, read once.
pub(crate) fn types() -> &'static BTreeMap<&'static str, Type> {
    static TYPES: OnceLock<BTreeMap<&'static str, Type>> = OnceLock::new();
    TYPES.get_or_init(|| TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(read_type).collect())
}

/// The type of that name.
pub(crate) fn type_of(name: &str) -> Option<&'static Type> {
    types().get(name)
}

fn read_type(line: &'static str) -> Option<(&'static str, Type)> {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let name = words.next()?;
    let fields = words.filter_map(|word| word.split_once('=')).map(|(field, rest)| (field, read_field(rest))).collect();
    Some((name, Type { name, fields }))
}

fn read_field(text: &'static str) -> Field {
    let (text, required) = text.strip_suffix('!').map_or((text, false), |t| (t, true));
    let (text, list_type) = text.split_once('@').unwrap_or((text, ""));
    let (text, retain_keys) = text.strip_suffix('%').map_or((text, false), |t| (t, true));
    let (text, merge_key) = text.split_once('~').map_or((text, None), |(t, key)| (t, Some(key)));
    let (shape, text) = match (text.strip_prefix("[]"), text.strip_prefix("{}")) {
        (Some(item), _) => (Shape::List, item),
        (_, Some(item)) => (Shape::Map, item),
        _ => (Shape::One, text),
    };
    let kind = match text {
        "s" => Kind::Text,
        "y" => Kind::Base64,
        "i" => Kind::Int32,
        "l" => Kind::Int64,
        "n" => Kind::Number,
        "b" => Kind::Bool,
        "q" => Kind::Quantity,
        "x" => Kind::IntOrText,
        "t" => Kind::Time,
        "m" => Kind::MicroTime,
        "o" => Kind::Any,
        name => Kind::Object(name),
    };
    Field { shape, kind, merge_key, retain_keys, list_type, required }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_closed_and_knows_merge_keys() {
        for (name, ty) in types() {
            for (field, def) in &ty.fields {
                if let Kind::Object(inner) = def.kind {
                    assert!(type_of(inner).is_some(), "{name}.{field} names {inner}, which is not in the table");
                }
            }
        }
        let pod = type_of("core.v1.PodSpec").expect("in the table");
        assert_eq!(pod.fields["containers"].merge_key, Some("name"));
        assert!(pod.fields["containers"].required && pod.fields["volumes"].retain_keys);
        assert_eq!(pod.fields["tolerations"].merge_key, None);
        assert_eq!(type_of("meta.v1.ObjectMeta").map(|t| t.fields["finalizers"].merge_key), Some(Some("")));
    }
}
