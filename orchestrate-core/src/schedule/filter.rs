//! Filters that look at one node: may the pod run there at all? In upstream's order; the first that says no counts.

use super::snapshot::{NodeInfo, host_ports, numbers};
use crate::objects::{Pod, Protocol, Taint, TaintEffect, subset};

/// Why a node will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The reasons, as upstream words them.
    pub reasons: Vec<Reason>,
    /// Whether removing other pods could help.
    pub preemptible: bool,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The node is cordoned.
    Unschedulable,
    /// The pod names another node.
    NodeName,
    /// A taint that the pod does not tolerate. Its text names the taint, as upstream's did until 1.34.
    Taint {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Node selector or required node affinity.
    NodeAffinity,
    /// A host port is taken.
    Ports,
    /// Not enough of a resource is left.
    Insufficient(String),
    /// The node has all the pods that it may have.
    TooManyPods,
    /// A spreading constraint would be violated.
    Spread,
    /// The node lacks the label of a spreading constraint.
    SpreadLabel,
    /// No pod that the pod wants to be near is there.
    Affinity,
    /// A pod that the pod wants to be away from is there.
    AntiAffinity,
    /// A pod that wants to be away from the pod is there.
    ExistingAntiAffinity,
}

impl Rejection {
    pub(super) fn new(reason: Reason, preemptible: bool) -> Self {
        Self { reasons: vec![reason], preemptible }
    }
}

/// The first rejection of a pod by a node.
pub(super) fn check(pod: &Pod, node: &NodeInfo) -> Option<Rejection> {
    let fixed = unschedulable(pod, node)
        .or_else(|| node_name(pod, node))
        .or_else(|| taint(pod, node))
        .or_else(|| (!matches_node(pod, node)).then_some(Reason::NodeAffinity));
    if let Some(reason) = fixed {
        return Some(Rejection::new(reason, false));
    }
    if !ports_are_free(pod, node) {
        return Some(Rejection::new(Reason::Ports, true));
    }
    fits(pod, node)
}

fn unschedulable(pod: &Pod, node: &NodeInfo) -> Option<Reason> {
    let taint = Taint::new("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule);
    let tolerated = pod.spec.tolerations.iter().any(|t| t.tolerates(&taint));
    (node.unschedulable && !tolerated).then_some(Reason::Unschedulable)
}

fn node_name(pod: &Pod, node: &NodeInfo) -> Option<Reason> {
    let wanted = &pod.spec.node_name;
    (!wanted.is_empty() && *wanted != node.name).then_some(Reason::NodeName)
}

fn taint(pod: &Pod, node: &NodeInfo) -> Option<Reason> {
    let hard = node.taints.iter().filter(|t| t.effect != TaintEffect::PreferNoSchedule);
    let mut untolerated = hard.filter(|t| !pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(t)));
    untolerated.next().map(|t| Reason::Taint { key: t.key.clone(), value: t.value.clone() })
}

/// Says whether a node meets node selector and required node affinity.
pub(super) fn matches_node(pod: &Pod, node: &NodeInfo) -> bool {
    let affinity = pod.spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    subset(&pod.spec.node_selector, &node.labels) && required.is_none_or(|r| r.matches(&node.name, &node.labels))
}

fn ports_are_free(pod: &Pod, node: &NodeInfo) -> bool {
    let any = |ip: &str| ip == "0.0.0.0";
    let clash = |(ip, protocol, port): &(String, Protocol, i32)| {
        node.ports.iter().any(|(i, pr, po)| po == port && pr == protocol && (i == ip || any(i) || any(ip)))
    };
    !host_ports(pod).any(|wanted| clash(&wanted))
}

fn fits(pod: &Pod, node: &NodeInfo) -> Option<Rejection> {
    let mut reasons = Vec::new();
    let mut preemptible = true;
    let pods = i64::try_from(node.pods.len()).unwrap_or(i64::MAX);
    if pods + 1 > node.has("pods") {
        reasons.push(Reason::TooManyPods);
    }
    for (name, amount) in numbers(&pod.requests()) {
        let free = node.has(&name) - node.taken(&name);
        if amount > 0 && amount > free {
            preemptible &= amount <= node.has(&name);
            reasons.push(Reason::Insufficient(name));
        }
    }
    (!reasons.is_empty()).then_some(Rejection { reasons, preemptible })
}
