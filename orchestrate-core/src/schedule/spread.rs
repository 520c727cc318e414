//! Spreading over topologies: the pod's own constraints, or the system's gentle defaults.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::{Reason, Rejection, matches_node};
use super::snapshot::{NodeInfo, Snapshot};
use crate::World;
use crate::objects::{LabelSelector, Pod, TaintEffect, TopologySpreadConstraint, WhenUnsatisfiable, subset};

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// The constraints that apply to a pod, with what is already where.
pub(super) struct Spread {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    /// The pod's own soft constraints want every key on a node; the defaults do not mind.
    all_keys: bool,
}

struct Constraint {
    key: String,
    max_skew: i64,
    min_domains: usize,
    /// Whether the pod itself counts.
    matches_self: bool,
    /// Matching pods by value of the key, over the nodes that count.
    counts: BTreeMap<String, i64>,
}

/// The value of a topology key; every node is its own host, label or not.
fn domain<'a>(node: &'a NodeInfo, key: &str) -> Option<&'a str> {
    let label = node.labels.get(key).map(String::as_str);
    if key == HOSTNAME { label.or(Some(&node.name)) } else { label }
}

/// The selector that the system's defaults use: the pod's Services and its ReplicaSet.
fn default_selector(world: &World, pod: &Pod) -> LabelSelector {
    let mut selector = LabelSelector::default();
    for service in world.services.in_namespace(&pod.metadata.namespace) {
        if !service.spec.selector.is_empty() && subset(&service.spec.selector, &pod.metadata.labels) {
            selector.match_labels.extend(service.spec.selector.clone());
        }
    }
    let owner = pod.metadata.controller().and_then(|o| world.by_uid(&o.uid));
    if let Some(set) = owner.and_then(|key| world.replica_sets.find(&key.name)) {
        selector.match_labels.extend(set.spec.selector.match_labels.clone());
        selector.match_expressions.extend(set.spec.selector.match_expressions.clone());
    }
    selector
}

fn default_constraints(world: &World, pod: &Pod) -> Vec<TopologySpreadConstraint> {
    let selector = default_selector(world, pod);
    if selector.is_empty() {
        return Vec::new();
    }
    let constraint = |key: &str, max_skew| TopologySpreadConstraint {
        max_skew,
        topology_key: key.into(),
        when_unsatisfiable: WhenUnsatisfiable::ScheduleAnyway,
        label_selector: Some(selector.clone()),
        ..TopologySpreadConstraint::default()
    };
    vec![constraint(HOSTNAME, 3), constraint(ZONE, 5)]
}

impl Spread {
    pub(super) fn of(world: &World, snapshot: &Snapshot, pod: &Pod) -> Self {
        let own = &pod.spec.topology_spread_constraints;
        let all = if own.is_empty() { default_constraints(world, pod) } else { own.clone() };
        let pick = |when: WhenUnsatisfiable| -> Vec<&TopologySpreadConstraint> {
            all.iter().filter(|c| c.when_unsatisfiable == when).collect()
        };
        let hard = pick(WhenUnsatisfiable::DoNotSchedule);
        let soft = pick(WhenUnsatisfiable::ScheduleAnyway);
        let build = |set: &[&TopologySpreadConstraint], every_key: bool| -> Vec<Constraint> {
            let keys: Vec<&str> = set.iter().map(|c| c.topology_key.as_str()).collect();
            set.iter().map(|c| Constraint::of(c, if every_key { &keys } else { &[] }, snapshot, pod)).collect()
        };
        Self { hard: build(&hard, true), soft: build(&soft, !own.is_empty()), all_keys: !own.is_empty() }
    }

    /// Checks the hard constraints.
    pub(super) fn check(&self, node: &NodeInfo) -> Option<Rejection> {
        for constraint in &self.hard {
            let Some(value) = node.labels.get(&constraint.key) else {
                return Some(Rejection::new(Reason::SpreadLabel, false));
            };
            let here = constraint.counts.get(value).copied().unwrap_or_default();
            let few = constraint.counts.len() < constraint.min_domains;
            let least = if few { 0 } else { constraint.counts.values().min().copied().unwrap_or_default() };
            if here + i64::from(constraint.matches_self) - least > constraint.max_skew {
                return Some(Rejection::new(Reason::Spread, true));
            }
        }
        None
    }

