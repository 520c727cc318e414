//! Doors for specifications that were made elsewhere.

use serde_json::Value;

use super::Spec;
use crate::{Error, Result};

impl Spec {
    /// Reads a `config.json`. The second value names every field that this crate does not know, as paths such as
    /// `linux.intelRdt`; whoever asks for enforcement must look at it.
    ///
    /// # Errors
    /// `Malformed` for a text that is no specification.
    pub fn from_json(text: &str) -> Result<(Self, Vec<String>)> {
        let given: Value = serde_json::from_str(text).map_err(|source| Error::Malformed { source })?;
        let spec: Self = serde_json::from_value(given.clone()).map_err(|source| Error::Malformed { source })?;
        let understood = serde_json::to_value(&spec).map_err(|source| Error::Malformed { source })?;
        let mut unknown = Vec::new();
        compare(&given, &understood, "", &mut unknown);
        Ok((spec, unknown))
    }

    /// Writes the specification as a `config.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Lists what was given and did not come back. Empty values say nothing and are passed over.
fn compare(given: &Value, understood: &Value, path: &str, unknown: &mut Vec<String>) {
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match understood.get(key) {
                    Some(other) => compare(value, other, &path, unknown),
                    None if says_nothing(value) => {}
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(understood)) => {
            for (index, (value, other)) in given.iter().zip(understood).enumerate() {
                compare(value, other, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Bool(_) | Value::String(_) => false,
    }
}

/// The crate of the field for this format. Its maps are unordered and it drops what it does not know.
impl From<oci_spec::runtime::Spec> for Spec {
    fn from(spec: oci_spec::runtime::Spec) -> Self {
        serde_json::to_value(spec).and_then(serde_json::from_value).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Spec;

    #[test]
    fn unknown_fields_are_named_and_empty_ones_are_not() {
        let text = r#"{"ociVersion":"1.2.0","process":{"args":["a"],"cwd":"/","odd":1,"ioPriority":null},
            "linux":{"intelRdt":{"closID":"x"},"mountLabel":null,"namespaces":[{"type":"pid"}]},"vm":{}}"#;
        let (spec, unknown) = Spec::from_json(text).unwrap();
        assert_eq!(spec.process.args, ["a"]);
        assert_eq!(unknown, ["process.odd", "linux.intelRdt"]);
    }

    #[test]
    fn the_fields_crate_comes_in() {
        let spec = Spec::from(oci_spec::runtime::Spec::default());
        assert_eq!(spec.process.args, ["sh"]);
        assert!(spec.linux.namespaces.iter().any(|namespace| namespace.kind == crate::NamespaceKind::Mount));
    }

    #[test]
    fn our_own_survives_the_round_trip() {
        let spec = Spec::container(["sh"]);
        let (back, unknown) = Spec::from_json(&spec.to_json()).unwrap();
        assert_eq!((back, unknown), (spec, vec![]));
    }
}
