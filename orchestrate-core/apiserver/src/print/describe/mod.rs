//! `kubectl describe`: an object, and what belongs to it, as text for people.

mod common;
mod container;
mod node;
mod pod;
mod workload;

use std::collections::BTreeMap;

use serde_json::Value;

use super::tabs::Tabs;
use crate::request::encode;
use crate::resource::{Resource, kind};
use crate::selector::to_query;
use crate::time::Millis;
use crate::value::{at, text};

/// What else a description shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Related {
    /// Events about the object.
    Events,
    /// ReplicaSets that its selector covers.
    ReplicaSets,
    /// Pods that its selector covers, or that run on it.
    Pods,
    /// The slices of a Service.
    Slices,
    /// The lease of a node.
    Lease,
}

/// The requests whose answers [`describe`] needs for this object.
#[must_use]
pub fn lookups(resource: &Resource, object: &Value) -> Vec<(Related, String)> {
    let (namespace, name) = (text(object, &["metadata", "namespace"]), text(object, &["metadata", "name"]));
    let uid = match resource.kind {
        // Nodes report about themselves under their name.
        "Node" => format!("involvedObject.name={name},involvedObject.kind=Node"),
        kind => format!("involvedObject.name={name},involvedObject.kind={kind}"),
    };
    let events = format!("{}?fieldSelector={}", kind("Event").collection(namespace), encode(&uid));
    let selected = |what: &str| {
        let query = to_query(at(object, &["spec", "selector"]).unwrap_or(&Value::Null));
        format!("{}?labelSelector={}", kind(what).collection(namespace), encode(&query))
    };
    let mut out = Vec::new();
    match resource.kind {
        "Deployment" => out.push((Related::ReplicaSets, selected("ReplicaSet"))),
        "ReplicaSet" => out.push((Related::Pods, selected("Pod"))),
        "Service" => {
            let query = encode(&format!("kubernetes.io/service-name={name}"));
            let slices = kind("EndpointSlice").collection(namespace);
            out.push((Related::Slices, format!("{slices}?labelSelector={query}")));
        }
        "Node" => {
            let running = format!("spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed");
            out.push((Related::Pods, format!("{}?fieldSelector={}", kind("Pod").collection(""), encode(&running))));
            out.push((Related::Lease, kind("Lease").object("kube-node-lease", name)));
        }
        "Namespace" | "Event" => return out,
        _ => {}
    }
    out.push((Related::Events, events));
    out
}

/// The description of an object; `found` holds the answers to its [`lookups`].
#[must_use]
pub fn describe(resource: &Resource, object: &Value, found: &BTreeMap<Related, Value>, now: Millis) -> String {
    let mut tabs = Tabs::default();
    let nothing = Value::Null;
    let get = |what: Related| found.get(&what).unwrap_or(&nothing);
    match resource.kind {
        "Pod" => pod::pod(&mut tabs, object, now),
        "Deployment" => workload::deployment(&mut tabs, object, get(Related::ReplicaSets)),
        "ReplicaSet" => workload::replica_set(&mut tabs, object, get(Related::Pods)),
        "Service" => workload::service(&mut tabs, object, get(Related::Slices)),
        "Node" => node::node(&mut tabs, object, get(Related::Pods), found.get(&Related::Lease), now),
        "Namespace" => {
            tabs.pair(0, "Name", text(object, &["metadata", "name"]));
            common::labels(&mut tabs, "Labels", at(object, &["metadata", "labels"]));
            common::annotations(&mut tabs, "Annotations", object);
            tabs.pair(0, "Status", text(object, &["status", "phase"]));
        }
        _ => common::anything(&mut tabs, object),
    }
    if let Some(events) = found.get(&Related::Events) {
        common::events(&mut tabs, events, now);
    }
    tabs.finish()
}
