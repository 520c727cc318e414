//! Parts that several descriptions share: labels, annotations, conditions, events, tolerations.

use serde_json::Value;

use super::Tabs;
use crate::time::{Millis, human_duration, parse_rfc3339, rfc1123};
use crate::value::{at, int, list, text};

/// Annotations longer than this are broken into lines.
const MAX_ANNOTATION: usize = 140;

/// A moment as `describe` writes it.
pub(super) fn moment(object: &Value, path: &[&str]) -> String {
    // The zero time of Go, where there is none.
    parse_rfc3339(text(object, path)).map_or_else(|| "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(), rfc1123)
}

/// Any scalar as text.
pub(super) fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

pub(super) fn or_none(text: &str) -> &str {
    crate::table::or_none(text)
}

fn pairs(map: Option<&Value>) -> Vec<(&str, &str)> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    let mut pairs: Vec<_> = entries.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or(""))).collect();
    pairs.sort_unstable();
    pairs
}

/// Labels or a selector, one per line.
pub(super) fn labels(tabs: &mut Tabs, title: &str, map: Option<&Value>) {
    let pairs = pairs(map);
    tabs.write(&format!("{title}:\t{}", if pairs.is_empty() { "<none>\n" } else { "" }));
    for (index, (key, value)) in pairs.iter().enumerate() {
        tabs.write(&format!("{}{key}={value}\n", if index > 0 { "\t" } else { "" }));
    }
}

/// Annotations, without the one that `apply` keeps for itself.
pub(super) fn annotations(tabs: &mut Tabs, title: &str, object: &Value) {
    let mut pairs = pairs(at(object, &["metadata", "annotations"]));
    pairs.retain(|(key, _)| *key != crate::apply::LAST_APPLIED);
    tabs.write(&format!("{title}:\t{}", if pairs.is_empty() { "<none>\n" } else { "" }));
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            tabs.write("\t");
        }
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 <= MAX_ANNOTATION && !value.contains('\n') {
            tabs.write(&format!("{key}: {value}\n"));
            continue;
        }
        tabs.write(&format!("{key}:\n"));
        for line in value.split('\n') {
            let cut: String = line.chars().take(MAX_ANNOTATION - 2).collect();
            let dots = if cut.len() < line.len() { "..." } else { "" };
            tabs.write(&format!("\t  {cut}{dots}\n"));
        }
    }
}

/// Tolerations, one per line, by key.
pub(super) fn tolerations(tabs: &mut Tabs, title: &str, all: &[Value]) {
    let mut all: Vec<&Value> = all.iter().collect();
    all.sort_by_key(|toleration| text(toleration, &["key"]));
    tabs.write(&format!("{title}:\t{}", if all.is_empty() { "<none>\n" } else { "" }));
    for (index, toleration) in all.into_iter().enumerate() {
        let part = |field: &str| text(toleration, &[field]);
        let mut line = part("key").to_owned();
        if !part("value").is_empty() {
            line.push_str(&format!("={}", part("value")));
        }
        if !part("effect").is_empty() {
            line.push_str(&format!(":{}", part("effect")));
        }
        if part("operator") == "Exists" && part("value").is_empty() {
            line.push_str(if line.is_empty() { "op=Exists" } else { " op=Exists" });
        }
        if let Some(seconds) = at(toleration, &["tolerationSeconds"]) {
            line.push_str(&format!(" for {seconds}s"));
        }
        tabs.write(&format!("{}{line}\n", if index > 0 { "\t" } else { "" }));
    }
}

/// Type, status and reason of each condition.
pub(super) fn conditions(tabs: &mut Tabs, object: &Value) {
    let all = list(object, &["status", "conditions"]);
    if all.is_empty() {
        return;
    }
    tabs.write("Conditions:\n  Type\tStatus\tReason\n");
    tabs.line(1, "----\t------\t------");
    for condition in all {
        let part = |field: &str| text(condition, &[field]);
        tabs.line(1, &format!("{} \t{}\t{}", part("type"), part("status"), part("reason")));
    }
}

fn ago(event: &Value, fields: &[&[&str]], now: Millis) -> String {
    let first = fields.iter().filter_map(|path| parse_rfc3339(text(event, path))).next();
    first.map_or_else(|| "<unknown>".to_owned(), |at| human_duration(now - at))
}

/// The events of a list, oldest first.
pub(super) fn events(tabs: &mut Tabs, found: &Value, now: Millis) {
    let mut all: Vec<&Value> = list(found, &["items"]).iter().collect();
    if all.is_empty() {
        return tabs.line(0, "Events:\t<none>");
    }
    tabs.flush();
    all.sort_by_key(|event| parse_rfc3339(text(event, &["lastTimestamp"])));
    tabs.write("Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
    tabs.line(1, "----\t------\t----\t----\t-------");
    for event in all {
        let first = ago(event, &[&["eventTime"], &["firstTimestamp"]], now);
        let count = int(event, &["count"]);
        let age = if event.get("series").is_some() {
            let last = ago(event, &[&["series", "lastObservedTime"]], now);
            format!("{last} (x{} over {first})", int(event, &["series", "count"]))
        } else if count > 1 {
            format!("{} (x{count} over {first})", ago(event, &[&["lastTimestamp"]], now))
        } else {
            first
        };
        let from = match text(event, &["source", "component"]) {
            "" => text(event, &["reportingComponent"]),
            component => component,
        };
        let part = |field: &str| text(event, &[field]);
        let message = part("message").trim();
        tabs.line(1, &format!("{}\t{}\t{age}\t{from}\t{message}", part("type"), part("reason")));
    }
}

/// The controller that manages the object, as `Kind/name`.
pub(super) fn controller(tabs: &mut Tabs, object: &Value) {
    let owners = list(object, &["metadata", "ownerReferences"]);
    if let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) {
        tabs.pair(0, "Controlled By", format!("{}/{}", text(owner, &["kind"]), text(owner, &["name"])));
    }
}

/// An object of a kind without a form of its own.
pub(super) fn anything(tabs: &mut Tabs, object: &Value) {
    tabs.pair(0, "Name", text(object, &["metadata", "name"]));
    tabs.pair(0, "Namespace", text(object, &["metadata", "namespace"]));
    labels(tabs, "Labels", at(object, &["metadata", "labels"]));
    annotations(tabs, "Annotations", object);
    for (key, value) in object.as_object().into_iter().flatten().filter(|(key, _)| *key != "metadata") {
        if value.is_object() || value.is_array() {
            tabs.line(0, &format!("{key}:"));
            crate::yaml::to_text(value).lines().for_each(|line| tabs.line(1, line));
        } else {
            tabs.pair(0, key, plain(Some(value)));
        }
    }
}
