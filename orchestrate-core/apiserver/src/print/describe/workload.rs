//! Deployments, ReplicaSets and Services.

use serde_json::Value;

use super::Tabs;
use super::common::{annotations, conditions, controller, labels, moment, or_none, plain};
use super::pod::template;
use crate::rollout;
use crate::selector::to_query;
use crate::value::{at, int, list, text};

fn named(tabs: &mut Tabs, object: &Value) {
    tabs.pair(0, "Name", text(object, &["metadata", "name"]));
    tabs.pair(0, "Namespace", text(object, &["metadata", "namespace"]));
}

fn selector(object: &Value) -> String {
    or_none(&to_query(at(object, &["spec", "selector"]).unwrap_or(&Value::Null))).to_owned()
}

pub(super) fn deployment(tabs: &mut Tabs, object: &Value, sets: &Value) {
    named(tabs, object);
    tabs.pair(0, "CreationTimestamp", moment(object, &["metadata", "creationTimestamp"]));
    labels(tabs, "Labels", at(object, &["metadata", "labels"]));
    annotations(tabs, "Annotations", object);
    tabs.pair(0, "Selector", selector(object));
    let count = |field: &str| int(object, &["status", field]);
    let replicas = format!(
        "{} desired | {} updated | {} total | {} available | {} unavailable",
        int(object, &["spec", "replicas"]),
        count("updatedReplicas"),
        count("replicas"),
        count("availableReplicas"),
        count("unavailableReplicas")
    );
    tabs.pair(0, "Replicas", replicas);
    tabs.pair(0, "StrategyType", text(object, &["spec", "strategy", "type"]));
    tabs.pair(0, "MinReadySeconds", int(object, &["spec", "minReadySeconds"]));
    if let Some(rolling) = at(object, &["spec", "strategy", "rollingUpdate"]) {
        let bound = |field: &str| plain(at(rolling, &[field]));
        let bounds = format!("{} max unavailable, {} max surge", bound("maxUnavailable"), bound("maxSurge"));
        tabs.pair(0, "RollingUpdateStrategy", bounds);
    }
    template(tabs, &object["spec"]["template"]);
    conditions(tabs, object);
    let (new, old) = rollout::sets_of(object, sets);
    if new.is_some() || !old.is_empty() {
        tabs.pair(0, "OldReplicaSets", or_none(&created(&old)));
        tabs.pair(0, "NewReplicaSet", or_none(&created(new.as_slice())));
    }
}

fn created(sets: &[&Value]) -> String {
    let shown = sets.iter().map(|set| {
        let (name, wanted) = (text(set, &["metadata", "name"]), int(set, &["spec", "replicas"]));
        format!("{name} ({}/{wanted} replicas created)", int(set, &["status", "replicas"]))
    });
    shown.collect::<Vec<_>>().join(", ")
}

pub(super) fn replica_set(tabs: &mut Tabs, object: &Value, pods: &Value) {
    named(tabs, object);
    tabs.pair(0, "Selector", selector(object));
    labels(tabs, "Labels", at(object, &["metadata", "labels"]));
    annotations(tabs, "Annotations", object);
    controller(tabs, object);
    let (now, wanted) = (int(object, &["status", "replicas"]), int(object, &["spec", "replicas"]));
    tabs.pair(0, "Replicas", format!("{now} current / {wanted} desired"));
    let uid = &object["metadata"]["uid"];
    let own: Vec<&Value> = list(pods, &["items"])
        .iter()
        .filter(|pod| list(pod, &["metadata", "ownerReferences"]).iter().any(|owner| owner["uid"] == *uid))
        .collect();
    let phase = |phase: &str| own.iter().filter(|pod| text(pod, &["status", "phase"]) == phase).count();
    let (running, waiting, done, failed) = (phase("Running"), phase("Pending"), phase("Succeeded"), phase("Failed"));
    let pods = format!("{running} Running / {waiting} Waiting / {done} Succeeded / {failed} Failed");
    tabs.pair(0, "Pods Status", pods);
    template(tabs, &object["spec"]["template"]);
    conditions(tabs, object);
}

