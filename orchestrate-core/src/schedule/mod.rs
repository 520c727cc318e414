//! The scheduler: which node is best for a pod, and why not the others.
//!
//! `schedule` is one decision: filters in upstream's order, scores of 0 to 100 with upstream's weights, the tie policy.
//! It looks at every node (upstream samples large clusters). `Scheduler` keeps the queue: who waits, who backs off.
//! Numbers are integers throughout, so where upstream's floats round just below a whole number the score may be one
//! higher here. Preemption, volumes, image locality, dynamic resources and gangs are absent.

mod affinity;
mod explain;
mod filter;
mod queue;
mod score;
mod snapshot;
mod spread;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::World;
use crate::objects::Pod;

pub use filter::{Reason, Rejection};
pub use queue::{QueuePolicy, Scheduler};
pub use score::{Scores, WEIGHTS};
pub use snapshot::{NodeInfo, Snapshot};

/// Who wins among nodes of equal score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The first by name.
    First,
    /// One that the seed and the pod choose (upstream draws at random).
    Seeded(u64),
}

/// What was decided about a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The node to bind to.
    Place {
        /// Its name.
        node: String,
        /// What every feasible node got.
        scores: BTreeMap<String, Scores>,
    },
    /// No node, for these reasons.
    Refuse(Refusal),
}

/// Why a pod fits nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// How many nodes there are.
    pub nodes: usize,
    /// The first reasons of each node, by name.
    pub rejections: BTreeMap<String, Rejection>,
    /// Whether the pod may push others away at all.
    pub may_preempt: bool,
}

/// Decides about one pod.
pub fn schedule(world: &World, snapshot: &Snapshot, pod: &Pod, tie: Tie) -> Decision {
    let spread = spread::Spread::of(world, snapshot, pod);
    let mut refusal = Refusal {
        nodes: snapshot.nodes.len(),
        may_preempt: pod.spec.preemption_policy.as_deref() != Some("Never"),
        ..Refusal::default()
    };
    let mut feasible: Vec<&NodeInfo> = Vec::new();
    let affinity = affinity::Terms::of(world, snapshot, pod);
    for node in snapshot.nodes.values() {
        let rejection = filter::check(pod, node).or_else(|| spread.check(node)).or_else(|| affinity.check(node));
        match rejection {
            None => feasible.push(node),
            Some(rejection) => drop(refusal.rejections.insert(node.name.clone(), rejection)),
        }
    }
    if feasible.is_empty() {
        return Decision::Refuse(refusal);
    }
    let scores = score::all(pod, &feasible, &spread, &affinity);
    let best = scores.values().map(Scores::total).max().unwrap_or_default();
    let tied = scores.iter().filter(|(_, s)| s.total() == best).map(|(name, _)| name);
    let node = match tie {
        Tie::First => tied.min(),
        Tie::Seeded(seed) => tied.min_by_key(|name| lot(seed, pod, name)),
    };
    match node.cloned() {
        Some(node) => Decision::Place { node, scores },
        None => Decision::Refuse(refusal),
    }
}

/// The lot that a node draws for a pod.
fn lot(seed: u64, pod: &Pod, node: &str) -> u64 {
    let text = format!("{seed}/{}/{}/{node}", pod.metadata.namespace, pod.metadata.name);
    // FNV alone keeps the order of names that differ at the end only; one multiplication mixes the high bits.
    let hash = crate::controllers::fnv64a(text.as_bytes());
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
