//! Pods that nobody will ever finish: their node object is gone, or they were deleted before they had a node.
//!
//! Upstream waits 40 s before it believes that a node is gone, for its caches may lag; the world here does not.

use super::{note, target};
use crate::World;
use crate::action::{Action, Plan, Propagation};
use crate::objects::{Node, Pod};

const COMPONENT: &str = "pod-garbage-collector";
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

pub(super) fn reconcile(world: &World) -> Plan {
    let mut plan = Plan::default();
    for pod in world.pods.iter() {
        let node = world.nodes.get("", &pod.spec.node_name);
        if let Some(message) = reason(pod, node) {
            plan.actions.push(note(pod, COMPONENT, false, "PodGC", message.into()));
            plan.actions.push(Action::Delete { on: target(pod), grace: Some(0), propagation: Propagation::Background });
        }
    }
    plan
}

fn reason(pod: &Pod, node: Option<&Node>) -> Option<&'static str> {
    if pod.spec.node_name.is_empty() {
        return pod.metadata.is_deleting().then_some("PodGC: unscheduled pod is being deleted");
    }
    let Some(node) = node else { return Some("PodGC: node no longer exists") };
    let out_of_service = node.spec.taints.iter().any(|t| t.key == OUT_OF_SERVICE);
    (out_of_service && pod.metadata.is_deleting()).then_some("PodGC: node is out of service")
}
