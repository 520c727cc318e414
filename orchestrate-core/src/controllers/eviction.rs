//! Taint eviction: pods leave nodes whose `NoExecute` taints they do not (or no longer) tolerate.
//!
//! Deletion is the ordinary one. On a dead node nobody confirms it, so such a pod stays `Terminating` until the node
//! returns or is removed, as upstream; its ReplicaSet does not count it any more and replaces it at once.

use super::{exact, json, note, target};
use crate::action::{Action, Plan, Propagation};
use crate::objects::{Condition, ConditionStatus, Node, Pod, Taint, TaintEffect, set_condition};
use crate::{Time, World};

const COMPONENT: &str = "taint-eviction-controller";

pub(super) fn reconcile(world: &World, now: Time) -> Plan {
    let mut plan = Plan::default();
    for node in world.nodes.iter() {
        let taints: Vec<&Taint> = node.spec.taints.iter().filter(|t| t.effect == TaintEffect::NoExecute).collect();
        if taints.is_empty() {
            continue;
        }
        for pod in world.pods_on(&node.metadata.name).filter(|p| !p.metadata.is_deleting()) {
            match eviction_time(node, pod, &taints) {
                Some(at) if at <= now => evict(pod, now, &mut plan),
                Some(at) => plan.wake_at(at),
                None => {}
            }
        }
    }
    plan
}

/// When the pod has to go: at once for an untolerated taint, else when the shortest toleration has run out.
fn eviction_time(node: &Node, pod: &Pod, taints: &[&Taint]) -> Option<Time> {
    let mut end: Option<Time> = None;
    for taint in taints {
        let added = taint.time_added.unwrap_or(node.metadata.created());
        let using: Vec<_> = pod.spec.tolerations.iter().filter(|t| t.tolerates(taint)).collect();
        if using.is_empty() {
            return Some(Time(i64::MIN));
        }
        if let Some(seconds) = using.iter().filter_map(|t| t.toleration_seconds).min() {
            let at = added.plus_secs(seconds.max(0));
            end = Some(end.map_or(at, |e| e.min(at)));
        }
    }
    end
}

fn evict(pod: &Pod, now: Time, plan: &mut Plan) {
    let mut status = pod.status.clone();
    let message = "Taint manager: deleting due to NoExecute taint";
    let new = Condition::new("DisruptionTarget", ConditionStatus::True, "DeletionByTaintManager", message, now);
    set_condition(&mut status.conditions, new);
    plan.actions.push(Action::UpdateStatus { on: exact(pod), status: json(&status) });
    let message = format!("Marking for deletion Pod {}/{}", pod.metadata.namespace, pod.metadata.name);
    plan.actions.push(note(pod, COMPONENT, false, "TaintManagerEviction", message));
    plan.actions.push(Action::Delete { on: target(pod), grace: None, propagation: Propagation::Background });
}
