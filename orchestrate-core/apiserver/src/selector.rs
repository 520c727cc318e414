//! Label and field selectors of list, watch and deletecollection.

use serde_json::{Map, Value};

use crate::resource::Resource;
use crate::status::Status;
use crate::value::{at, text};

/// One condition on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    Above(i64),
    Below(i64),
}

/// Conditions on labels and fields, all of which must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<(String, Test)>,
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    /// Reads both selectors of a request.
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Status> {
        Ok(Self {
            labels: parse_labels(labels).map_err(Status::bad_request)?,
            fields: parse_fields(resource, labels, fields)?,
        })
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = at(object, &["metadata", "labels"]).and_then(Value::as_object);
        self.labels.iter().all(|(key, test)| holds(labels, key, test))
            && self.fields.iter().all(|(path, equal, value)| (field(object, path) == *value) == *equal)
    }
}

fn holds(labels: Option<&Map<String, Value>>, key: &str, test: &Test) -> bool {
    let value = labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let number = || value.and_then(|v| v.parse::<i64>().ok());
    match test {
        Test::In(values) => value.is_some_and(|v| values.iter().any(|w| w == v)),
        Test::NotIn(values) => value.is_none_or(|v| values.iter().all(|w| w != v)),
        Test::Exists => value.is_some(),
        Test::Missing => value.is_none(),
        Test::Above(bound) => number().is_some_and(|n| n > *bound),
        Test::Below(bound) => number().is_some_and(|n| n < *bound),
    }
}

/// The text of a field as field selectors see it.
fn field(object: &Value, path: &str) -> String {
    if path == "source" {
        let component = text(object, &["source", "component"]);
        return if component.is_empty() { text(object, &["reportingComponent"]) } else { component }.to_owned();
    }
    let steps: Vec<&str> = path.split('.').collect();
    match at(object, &steps) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ if matches!(path, "spec.hostNetwork" | "spec.unschedulable") => "false".to_owned(),
        _ => String::new(),
    }
}

fn parse_fields(resource: &Resource, labels: &str, text: &str) -> Result<Vec<(String, bool, String)>, Status> {
    let mut out = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (path, equal, value) = if let Some((path, value)) = part.split_once("!=") {
            (path, false, value)
        } else if let Some((path, value)) = part.split_once("==") {
            (path, true, value)
        } else if let Some((path, value)) = part.split_once('=') {
            (path, true, value)
        } else {
            let why = format!("invalid selector: '{text}'; can't understand '{part}'");
            return Err(Status::bad_request(why));
        };
        let path = path.trim();
        let known = path == "metadata.name" || path == "metadata.namespace" || resource.fields.contains(&path);
        if !known {
            let kind = format!("{}, Resource={}", version_path(resource), resource.plural);
            return Err(Status::bad_request(format!(
                "Unable to find \"{kind}\" that match label selector \"{labels}\", field selector \"{text}\": \
                 field label not supported: {path}"
            )));
        }
        out.push((stored_path(resource, path), equal, value.to_owned()));
    }
    Ok(out)
}

fn version_path(resource: &Resource) -> String {
    format!("{}/{}", resource.group, resource.version)
}

/// Events of both groups are stored in the core form.
fn stored_path(resource: &Resource, path: &str) -> String {
    if resource.group != "events.k8s.io" {
        return path.to_owned();
    }
    path.replace("regarding", "involvedObject").replace("reportingController", "reportingComponent")
}

/// Splits at commas that are outside parentheses.
fn terms(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0_usize, 0, Vec::new());
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                out.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

fn parse_labels(text: &str) -> Result<Vec<(String, Test)>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    terms(text).into_iter().map(|term| parse_label(term.trim())).collect()
}

fn parse_label(term: &str) -> Result<(String, Test), String> {
    let bad = || format!("unable to parse requirement: found '{term}', expected: a label requirement");
    let (key, test) = if let Some(key) = term.strip_prefix('!') {
        (key, Test::Missing)
    } else if let Some((key, value)) = term.split_once("!=") {
        (key, Test::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (key, Test::In(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = term.split_once('>') {
        (key, Test::Above(value.trim().parse().map_err(|_| bad())?))
    } else if let Some((key, value)) = term.split_once('<') {
        (key, Test::Below(value.trim().parse().map_err(|_| bad())?))
    } else if let Some((front, set)) = term.split_once('(') {
        let set = set.strip_suffix(')').ok_or_else(bad)?;
        let values = set.split(',').map(|value| value.trim().to_owned()).collect();
        match front.split_whitespace().collect::<Vec<_>>().as_slice() {
            [key, "in"] => (*key, Test::In(values)),
            [key, "notin"] => (*key, Test::NotIn(values)),
            _ => return Err(bad()),
        }
    } else {
        (term, Test::Exists)
    };
    let key = key.trim();
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if key.is_empty() || !key.chars().all(fine) {
        return Err(bad());
    }
    Ok((key.to_owned(), test))
}

/// A selector as it stands in an object (`matchLabels`, `matchExpressions`), as text for a query.
pub(crate) fn to_query(selector: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    let labels = at(selector, &["matchLabels"]).and_then(Value::as_object);
    let mut pairs: Vec<_> = labels.into_iter().flatten().collect();
    pairs.sort_by_key(|(key, _)| key.as_str());
    parts.extend(pairs.into_iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or(""))));
    for expression in crate::value::list(selector, &["matchExpressions"]) {
        let key = text(expression, &["key"]);
        let values = crate::value::list(expression, &["values"]);
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        parts.push(match text(expression, &["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn picks(labels: &str, fields: &str) -> bool {
        let pod = json!({ "metadata": { "name": "p", "labels": { "app": "web", "tier": "1" } },
            "spec": { "nodeName": "n1" } });
        Selector::parse(crate::resource::kind("Pod"), labels, fields).expect("parses").matches(&pod)
    }

    #[test]
    fn every_operator() {
        for yes in ["app=web", "app==web", "app!=db", "app in (db,web),tier", "x notin (a)", "!x", "tier>0", "tier<2"] {
            assert!(picks(yes, ""), "{yes}");
        }
        for no in ["app=db", "app!=web", "app in (db)", "app notin (web)", "!app", "x", "tier>1"] {
            assert!(!picks(no, ""), "{no}");
        }
        assert!(picks("", "spec.nodeName=n1,metadata.name!=q"));
        assert!(!picks("", "spec.nodeName="));
    }

    #[test]
    fn nonsense_is_refused() {
        let pods = crate::resource::kind("Pod");
        for bad in ["a in b", "a in (b", "=x", "a b"] {
            assert_eq!(Selector::parse(pods, bad, "").map_err(|s| s.code), Err(400), "{bad}");
        }
        let status = Selector::parse(pods, "", "spec.foo=1").expect_err("unknown field");
        assert!(status.message.ends_with("field label not supported: spec.foo"), "{status}");
    }
}
