//! Namespaces that are being deleted: first their pods, then everything else, then the finalizer `kubernetes`.
//!
//! The driver sends the patch of `spec.finalizers` to the subresource `finalize`.

use serde_json::json;

use super::target;
use crate::World;
use crate::action::{Action, Plan, Propagation, Target};
use crate::objects::{Key, Kind, Namespace};

pub(super) fn reconcile(world: &World) -> Plan {
    let mut plan = Plan::default();
    for namespace in world.namespaces.iter().filter(|n| n.metadata.is_deleting()) {
        empty(world, namespace, &mut plan);
    }
    plan
}

fn empty(world: &World, namespace: &Namespace, plan: &mut Plan) {
    let content = world.keys_in(&namespace.metadata.name);
    let pods: Vec<&Key> = content.iter().filter(|k| k.kind == Kind::Pod).collect();
    let stage: Vec<&Key> = if pods.is_empty() { content.iter().collect() } else { pods };
    for key in &stage {
        let Some(meta) = world.meta(key).filter(|m| !m.is_deleting()) else { continue };
        let on = Target::loose((*key).clone(), &meta.uid);
        plan.actions.push(Action::Delete { on, grace: None, propagation: Propagation::Background });
    }
    if stage.is_empty() && namespace.spec.finalizers.iter().any(|f| f == "kubernetes") {
        let rest: Vec<&String> = namespace.spec.finalizers.iter().filter(|f| *f != "kubernetes").collect();
        let patch = json!({ "spec": { "finalizers": rest } });
        plan.actions.push(Action::Patch { on: target(namespace), patch });
    }
}
