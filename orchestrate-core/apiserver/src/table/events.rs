//! Rows of events, in the core form or that of `events.k8s.io`.

use serde_json::Value;

use super::since;
use crate::time::Millis;
use crate::value::{int, text};

/// The first of the named fields that is there.
fn either<'v>(object: &'v Value, paths: &[&[&str]]) -> &'v str {
    paths.iter().map(|path| text(object, path)).find(|text| !text.is_empty()).unwrap_or("")
}

pub(super) fn event(object: &Value, now: Millis) -> Vec<Value> {
    let first = ["firstTimestamp", "deprecatedFirstTimestamp", "eventTime"];
    let first = first.iter().find(|field| !text(object, &[field]).is_empty()).unwrap_or(&"eventTime");
    let first_seen = since(object, &[first], now);
    let last = ["lastTimestamp", "deprecatedLastTimestamp"];
    let last_seen = match last.iter().find(|field| !text(object, &[field]).is_empty()) {
        _ if object.get("series").is_some() => since(object, &["series", "lastObservedTime"], now),
        Some(field) => since(object, &[field], now),
        None => first_seen.clone(),
    };
    let count = [int(object, &["series", "count"]), int(object, &["count"]), int(object, &["deprecatedCount"]), 1];
    let count = count.into_iter().find(|n| *n > 0).unwrap_or(1);
    let about = |field: &'static str| either(object, &[&["involvedObject", field], &["regarding", field]]);
    let kind = about("kind").to_lowercase();
    let target = match about("name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let component = either(
        object,
        &[
            &["source", "component"],
            &["deprecatedSource", "component"],
            &["reportingComponent"],
            &["reportingController"],
        ],
    );
    let host = either(object, &[&["source", "host"], &["deprecatedSource", "host"], &["reportingInstance"]]);
    let source = if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") };
    vec![
        last_seen.into(),
        text(object, &["type"]).into(),
        text(object, &["reason"]).into(),
        target.into(),
        about("fieldPath").into(),
        source.into(),
        either(object, &[&["message"], &["note"]]).trim().into(),
        first_seen.into(),
        count.to_string().into(),
        text(object, &["metadata", "name"]).into(),
    ]
}
