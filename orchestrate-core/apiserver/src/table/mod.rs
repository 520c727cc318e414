//! Objects as rows for people: kubectl's columns, computed by the server.

mod apps;
pub(crate) mod core;
mod events;

use serde_json::Value;

use crate::time::{Millis, human_duration, parse_rfc3339};
use crate::value::text;

/// One column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// 0: always shown; 1: only in the wide form.
    pub(crate) priority: u8,
}

const fn plain(name: &'static str) -> Column {
    Column { name, kind: "string", priority: 0 }
}

const fn number(name: &'static str) -> Column {
    Column { name, kind: "integer", priority: 0 }
}

const fn wide(name: &'static str) -> Column {
    Column { name, kind: "string", priority: 1 }
}

const POD: &[Column] = &[
    plain("Name"),
    plain("Ready"),
    plain("Status"),
    plain("Restarts"),
    plain("Age"),
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
];
const DEPLOYMENT: &[Column] = &[
    plain("Name"),
    plain("Ready"),
    plain("Up-to-date"),
    plain("Available"),
    plain("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];
const REPLICA_SET: &[Column] = &[
    plain("Name"),
    number("Desired"),
    number("Current"),
    number("Ready"),
    plain("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];
const SERVICE: &[Column] = &[
    plain("Name"),
    plain("Type"),
    plain("Cluster-IP"),
    plain("External-IP"),
    plain("Port(s)"),
    plain("Age"),
    wide("Selector"),
];
const NODE: &[Column] = &[
    plain("Name"),
    plain("Status"),
    plain("Roles"),
    plain("Age"),
    plain("Version"),
    wide("Internal-IP"),
    wide("External-IP"),
    wide("OS-Image"),
    wide("Kernel-Version"),
    wide("Container-Runtime"),
];
const EVENT: &[Column] = &[
    plain("Last Seen"),
    plain("Type"),
    plain("Reason"),
    plain("Object"),
    wide("Subobject"),
    wide("Source"),
    plain("Message"),
    wide("First Seen"),
    wide("Count"),
    wide("Name"),
];
const SLICE: &[Column] = &[plain("Name"), plain("AddressType"), plain("Ports"), plain("Endpoints"), plain("Age")];
const BUDGET: &[Column] =
    &[plain("Name"), plain("Min Available"), plain("Max Unavailable"), number("Allowed Disruptions"), plain("Age")];

/// The columns of a kind.
pub(crate) fn columns(kind: &str) -> &'static [Column] {
    match kind {
        "Pod" => POD,
        "Deployment" => DEPLOYMENT,
        "ReplicaSet" => REPLICA_SET,
        "Service" => SERVICE,
        "Node" => NODE,
        "Event" => EVENT,
        "EndpointSlice" => SLICE,
        "PodDisruptionBudget" => BUDGET,
        "Namespace" => const { &[plain("Name"), plain("Status"), plain("Age")] },
        "Secret" => const { &[plain("Name"), plain("Type"), plain("Data"), plain("Age")] },
        "ConfigMap" => const { &[plain("Name"), plain("Data"), plain("Age")] },
        "Lease" => const { &[plain("Name"), plain("Holder"), plain("Age")] },
        "ServiceAccount" => const { &[plain("Name"), plain("Secrets"), plain("Age")] },
        _ => const { &[plain("Name"), plain("Age")] },
    }
}

/// The cells of an object, one per column of its kind.
pub(crate) fn cells(kind: &str, object: &Value, now: Millis) -> Vec<Value> {
    match kind {
        "Pod" => core::pod(object, now),
        "Deployment" => apps::deployment(object, now),
        "ReplicaSet" => apps::replica_set(object, now),
        "Service" => core::service(object, now),
        "Node" => core::node(object, now),
        "Event" => events::event(object, now),
        "EndpointSlice" => core::endpoint_slice(object, now),
        _ => core::simple(kind, object, now),
    }
}

fn name(object: &Value) -> Value {
    text(object, &["metadata", "name"]).into()
}

/// How long ago the time at `path` was.
pub(crate) fn since(object: &Value, path: &[&str], now: Millis) -> String {
    match parse_rfc3339(text(object, path)) {
        Some(at) => human_duration(now - at),
        None => "<unknown>".to_owned(),
    }
}

fn age(object: &Value, now: Millis) -> Value {
    since(object, &["metadata", "creationTimestamp"], now).into()
}

pub(crate) fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}
