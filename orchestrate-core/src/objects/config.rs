//! Namespaces, configuration and events.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use std::collections::BTreeMap;

use super::meta::{Condition, ObjectMeta, ObjectReference};
use super::wire::wire;
use crate::Time;
use crate::time::MicroTime;

wire! {
    /// A room for names.
    Namespace {
        metadata: ObjectMeta,
        spec: NamespaceSpec,
        status: NamespaceStatus,
    }
    NamespaceSpec {
        finalizers: Vec<String>,
    }
    NamespaceStatus {
        phase: String,
        conditions: Vec<Condition>,
    }
    /// Configuration as text.
    ConfigMap {
        metadata: ObjectMeta,
        data: BTreeMap<String, String>,
        binary_data: BTreeMap<String, String>,
        immutable: Option<bool>,
    }
    /// Configuration that is not shown; values are base64.
    Secret {
        metadata: ObjectMeta,
        data: BTreeMap<String, String>,
        string_data: BTreeMap<String, String>,
        #[serde(rename = "type")]
        kind: String,
        immutable: Option<bool>,
    }
    /// Something that happened to an object, said for people.
    Event {
        reason: String,
        message: String,
        first_timestamp: Option<Time>,
        last_timestamp: Option<Time>,
        count: i32,
        #[serde(rename = "type")]
        kind: String,
        event_time: Option<MicroTime>,
        action: String,
    } + always {
        metadata: ObjectMeta,
        involved_object: ObjectReference,
        source: EventSource,
        reporting_component: String,
        reporting_instance: String,
    }
    EventSource {
        component: String,
        host: String,
    }
}
