//! Names, labels, annotations, and the kinds that are little more than metadata and data.

use serde_json::Value;

use crate::base64;
use crate::resource::{Naming, Resource};
use crate::status::Problem;
use crate::value::{at, flag, int, list, map, text};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
    'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
/// Sum of all values of a ConfigMap or Secret, and of all annotations' keys and values.
const MAX_DATA: usize = 1 << 20;
const MAX_ANNOTATIONS: usize = 256 << 10;

fn lower_word(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !text.is_empty() && text.bytes().all(|b| fine(b) || b == b'-') && !text.starts_with('-') && !text.ends_with('-')
}

/// What is wrong with a name of one word, if anything.
pub(super) fn label_name(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    (!lower_word(text)).then(|| LABEL.to_owned())
}

fn name_problem(naming: Naming, name: &str) -> Option<String> {
    match naming {
        Naming::Label => label_name(name),
        Naming::Label1035 if name.len() > 63 => Some("must be no more than 63 characters".to_owned()),
        Naming::Label1035 => {
            let fine = lower_word(name) && name.starts_with(|c: char| c.is_ascii_lowercase());
            (!fine).then(|| LABEL_1035.to_owned())
        }
        Naming::Subdomain => subdomain(name),
    }
}

/// What is wrong with a dotted name, if anything.
pub(super) fn subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 characters".to_owned());
    }
    (!name.split('.').all(lower_word)).then(|| SUBDOMAIN.to_owned())
}

fn mixed_word(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// What is wrong with the key of a label, annotation or taint.
pub(super) fn qualified_key(key: &str) -> Option<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    if let Some(prefix) = prefix
        && let Some(problem) = subdomain(prefix)
    {
        return Some(format!("prefix part {problem}"));
    }
    match name.len() {
        0 => Some("name part must be non-empty".to_owned()),
        64.. => Some("name part must be no more than 63 characters".to_owned()),
        _ if !mixed_word(name) => Some(KEY.to_owned()),
        _ => None,
    }
}

/// What is wrong with a label's value.
pub(super) fn label_value(value: &str) -> Option<String> {
    match value.len() {
        0 => None,
        64.. => Some("must be no more than 63 characters".to_owned()),
        _ => (!mixed_word(value)).then(|| LABEL_VALUE.to_owned()),
    }
}

/// Checks a map of labels at `path`.
pub(super) fn labels(labels: Option<&Value>, path: &str, out: &mut Vec<Problem>) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        if let Some(problem) = qualified_key(key) {
            out.push(Problem::invalid(path, &key.as_str().into(), &problem));
        }
        if let Some(problem) = label_value(value.as_str().unwrap_or("")) {
            out.push(Problem::invalid(path, value, &problem));
        }
    }
}

/// Checks the metadata of an object.
pub(super) fn check(resource: &Resource, object: &Value, out: &mut Vec<Problem>) {
    let name = text(object, &["metadata", "name"]);
    if name.is_empty() {
        out.push(Problem::required("metadata.name", "name or generateName is required"));
    } else if let Some(problem) = name_problem(resource.naming, name) {
        out.push(Problem::invalid("metadata.name", &name.into(), &problem));
    }
    labels(at(object, &["metadata", "labels"]), "metadata.labels", out);
    let annotations = map(object, &["metadata", "annotations"]);
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Some(problem) = qualified_key(&key.to_lowercase()) {
            out.push(Problem::invalid("metadata.annotations", &key.as_str().into(), &problem));
        }
    }
    if size > MAX_ANNOTATIONS {
        out.push(Problem::too_long("metadata.annotations", MAX_ANNOTATIONS));
    }
    owners(object, out);
}

fn owners(object: &Value, out: &mut Vec<Problem>) {
    let mut controllers = 0;
    for (index, owner) in list(object, &["metadata", "ownerReferences"]).iter().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, &[field]).is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                out.push(Problem::required(path, "must not be empty"));
            }
        }
        controllers += i32::from(flag(owner, &["controller"]));
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true";
        out.push(Problem::invalid("metadata.ownerReferences", &object["metadata"]["ownerReferences"], why));
    }
}

/// Checks the data of a ConfigMap or Secret.
pub(super) fn data(resource: &Resource, object: &Value, out: &mut Vec<Problem>) {
    let mut size = 0;
    for field in ["data", "binaryData"] {
        let encoded = resource.is("Secret") || field == "binaryData";
        for (key, value) in map(object, &[field]).into_iter().flatten() {
            let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if key.is_empty() || key.len() > 253 || !key.chars().all(fine) || key == "." || key == ".." {
                out.push(Problem::invalid(format!("{field}[{key}]"), &key.as_str().into(), CONFIG_KEY));
            }
            let value_text = value.as_str().unwrap_or("");
            size += value_text.len();
            if encoded && base64::decode(value_text).is_none() {
                out.push(Problem::invalid(format!("{field}[{key}]"), value, "illegal base64 data"));
            }
        }
    }
    if size > MAX_DATA {
        let path = if resource.is("Secret") { "data" } else { "" };
        out.push(Problem::too_long(path, MAX_DATA));
    }
}

/// An object that says it is immutable stays as it is; a Secret keeps its type.
pub(super) fn update_data(resource: &Resource, old: &Value, new: &Value, out: &mut Vec<Problem>) {
    if resource.is("Secret") {
        immutable(old, new, &["type"], out);
    }
    if !flag(old, &["immutable"]) {
        return;
    }
    if !flag(new, &["immutable"]) {
        out.push(Problem::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in ["data", "binaryData"] {
        if old.get(field) != new.get(field) {
            out.push(Problem::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}

/// The field may not change.
pub(super) fn immutable(old: &Value, new: &Value, path: &[&str], out: &mut Vec<Problem>) {
    let value = at(new, path);
    if at(old, path) != value {
        out.push(Problem::invalid(path.join("."), value.unwrap_or(&Value::Null), "field is immutable"));
    }
}

/// Checks a lease.
pub(super) fn lease(object: &Value, out: &mut Vec<Problem>) {
    if let Some(value) = at(object, &["spec", "leaseDurationSeconds"])
        && int(object, &["spec", "leaseDurationSeconds"]) <= 0
    {
        out.push(Problem::invalid("spec.leaseDurationSeconds", value, "must be greater than 0"));
    }
}