    /// Scores feasible nodes by the soft constraints; none if there is no such constraint.
    pub(super) fn score(&self, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if self.soft.is_empty() {
            return None;
        }
        let has = |node: &NodeInfo| !self.all_keys || self.soft.iter().all(|c| node.labels.contains_key(&c.key));
        let weights: Vec<f64> = self.soft.iter().map(|c| weight(c, nodes, &has)).collect();
        let raw: Vec<Option<i64>> = nodes
            .iter()
            .map(|node| {
                has(node).then(|| {
                    let parts = self.soft.iter().zip(&weights).filter_map(|(c, weight)| {
                        let here = c.counts.get(domain(node, &c.key)?).copied().unwrap_or_default();
                        Some(here as f64 * weight + (c.max_skew - 1) as f64)
                    });
                    libm::round(parts.sum()) as i64
                })
            })
            .collect();
        let max = raw.iter().flatten().max().copied().unwrap_or_default();
        let min = raw.iter().flatten().min().copied().unwrap_or_default();
        let normal = |score: Option<i64>| match score {
            None => 0,
            Some(_) if max == 0 => 100,
            Some(score) => 100 * (max + min - score) / max,
        };
        Some(raw.into_iter().map(normal).collect())
    }
}

/// Few domains weigh little: each pod more in one of them says less.
fn weight(constraint: &Constraint, nodes: &[&NodeInfo], has: &impl Fn(&NodeInfo) -> bool) -> f64 {
    let domains: BTreeSet<&str> = nodes.iter().filter(|n| has(n)).filter_map(|n| domain(n, &constraint.key)).collect();
    libm::log(domains.len() as f64 + 2.0)
}

impl Constraint {
    fn of(from: &TopologySpreadConstraint, keys: &[&str], snapshot: &Snapshot, pod: &Pod) -> Self {
        let mut selector = from.label_selector.clone();
        if let Some(selector) = &mut selector {
            for key in &from.match_label_keys {
                if let Some(value) = pod.metadata.labels.get(key) {
                    selector.match_labels.insert(key.clone(), value.clone());
                }
            }
        }
        // No selector means no pod.
        let matches = |p: &Pod| selector.as_ref().is_some_and(|s| s.matches(&p.metadata.labels));
        let mut counts = BTreeMap::new();
        for node in snapshot.nodes.values() {
            let labelled = keys.iter().all(|k| node.labels.contains_key(*k));
            if !labelled || !counts_for(from, pod, node) {
                continue;
            }
            let Some(value) = domain(node, &from.topology_key) else { continue };
            let same = |p: &&Pod| p.metadata.namespace == pod.metadata.namespace && !p.metadata.is_deleting();
            let here = node.pods.iter().filter(same).filter(|p| matches(p)).count();
            *counts.entry(value.to_string()).or_default() += i64::try_from(here).unwrap_or(i64::MAX);
        }
        Self {
            key: from.topology_key.clone(),
            max_skew: from.max_skew.into(),
            min_domains: from.min_domains.and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
            matches_self: matches(pod),
            counts,
        }
    }
}

/// Says whether a node's pods count, by the constraint's inclusion policies.
fn counts_for(from: &TopologySpreadConstraint, pod: &Pod, node: &NodeInfo) -> bool {
    let affinity = from.node_affinity_policy.as_deref() == Some("Ignore") || matches_node(pod, node);
    let tolerated = || {
        let mut hard = node.taints.iter().filter(|t| t.effect != TaintEffect::PreferNoSchedule);
        hard.all(|t| pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(t)))
    };
    affinity && (from.node_taints_policy.as_deref() != Some("Honor") || tolerated())
}
