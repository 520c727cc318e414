//! The reconcilers: pure functions from the world and the time to what should be done next.
//!
//! Each makes one pass, as upstream's `sync`: apply its actions to the world and call again until nothing is left to
//! do. They are total: trouble becomes a note, never an error. Expectations, work queues and caches of upstream are
//! absent because the world that they see is consistent.

mod claim;
mod deployment;
mod endpoints;
mod eviction;
mod garbage;
mod names;
mod namespace;
mod node_lifecycle;
mod pod_gc;
mod policy;
mod ranking;
mod replica_set;

use crate::action::{Action, Note, Plan, Target};
use crate::objects::Resource;
use crate::{Time, World, net};

pub use deployment::arithmetic::resolve_fenceposts;
pub(crate) use names::fnv64a;
pub use names::{fnv32a, safe_encode, template_hash};
pub use policy::{Controller, Policy};

/// One pass of every controller that the policy switches on.
pub fn reconcile(world: &World, policy: &Policy, now: Time) -> Plan {
    let mut plan = Plan::default();
    for controller in &policy.controllers {
        plan.merge(match controller {
            Controller::Deployment => deployment::reconcile(world, now),
            Controller::ReplicaSet => replica_set::reconcile(world, policy, now),
            Controller::EndpointSlice => endpoints::reconcile(world, policy, now),
            Controller::NodeLifecycle => node_lifecycle::reconcile(world, policy, now),
            Controller::TaintEviction => eviction::reconcile(world, now),
            Controller::PodGc => pod_gc::reconcile(world),
            Controller::GarbageCollector => garbage::reconcile(world),
            Controller::Namespace => namespace::reconcile(world),
            Controller::Addresses => policy.networks.map(|n| net::reconcile(world, &n)).unwrap_or_default(),
        });
    }
    plan
}

/// Means an object as it is now; concurrent writers do not matter.
fn target<T: Resource>(object: &T) -> Target {
    Target::loose(object.key(), &object.meta().uid)
}

/// Means exactly this version of an object.
fn exact<T: Resource>(object: &T) -> Target {
    let meta = object.meta();
    let resource_version = (!meta.resource_version.is_empty()).then(|| meta.resource_version.clone());
    Target { resource_version, ..target(object) }
}

fn note<T: Resource>(about: &T, component: &str, warning: bool, reason: &str, message: String) -> Action {
    Action::Event(Note {
        about: about.reference(),
        warning,
        reason: reason.into(),
        message,
        component: component.into(),
    })
}

/// The JSON of a value whose serialisation cannot fail.
fn json<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}
