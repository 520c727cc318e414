//! Node life cycle: silence becomes `Unknown`, state becomes taints, pods of silent nodes are not ready.
//!
//! A node speaks by renewing its lease in `kube-node-lease`, or by the heartbeat of its condition `Ready`. As upstream,
//! while no node at all is ready nothing is evicted (it is rather the control plane that is cut off). Upstream's rate
//! limits per zone are absent.

use super::policy::Policy;
use super::{exact, json, note};
use crate::action::{Action, Plan};
use crate::objects::{Condition, ConditionStatus, Node, Taint, TaintEffect, condition, holds};
use crate::{Time, World};

const COMPONENT: &str = "node-controller";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions that a silent node loses.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Conditions that keep new pods away while they hold.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

pub(super) fn reconcile(world: &World, policy: &Policy, now: Time) -> Plan {
    let mut plan = Plan::default();
    let judged: Vec<(&Node, Vec<Condition>)> =
        world.nodes.iter().map(|node| (node, judge(world, policy, node, now, &mut plan))).collect();
    let evict = judged.iter().any(|(_, conditions)| holds(conditions, "Ready"));
    for (node, conditions) in &judged {
        if *conditions != node.status.conditions {
            report(node, conditions, &mut plan);
        }
        sync_taints(node, conditions, evict, now, &mut plan);
        if condition(conditions, "Ready").is_some_and(|c| c.status == ConditionStatus::Unknown) {
            mark_pods(world, node, now, &mut plan);
        }
    }
    plan
}

/// The last sign of life.
fn last_seen(world: &World, node: &Node) -> Time {
    let lease = world.leases.get("kube-node-lease", &node.metadata.name).and_then(|l| l.spec.renew_time).map(|t| t.0);
    let heartbeat = condition(&node.status.conditions, "Ready").and_then(|c| c.last_heartbeat_time);
    lease.max(heartbeat).unwrap_or_default().max(node.metadata.created())
}

/// The node's conditions as they should be now.
fn judge(world: &World, policy: &Policy, node: &Node, now: Time, plan: &mut Plan) -> Vec<Condition> {
    let mut conditions = node.status.conditions.clone();
    let end = last_seen(world, node) + policy.node_grace;
    if now <= end {
        plan.wake_at(end + 1);
        return conditions;
    }
    for kind in REPORTED {
        let missing = condition(&conditions, kind).is_none();
        let (reason, message) = if missing {
            ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
        } else {
            ("NodeStatusUnknown", "Kubelet stopped posting node status.")
        };
        let unknown = Condition::new(kind, ConditionStatus::Unknown, reason, message, now);
        match conditions.iter_mut().find(|c| c.kind == kind) {
            Some(old) if old.status == ConditionStatus::Unknown => {}
            Some(old) => *old = Condition { last_heartbeat_time: old.last_heartbeat_time, ..unknown },
            None => conditions.push(unknown),
        }
    }
    conditions
}

fn report(node: &Node, conditions: &[Condition], plan: &mut Plan) {
    let mut status = node.status.clone();
    status.conditions = conditions.to_vec();
    plan.actions.push(Action::UpdateStatus { on: exact(node), status: json(&status) });
    if holds(&node.status.conditions, "Ready") {
        let message = format!("Node {} status is now: NodeNotReady", node.metadata.name);
        plan.actions.push(note(node, COMPONENT, false, "NodeNotReady", message));
    }
}

/// The taints that this controller wants on a node.
fn wanted_taints(node: &Node, conditions: &[Condition], evict: bool) -> Vec<Taint> {
    let mut taints = Vec::new();
    let ready = condition(conditions, "Ready").map(|c| c.status);
    let key = match ready {
        Some(ConditionStatus::True) => None,
        Some(ConditionStatus::Unknown) => Some(UNREACHABLE),
        Some(ConditionStatus::False) | None => Some(NOT_READY),
    };
    if let Some(key) = key {
        taints.push(Taint::new(key, TaintEffect::NoSchedule));
        if evict {
            taints.push(Taint::new(key, TaintEffect::NoExecute));
        }
    }
    for (kind, key) in PRESSURES {
        if holds(conditions, kind) {
            taints.push(Taint::new(key, TaintEffect::NoSchedule));
        }
    }
    if node.spec.unschedulable {
        taints.push(Taint::new(UNSCHEDULABLE, TaintEffect::NoSchedule));
    }
    taints
}

fn is_managed(taint: &Taint) -> bool {
    let pressure = PRESSURES.iter().any(|(_, key)| *key == taint.key);
    let effect = taint.effect == TaintEffect::NoSchedule;
    let life = matches!(taint.key.as_str(), NOT_READY | UNREACHABLE) && taint.effect != TaintEffect::PreferNoSchedule;
    life || (effect && (pressure || taint.key == UNSCHEDULABLE))
}

fn sync_taints(node: &Node, conditions: &[Condition], evict: bool, now: Time, plan: &mut Plan) {
    let wanted = wanted_taints(node, conditions, evict);
    let is = |a: &Taint, b: &Taint| a.key == b.key && a.effect == b.effect;
    let mut taints: Vec<Taint> = node.spec.taints.clone();
    taints.retain(|t| !is_managed(t) || wanted.iter().any(|w| is(w, t)));
    for taint in wanted {
        if !taints.iter().any(|t| is(t, &taint)) {
            taints.push(Taint { time_added: Some(now.whole()), ..taint });
        }
    }
    if taints != node.spec.taints {
        let patch = serde_json::json!({ "spec": { "taints": json(&taints) } });
        plan.actions.push(Action::Patch { on: crate::controllers::target(node), patch });
    }
}

/// Nobody can vouch for the pods of a silent node: they leave their Services.
fn mark_pods(world: &World, node: &Node, now: Time, plan: &mut Plan) {
    for pod in world.pods_on(&node.metadata.name) {
        let mut status = pod.status.clone();
        let Some(ready) = status.conditions.iter_mut().find(|c| c.kind == "Ready") else { continue };
        if ready.status != ConditionStatus::True {
            continue;
        }
        ready.status = ConditionStatus::False;
        ready.last_transition_time = Some(now.whole());
        plan.actions.push(Action::UpdateStatus { on: exact(pod), status: json(&status) });
        plan.actions.push(note(pod, COMPONENT, true, "NodeNotReady", "Node is not ready".into()));
    }
}
