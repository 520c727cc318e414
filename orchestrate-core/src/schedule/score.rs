//! Scores: how good is each feasible node? Every part is 0 to 100; the weights are upstream's.

use std::collections::BTreeMap;

use super::affinity::Terms;
use super::snapshot::{NodeInfo, nonzero};
use super::spread::Spread;
use crate::objects::{Pod, TaintEffect};

/// Weight of each part.
pub const WEIGHTS: [(&str, i64); 6] = [
    ("TaintToleration", 3),
    ("NodeAffinity", 2),
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("NodeResourcesFit", 1),
    ("NodeResourcesBalancedAllocation", 1),
];

/// What one node got, part by part, in the order of `WEIGHTS`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scores(pub [i64; 6]);

impl Scores {
    /// The weighted sum.
    pub fn total(&self) -> i64 {
        self.0.iter().zip(WEIGHTS).map(|(score, (_, weight))| score * weight).sum()
    }
}

/// Scores all feasible nodes.
pub(super) fn all(pod: &Pod, nodes: &[&NodeInfo], spread: &Spread, affinity: &Terms) -> BTreeMap<String, Scores> {
    let zero = || vec![0; nodes.len()];
    let parts = [
        taints(pod, nodes),
        node_affinity(pod, nodes),
        spread.score(nodes).unwrap_or_else(zero),
        affinity.score(nodes).unwrap_or_else(zero),
        nodes.iter().map(|n| least_allocated(pod, n)).collect(),
        nodes.iter().map(|n| balanced(pod, n)).collect(),
    ];
    let scores = |at: usize| Scores(parts.each_ref().map(|part: &Vec<i64>| part.get(at).copied().unwrap_or_default()));
    nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), scores(at))).collect()
}

/// Scales so that the largest becomes 100.
fn normalise(raw: Vec<i64>, reverse: bool) -> Vec<i64> {
    let max = raw.iter().max().copied().unwrap_or_default();
    let scaled = raw.into_iter().map(|s| if max == 0 { 0 } else { 100 * s / max });
    scaled.map(|s| if reverse { 100 - s } else { s }).collect()
}

/// The fewer merely unfriendly taints, the better.
fn taints(pod: &Pod, nodes: &[&NodeInfo]) -> Vec<i64> {
    let soft = Some(TaintEffect::PreferNoSchedule);
    let relevant: Vec<_> = pod.spec.tolerations.iter().filter(|t| t.effect.is_none() || t.effect == soft).collect();
    let count = |node: &&NodeInfo| {
        let unfriendly = node.taints.iter().filter(|t| Some(t.effect) == soft);
        let untolerated = unfriendly.filter(|t| !relevant.iter().any(|toleration| toleration.tolerates(t)));
        i64::try_from(untolerated.count()).unwrap_or(i64::MAX)
    };
    normalise(nodes.iter().map(count).collect(), true)
}

fn node_affinity(pod: &Pod, nodes: &[&NodeInfo]) -> Vec<i64> {
    let affinity = pod.spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let terms = affinity.map(|a| a.preferred_during_scheduling_ignored_during_execution.as_slice());
    let terms = terms.unwrap_or_default();
    let sum = |node: &&NodeInfo| -> i64 {
        let matching = terms.iter().filter(|t| t.preference.matches(&node.name, &node.labels));
        matching.map(|t| i64::from(t.weight)).sum()
    };
    normalise(nodes.iter().map(sum).collect(), false)
}

/// The more would be left free, the better.
fn least_allocated(pod: &Pod, node: &NodeInfo) -> i64 {
    let (cpu, memory) = nonzero(pod);
    let wanted = [("cpu", node.nonzero.0 + cpu), ("memory", node.nonzero.1 + memory)];
    let (mut sum, mut weights) = (0, 0);
    for (name, requested) in wanted {
        let capacity = node.has(name);
        if capacity > 0 {
            weights += 1;
            if requested <= capacity {
                sum += i128::from(capacity - requested) * 100 / i128::from(capacity);
            }
        }
    }
    if weights == 0 { 0 } else { i64::try_from(sum / weights).unwrap_or_default() }
}

/// The more evenly cpu and memory would be used than now, the better. Pods that ask for nothing have no say.
fn balanced(pod: &Pod, node: &NodeInfo) -> i64 {
    let wanted = (pod.request("cpu").milli(), pod.request("memory").value());
    if wanted == (0, 0) {
        return 0;
    }
    let evenness = |cpu: i64, memory: i64| {
        let (has_cpu, has_memory) = (i128::from(node.has("cpu")), i128::from(node.has("memory")));
        if has_cpu == 0 || has_memory == 0 {
            return 100;
        }
        let (cpu, memory) = (i128::from(cpu).min(has_cpu), i128::from(memory).min(has_memory));
        let whole = has_cpu * has_memory;
        let difference = (cpu * has_memory - memory * has_cpu).abs();
        // 100 × (1 − half the difference of the two fractions), cut.
        100 - i64::try_from((50 * difference + whole - 1) / whole).unwrap_or_default()
    };
    let (cpu, memory) = (node.taken("cpu"), node.taken("memory"));
    50 + (50 + evenness(cpu + wanted.0, memory + wanted.1) - evenness(cpu, memory)) / 2
}
