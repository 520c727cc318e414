//! kill -9 of mini-docker's command line and supervisors at random moments; the next command must find every
//! container in a legal state, or nothing of it.
//!
//! Absent: the same for the cluster, whose one process takes everything with it; its own tests kill it.

use std::time::Instant;

use super::Outcome;

/// Kills until the deadline.
pub fn run(_seed: u64, _deadline: Instant) -> Outcome {
    Outcome::skipped("mini-docker is not there yet")
}
