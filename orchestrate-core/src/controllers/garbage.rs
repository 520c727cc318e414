//! Garbage collection along owner references: background, foreground and orphaning.
//!
//! An object all of whose owners are gone is deleted. An owner with the finalizer `foregroundDeletion` waits until no
//! dependent blocks it; one with `orphan` first lets its dependents go. Owners of kinds that this crate does not know
//! are never judged: they count as present. Cycles of blocking references are found as strongly connected components
//! and do not block.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::json;

use super::json as to_json;
use crate::World;
use crate::action::{Action, Plan, Propagation, Target};
use crate::objects::{Key, Kind, ObjectMeta, OwnerReference};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

pub(super) fn reconcile(world: &World) -> Plan {
    let mut plan = Plan::default();
    let dependents: BTreeSet<&Key> = world.owners().flat_map(|(_, keys)| keys).collect();
    for key in dependents {
        if let Some(meta) = world.meta(key).filter(|m| !m.is_deleting()) {
            collect(world, key, meta, &mut plan);
        }
    }
    let mut waiting = Vec::new();
    for key in world.deleting() {
        let Some(meta) = world.meta(key) else { continue };
        if has(meta, ORPHAN) {
            orphan(world, key, meta, &mut plan);
        } else if has(meta, FOREGROUND) {
            waiting.push(key.clone());
        }
    }
    release_foreground(world, &waiting, &mut plan);
    plan
}

fn has(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|f| f == finalizer)
}

enum Owner {
    /// Present, or of a kind that is none of our business.
    Solid,
    /// Gone.
    Dangling,
    /// Present but waiting for its dependents to be deleted.
    Waiting,
}

fn classify(world: &World, dependent: &Key, owner: &OwnerReference) -> Owner {
    let Some(kind) = Kind::find(&owner.api_version, &owner.kind) else { return Owner::Solid };
    let found = world.by_uid(&owner.uid).filter(|key| {
        // A namespaced owner lives beside its dependents; anything else is not the owner that was meant.
        let place = key.name.namespace.is_empty() || key.name.namespace == dependent.name.namespace;
        key.kind == kind && key.name.name == owner.name && place
    });
    let Some(meta) = found.and_then(|key| world.meta(key)) else { return Owner::Dangling };
    if meta.is_deleting() && has(meta, FOREGROUND) { Owner::Waiting } else { Owner::Solid }
}

fn collect(world: &World, key: &Key, meta: &ObjectMeta, plan: &mut Plan) {
    let (mut solid, mut waiting) = (Vec::new(), Vec::new());
    for owner in &meta.owner_references {
        match classify(world, key, owner) {
            Owner::Solid => solid.push(owner),
            Owner::Waiting => waiting.push(owner),
            Owner::Dangling => {}
        }
    }
    if !solid.is_empty() {
        if solid.len() < meta.owner_references.len() {
            let patch = json!({ "metadata": { "ownerReferences": to_json(&solid) } });
            plan.actions.push(Action::Patch { on: exact(key, meta), patch });
        }
        return;
    }
    if meta.owner_references.is_empty() {
        return;
    }
    let has_dependents = world.owned_by(&meta.uid).next().is_some();
    let propagation = match () {
        () if has(meta, ORPHAN) => Propagation::Orphan,
        () if has(meta, FOREGROUND) || (!waiting.is_empty() && has_dependents) => Propagation::Foreground,
        () => Propagation::Background,
    };
    plan.actions.push(Action::Delete { on: exact(key, meta), grace: None, propagation });
}

fn exact(key: &Key, meta: &ObjectMeta) -> Target {
    let resource_version = (!meta.resource_version.is_empty()).then(|| meta.resource_version.clone());
    Target { resource_version, ..Target::loose(key.clone(), &meta.uid) }
}

fn orphan(world: &World, key: &Key, meta: &ObjectMeta, plan: &mut Plan) {
    for dependent in world.owned_by(&meta.uid) {
        let Some(theirs) = world.meta(dependent) else { continue };
        let rest: Vec<_> = theirs.owner_references.iter().filter(|o| o.uid != meta.uid).collect();
        let patch = json!({ "metadata": { "ownerReferences": to_json(&rest) } });
        plan.actions.push(Action::Patch { on: exact(dependent, theirs), patch });
    }
    drop_finalizer(key, meta, ORPHAN, plan);
}

fn drop_finalizer(key: &Key, meta: &ObjectMeta, finalizer: &str, plan: &mut Plan) {
    let rest: Vec<_> = meta.finalizers.iter().filter(|f| *f != finalizer).collect();
    let patch = json!({ "metadata": { "finalizers": rest } });
    plan.actions.push(Action::Patch { on: Target::loose(key.clone(), &meta.uid), patch });
}

/// Lets go of every waiting owner that no dependent blocks, cycles aside.
fn release_foreground(world: &World, waiting: &[Key], plan: &mut Plan) {
    let circle = circles(world, waiting);
    for key in waiting {
        let Some(meta) = world.meta(key) else { continue };
        let blocks = |dependent: &Key| {
            let theirs = world.meta(dependent).map(|m| m.owner_references.as_slice()).unwrap_or_default();
            let blocking = theirs.iter().any(|o| o.uid == meta.uid && o.block_owner_deletion == Some(true));
            let same_circle = circle.get(dependent).is_some_and(|c| circle.get(key) == Some(c));
            blocking && !same_circle
        };
        if !world.owned_by(&meta.uid).any(blocks) {
            drop_finalizer(key, meta, FOREGROUND, plan);
        }
    }
}

/// For every waiting object in a cycle of owners, the number of its cycle.
fn circles(world: &World, waiting: &[Key]) -> BTreeMap<Key, usize> {
    let mut graph: DiGraph<&Key, ()> = DiGraph::new();
    let index: BTreeMap<&Key, NodeIndex> = waiting.iter().map(|key| (key, graph.add_node(key))).collect();
    for (key, from) in &index {
        let uid = world.meta(key).map(|m| m.uid.as_str()).unwrap_or_default();
        for to in world.owned_by(uid).filter_map(|dependent| index.get(dependent)) {
            graph.add_edge(*from, *to, ());
        }
    }
    let groups = tarjan_scc(&graph).into_iter().enumerate().filter(|(_, group)| group.len() > 1);
    groups
        .flat_map(|(n, group)| group.into_iter().map(move |at| (at, n)))
        .map(|(at, n)| (graph[at].clone(), n))
        .collect()
}
