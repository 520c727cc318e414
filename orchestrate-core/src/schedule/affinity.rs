//! Affinity between pods: near whom, and away from whom, within a topology.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::{Reason, Rejection};
use super::snapshot::{NodeInfo, Snapshot};
use crate::World;
use crate::objects::{Affinity, Pod, PodAffinity, PodAffinityTerm};

/// A topology key and one of its values.
type Place = (String, String);

/// What the affinity of a pod, and that of the pods already there, comes to.
#[derive(Default)]
pub(super) struct Terms {
    /// For each required term: its key and the places where a matching pod is.
    near: Vec<(String, BTreeSet<Place>)>,
    /// No pod matches yet, but the pod matches its own terms: it may be the first.
    first: bool,
    /// Places to stay away from, by the pod's own wish.
    away: BTreeSet<Place>,
    /// Places whose pods want it away.
    unwelcome: BTreeSet<Place>,
    /// What places are worth.
    worth: BTreeMap<Place, i64>,
}

fn required(affinity: Option<&PodAffinity>) -> &[PodAffinityTerm] {
    affinity.map(|a| a.required_during_scheduling_ignored_during_execution.as_slice()).unwrap_or_default()
}

fn preferred(affinity: Option<&PodAffinity>) -> impl Iterator<Item = (i64, &PodAffinityTerm)> {
    let terms = affinity.map(|a| a.preferred_during_scheduling_ignored_during_execution.as_slice());
    terms.unwrap_or_default().iter().map(|t| (i64::from(t.weight), &t.pod_affinity_term))
}

/// Says whether `other` is one of the pods that a term of `owner` means.
fn means(world: &World, owner: &Pod, term: &PodAffinityTerm, other: &Pod) -> bool {
    let namespace = &other.metadata.namespace;
    let listed = term.namespaces.contains(namespace);
    let selected = term.namespace_selector.as_ref().is_some_and(|s| {
        let labels = world.namespaces.get("", namespace).map(|n| n.metadata.labels.clone()).unwrap_or_default();
        s.matches(&labels)
    });
    let own = term.namespaces.is_empty() && term.namespace_selector.is_none() && *namespace == owner.metadata.namespace;
    (listed || selected || own) && term.label_selector.as_ref().is_some_and(|s| s.matches(&other.metadata.labels))
}

fn place(node: &NodeInfo, key: &str) -> Option<Place> {
    node.labels.get(key).map(|value| (key.to_string(), value.clone()))
}

impl Terms {
    pub(super) fn of(world: &World, snapshot: &Snapshot, pod: &Pod) -> Self {
        let affinity = pod.spec.affinity.clone().unwrap_or_default();
        let wants = affinity.pod_affinity.is_some() || affinity.pod_anti_affinity.is_some();
        let mut terms = Self::default();
        let near = required(affinity.pod_affinity.as_ref());
        terms.near = near.iter().map(|t| (t.topology_key.clone(), BTreeSet::new())).collect();
        for node in snapshot.nodes.values() {
            for other in &node.pods {
                if wants {
                    terms.count_own(world, pod, &affinity, node, other);
                }
                terms.count_others(world, pod, node, other);
            }
        }
        let none = terms.near.iter().all(|(_, places)| places.is_empty());
        terms.first = none && near.iter().all(|t| means(world, pod, t, pod));
        terms
    }

    /// What the pod thinks of another one.
    fn count_own(&mut self, world: &World, pod: &Pod, affinity: &Affinity, node: &NodeInfo, other: &Pod) {
        let near = required(affinity.pod_affinity.as_ref());
        if near.iter().all(|t| means(world, pod, t, other)) {
            for (term, (_, places)) in near.iter().zip(&mut self.near) {
                places.extend(place(node, &term.topology_key));
            }
        }
        for term in required(affinity.pod_anti_affinity.as_ref()).iter().filter(|t| means(world, pod, t, other)) {
            self.away.extend(place(node, &term.topology_key));
        }
        for (weight, term) in preferred(affinity.pod_affinity.as_ref()) {
            self.add(weight, world, (pod, term, other), node);
        }
        for (weight, term) in preferred(affinity.pod_anti_affinity.as_ref()) {
            self.add(-weight, world, (pod, term, other), node);
        }
    }

    /// What another pod thinks of this one.
    fn count_others(&mut self, world: &World, pod: &Pod, node: &NodeInfo, other: &Pod) {
        let Some(affinity) = &other.spec.affinity else { return };
        let away = required(affinity.pod_anti_affinity.as_ref());
        for term in away.iter().filter(|t| means(world, other, t, pod)) {
            self.unwelcome.extend(place(node, &term.topology_key));
        }
        for term in required(affinity.pod_affinity.as_ref()) {
            self.add(1, world, (other, term, pod), node);
        }
        for (weight, term) in preferred(affinity.pod_affinity.as_ref()) {
            self.add(weight, world, (other, term, pod), node);
        }
        for (weight, term) in preferred(affinity.pod_anti_affinity.as_ref()) {
            self.add(-weight, world, (other, term, pod), node);
        }
    }

    fn add(&mut self, weight: i64, world: &World, (owner, term, other): (&Pod, &PodAffinityTerm, &Pod), at: &NodeInfo) {
        if means(world, owner, term, other)
            && let Some(place) = place(at, &term.topology_key)
        {
            *self.worth.entry(place).or_default() += weight;
        }
    }

    pub(super) fn check(&self, node: &NodeInfo) -> Option<Rejection> {
        let is_at = |places: &BTreeSet<Place>| places.iter().any(|(k, v)| node.labels.get(k) == Some(v));
        let near = self.near.iter().all(|(key, places)| {
            node.labels.contains_key(key) && (self.first || places.iter().any(|(_, v)| node.labels.get(key) == Some(v)))
        });
        if !near {
            return Some(Rejection::new(Reason::Affinity, false));
        }
        if is_at(&self.away) {
            return Some(Rejection::new(Reason::AntiAffinity, true));
        }
        is_at(&self.unwelcome).then(|| Rejection::new(Reason::ExistingAntiAffinity, true))
    }

    /// Scores feasible nodes; none if nobody prefers anything.
    pub(super) fn score(&self, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if self.worth.is_empty() {
            return None;
        }
        let raw = |node: &&NodeInfo| -> i64 {
            self.worth.iter().filter(|((k, v), _)| node.labels.get(k) == Some(v)).map(|(_, worth)| worth).sum()
        };
        let scores: Vec<i64> = nodes.iter().map(raw).collect();
        let (min, max) = (scores.iter().min().copied()?, scores.iter().max().copied()?);
        Some(scores.into_iter().map(|s| if max == min { 0 } else { 100 * (s - min) / (max - min) }).collect())
    }
}
