//! ReplicaSets: the right number of pods of one template, no more and no fewer.

use super::claim::claim;
use super::names::fresh_name;
use super::policy::Policy;
use super::ranking::deletion_order;
use super::{json, note, target};
use crate::action::{Action, Plan, Propagation};
use crate::objects::{LabelSelector, Object, Pod, ReplicaSet, ReplicaSetStatus, Resource, subset};
use crate::{Time, World};

const COMPONENT: &str = "replicaset-controller";

pub(super) fn reconcile(world: &World, policy: &Policy, now: Time) -> Plan {
    let mut plan = Plan::default();
    for set in world.replica_sets.iter() {
        sync(world, policy, set, now, &mut plan);
    }
    plan
}

fn sync(world: &World, policy: &Policy, set: &ReplicaSet, now: Time, plan: &mut Plan) {
    let candidates = world.pods.in_namespace(&set.metadata.namespace);
    let mine: Vec<&Pod> = candidates.filter(|p| claim(set, &set.spec.selector, *p, &mut plan.actions)).collect();
    let active: Vec<&Pod> = mine.iter().copied().filter(|p| p.is_active()).collect();
    if !set.metadata.is_deleting() {
        let wanted = usize::try_from(set.replicas()).unwrap_or_default();
        if active.len() < wanted {
            create(world, set, (wanted - active.len()).min(policy.burst_replicas), now, plan);
        } else if active.len() > wanted {
            delete(world, set, &active, (active.len() - wanted).min(policy.burst_replicas), now, plan);
        }
    }
    update_status(set, &mine, &active, now, plan);
}

/// Makes a pod out of the set's template.
fn pod_of(set: &ReplicaSet, name: String) -> Pod {
    let template = &set.spec.template;
    let mut pod = Pod { spec: template.spec.clone(), ..Pod::default() };
    let meta = &mut pod.metadata;
    meta.namespace.clone_from(&set.metadata.namespace);
    meta.generate_name = format!("{}-", set.metadata.name);
    meta.name = name;
    meta.labels.clone_from(&template.metadata.labels);
    meta.annotations.clone_from(&template.metadata.annotations);
    meta.finalizers.clone_from(&template.metadata.finalizers);
    meta.owner_references = vec![set.owner_reference()];
    pod
}

fn create(world: &World, set: &ReplicaSet, count: usize, now: Time, plan: &mut Plan) {
    let namespace = &set.metadata.namespace;
    let mut made: Vec<String> = Vec::new();
    for number in 0..count {
        let taken = |name: &str| world.pods.get(namespace, name).is_some() || made.iter().any(|m| m == name);
        let name = fresh_name(&format!("{}-", set.metadata.name), &set.metadata.uid, now, number, taken);
        plan.actions.push(Action::Create { object: Object::from(pod_of(set, name.clone())) });
        plan.actions.push(note(set, COMPONENT, false, "SuccessfulCreate", format!("Created pod: {name}")));
        made.push(name);
    }
}

fn delete(world: &World, set: &ReplicaSet, active: &[&Pod], count: usize, now: Time, plan: &mut Plan) {
    let siblings = related(world, set);
    let mut ranked = active.to_vec();
    deletion_order(&mut ranked, &siblings, now);
    for pod in ranked.into_iter().take(count) {
        plan.actions.push(Action::Delete { on: target(pod), grace: None, propagation: Propagation::Background });
        let message = format!("Deleted pod: {}", pod.metadata.name);
        plan.actions.push(note(set, COMPONENT, false, "SuccessfulDelete", message));
    }
}

/// Active pods of this set and of all sets with the same controller: the copies that share a node count against a pod.
fn related<'a>(world: &'a World, set: &'a ReplicaSet) -> Vec<&'a Pod> {
    let owner = set.metadata.controller().map(|o| o.uid.clone());
    let same = |other: &&ReplicaSet| {
        other.metadata.uid == set.metadata.uid
            || (owner.is_some() && other.metadata.controller().map(|o| &o.uid) == owner.as_ref())
    };
    let sets: Vec<&str> = world
        .replica_sets
        .in_namespace(&set.metadata.namespace)
        .filter(same)
        .map(|s| s.metadata.uid.as_str())
        .collect();
    sets.into_iter().flat_map(|uid| world.pods_of(uid)).filter(|p| p.is_active()).collect()
}

fn update_status(set: &ReplicaSet, mine: &[&Pod], active: &[&Pod], now: Time, plan: &mut Plan) {
    let template = LabelSelector { match_labels: set.spec.template.metadata.labels.clone(), ..Default::default() };
    let count = |pods: &[&Pod], test: &dyn Fn(&Pod) -> bool| {
        i32::try_from(pods.iter().filter(|p| test(p)).count()).unwrap_or(i32::MAX)
    };
    let ready = |p: &Pod| p.is_ready();
    let status = ReplicaSetStatus {
        replicas: count(active, &|_| true),
        fully_labeled_replicas: count(active, &|p| subset(&template.match_labels, &p.metadata.labels)),
        ready_replicas: count(active, &ready),
        available_replicas: count(active, &|p| p.is_available(set.spec.min_ready_seconds, now)),
        terminating_replicas: Some(count(mine, &|p| p.metadata.is_deleting() && !p.is_finished())),
        observed_generation: set.metadata.generation,
        conditions: set.status.conditions.clone(),
        extra: set.status.extra.clone(),
    };
    let later = active.iter().filter_map(|p| p.available_at(set.spec.min_ready_seconds)).filter(|at| *at > now);
    if let Some(at) = later.min() {
        plan.wake_at(at);
    }
    if status != set.status {
        plan.actions.push(Action::UpdateStatus { on: target(set), status: json(&status) });
    }
}
