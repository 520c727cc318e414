//! Nodes: conditions, capacity, and what their pods ask for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Tabs;
use super::common::{annotations, labels, moment, plain};
use crate::quantity::{self, canonical};
use crate::table::{core::roles, since};
use crate::time::Millis;
use crate::value::{at, flag, list, map, text};

pub(super) fn node(tabs: &mut Tabs, node: &Value, pods: &Value, lease: Option<&Value>, now: Millis) {
    tabs.pair(0, "Name", text(node, &["metadata", "name"]));
    tabs.pair(0, "Roles", roles(node));
    labels(tabs, "Labels", at(node, &["metadata", "labels"]));
    annotations(tabs, "Annotations", node);
    tabs.pair(0, "CreationTimestamp", moment(node, &["metadata", "creationTimestamp"]));
    taints(tabs, list(node, &["spec", "taints"]));
    tabs.pair(0, "Unschedulable", flag(node, &["spec", "unschedulable"]));
    if let Some(lease) = lease.filter(|lease| lease["kind"] == "Lease") {
        tabs.line(0, "Lease:");
        let holder = text(lease, &["spec", "holderIdentity"]);
        tabs.pair(1, "HolderIdentity", if holder.is_empty() { "<unset>" } else { holder });
        for (title, field) in [("AcquireTime", "acquireTime"), ("RenewTime", "renewTime")] {
            let path = ["spec", field];
            tabs.pair(1, title, if at(lease, &path).is_some() { moment(lease, &path) } else { "<unset>".to_owned() });
        }
    } else {
        let name = text(node, &["metadata", "name"]);
        tabs.pair(0, "Lease", format!("Failed to get lease: leases.coordination.k8s.io \"{name}\" not found"));
    }
    conditions(tabs, node);
    tabs.line(0, "Addresses:");
    for address in list(node, &["status", "addresses"]) {
        tabs.pair(1, text(address, &["type"]), text(address, &["address"]));
    }
    for (title, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        let mut all: Vec<_> = map(node, &["status", field]).into_iter().flatten().collect();
        all.sort_by_key(|(name, _)| name.as_str());
        if !all.is_empty() {
            tabs.line(0, &format!("{title}:"));
        }
        all.into_iter().for_each(|(name, amount)| tabs.pair(1, name, plain(Some(amount))));
    }
    system(tabs, node);
    usage(tabs, node, list(pods, &["items"]), now);
}

fn taints(tabs: &mut Tabs, all: &[Value]) {
    let shown = all.iter().map(|taint| {
        let value = text(taint, &["value"]);
        let equals = if value.is_empty() { String::new() } else { format!("={value}") };
        (text(taint, &["effect"]), format!("{}{equals}:{}", text(taint, &["key"]), text(taint, &["effect"])))
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    tabs.write(&format!("Taints:\t{}", if shown.is_empty() { "<none>\n" } else { "" }));
    for (index, (_, taint)) in shown.iter().enumerate() {
        tabs.write(&format!("{}{taint}\n", if index > 0 { "\t" } else { "" }));
    }
}

fn conditions(tabs: &mut Tabs, node: &Value) {
    let all = list(node, &["status", "conditions"]);
    if all.is_empty() {
        return;
    }
    tabs.write("Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n");
    tabs.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for condition in all {
        let part = |field: &str| text(condition, &[field]);
        let (beat, change) = (moment(condition, &["lastHeartbeatTime"]), moment(condition, &["lastTransitionTime"]));
        let (kind, status, reason) = (part("type"), part("status"), part("reason"));
        tabs.line(1, &format!("{kind} \t{status} \t{beat} \t{change} \t{reason} \t{}", part("message")));
    }
}

fn system(tabs: &mut Tabs, node: &Value) {
    tabs.line(0, "System Info:");
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ] {
        tabs.pair(1, title, text(node, &["status", "nodeInfo", field]));
    }
    if at(node, &["spec", "podCIDR"]).is_some() {
        tabs.pair(0, "PodCIDR", text(node, &["spec", "podCIDR"]));
    }
    let ranges: Vec<_> = list(node, &["spec", "podCIDRs"]).iter().filter_map(Value::as_str).collect();
    if !ranges.is_empty() {
        tabs.pair(0, "PodCIDRs", ranges.join(","));
    }
}

/// Sums in billionths, by side and resource.
type Sums = BTreeMap<(&'static str, &'static str), i128>;

fn sums(pods: &[&Value]) -> Sums {
    let mut out = Sums::new();
    for pod in pods {
        for side in ["requests", "limits"] {
            for resource in ["cpu", "memory", "ephemeral-storage"] {
                let amount = |container: &Value| {
                    let value = at(container, &["resources", side, resource]);
                    value.and_then(Value::as_str).and_then(quantity::nano).unwrap_or(0)
                };
                let own: i128 = list(pod, &["spec", "containers"]).iter().map(amount).sum();
                let init = list(pod, &["spec", "initContainers"]).iter().map(amount).max().unwrap_or(0);
                *out.entry((side, resource)).or_default() += own.max(init);
            }
        }
    }
    out
}

/// An amount with its share of what the node has.
fn share(sums: &Sums, side: &'static str, resource: &'static str, node: &Value) -> String {
    let amount = sums.get(&(side, resource)).copied().unwrap_or(0);
    let whole = ["allocatable", "capacity"].iter().find_map(|field| at(node, &["status", field, resource]));
    let whole = whole.and_then(Value::as_str).and_then(quantity::nano).unwrap_or(0);
    let percent = if whole == 0 { 0 } else { amount * 100 / whole };
    let milli = amount / 1_000_000;
    let shown = match resource {
        "cpu" => canonical(&format!("{milli}m")),
        _ if amount % (1_000_000_000 << 10) == 0 => canonical(&format!("{}Ki", amount / (1_000_000_000 << 10))),
        _ => canonical(&format!("{}", amount / 1_000_000_000)),
    };
    format!("{} ({percent}%)", shown.unwrap_or_default())
}

fn usage(tabs: &mut Tabs, node: &Value, pods: &[Value], now: Millis) {
    tabs.pair(0, "Non-terminated Pods", format!("({} in total)", pods.len()));
    tabs.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    tabs.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    let columns = [("requests", "cpu"), ("limits", "cpu"), ("requests", "memory"), ("limits", "memory")];
    for pod in pods {
        let own = sums(&[pod]);
        let shares = columns.map(|(side, resource)| share(&own, side, resource, node));
        let (namespace, name) = (text(pod, &["metadata", "namespace"]), text(pod, &["metadata", "name"]));
        let age = since(pod, &["metadata", "creationTimestamp"], now);
        tabs.line(1, &format!("{namespace}\t{name}\t\t{}\t{age}", shares.join("\t")));
    }
    tabs.write("Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
    tabs.line(1, "Resource\tRequests\tLimits");
    tabs.line(1, "--------\t--------\t------");
    let all = sums(&pods.iter().collect::<Vec<_>>());
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        let [requests, limits] = ["requests", "limits"].map(|side| share(&all, side, resource, node));
        tabs.line(1, &format!("{resource}\t{requests}\t{limits}"));
    }
}