pub(super) fn service(tabs: &mut Tabs, object: &Value, slices: &Value) {
    let spec = &object["spec"];
    let joined = |path: &[&str]| list(spec, path).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    named(tabs, object);
    labels(tabs, "Labels", at(object, &["metadata", "labels"]));
    annotations(tabs, "Annotations", object);
    tabs.pair(0, "Selector", crate::table::core::labels(at(spec, &["selector"])));
    tabs.pair(0, "Type", text(spec, &["type"]));
    if let Some(policy) = at(spec, &["ipFamilyPolicy"]) {
        tabs.pair(0, "IP Family Policy", plain(Some(policy)));
    }
    tabs.pair(0, "IP Families", or_none(&joined(&["ipFamilies"])));
    tabs.pair(0, "IP", text(spec, &["clusterIP"]));
    tabs.pair(0, "IPs", or_none(&joined(&["clusterIPs"])));
    let external = joined(&["externalIPs"]);
    for (title, value) in [("External IPs", external.as_str()), ("External Name", text(spec, &["externalName"]))] {
        if !value.is_empty() {
            tabs.pair(0, title, value);
        }
    }
    ingress(tabs, object);
    for port in list(spec, &["ports"]) {
        let (number, protocol) = (int(port, &["port"]), text(port, &["protocol"]));
        let name = if text(port, &["name"]).is_empty() { "<unset>" } else { text(port, &["name"]) };
        tabs.line(0, &format!("Port:\t{name}\t{number}/{protocol}"));
        tabs.pair(0, "TargetPort", format!("{}/{protocol}", plain(at(port, &["targetPort"]))));
        if let Some(node) = at(port, &["nodePort"]) {
            tabs.line(0, &format!("NodePort:\t{name}\t{node}/{protocol}"));
        }
        tabs.pair(0, "Endpoints", endpoints(slices, text(port, &["name"])));
    }
    tabs.pair(0, "Session Affinity", text(spec, &["sessionAffinity"]));
    for (title, field) in
        [("External Traffic Policy", "externalTrafficPolicy"), ("Internal Traffic Policy", "internalTrafficPolicy")]
    {
        if !text(spec, &[field]).is_empty() {
            tabs.pair(0, title, text(spec, &[field]));
        }
    }
}

fn ingress(tabs: &mut Tabs, object: &Value) {
    let all = list(object, &["status", "loadBalancer", "ingress"]).iter().map(|point| {
        let address = match text(point, &["ip"]) {
            "" => text(point, &["hostname"]),
            ip => ip,
        };
        match text(point, &["ipMode"]) {
            "" => address.to_owned(),
            mode => format!("{address} ({mode})"),
        }
    });
    let all: Vec<_> = all.collect();
    if !all.is_empty() {
        tabs.pair(0, "LoadBalancer Ingress", all.join(", "));
    }
}

/// Addresses of the ready endpoints behind a port, at most three, then how many more.
fn endpoints(slices: &Value, port_name: &str) -> String {
    let mut all = Vec::new();
    for slice in list(slices, &["items"]) {
        let ports = list(slice, &["ports"]).iter().filter(|port| text(port, &["name"]) == port_name);
        for port in ports {
            for endpoint in list(slice, &["endpoints"]) {
                if at(endpoint, &["conditions", "ready"]) == Some(&Value::Bool(false)) {
                    continue;
                }
                let addresses = list(endpoint, &["addresses"]).iter().filter_map(Value::as_str);
                all.extend(addresses.map(|address| format!("{address}:{}", int(port, &["port"]))));
            }
        }
    }
    match all.len() {
        0 => "<none>".to_owned(),
        1..=3 => all.join(","),
        count => format!("{} + {} more...", all[..3].join(","), count - 3),
    }
}
