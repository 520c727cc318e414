//! The node agent's mind: what to do about one pod, given what was seen.
//!
//! `Machine::step` is called whenever something may have changed: the pod object, a fact, or the time it asked to be
//! woken at. It returns actions for an executor, the status to report, and the next wake-up. The contract with the
//! executor:
//! - facts are complete: sandbox, every image the pod names, the latest run of every container;
//! - an accepted action shows in the facts at once (`Sandbox::Starting`, `Image::Pulling`, `RunState::Starting`,
//!   `Run::stopping`), so that it is not asked for again;
//! - probe results are handed over once, in `Facts::probes`;
//! - when `Step::finished` is true, everything of the pod is gone and its object may be deleted with grace 0. If the
//!   object vanished instead, step on with a copy whose deletion has grace 0 until it is finished.
//!
//! A new machine for running containers (after a restart of the agent) takes up where facts and status stand.
//! In-place changes of a pod's spec, ephemeral containers and gRPC probes by name are absent.

mod backoff;
mod config;
mod facts;
mod files;
mod machine;
mod probes;
mod start;
mod status;
mod stop;

use crate::Time;
use crate::action::Note;
use crate::objects::{LifecycleHandler, PodStatus, Probe};
use crate::time::Millis;

pub use config::{Addresses, ContainerConfig, container_config};
pub use facts::{Exit, Facts, Image, Outcome, ProbeKind, ProbeResult, Run, RunState, Sandbox, Stopping};
pub use files::{FileBody, volume_files};
pub use machine::Machine;
pub use status::qos_class;

/// One thing that the executor is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeAction {
    /// Make the pod's network, volumes and shared namespaces.
    EnsureSandbox,
    /// Fetch an image.
    Pull {
        /// Its reference.
        image: String,
    },
    /// Create and start a container; then run its `postStart` hook.
    Start {
        /// The container's name.
        container: String,
        /// How often it was started before: the restart count.
        attempt: u32,
    },
    /// Run the hook, then signal, then after the grace period kill.
    Kill {
        /// The container's name.
        container: String,
        /// Seconds, hook included; 0 kills at once.
        grace: i64,
        /// Why, for people.
        reason: String,
        /// Runs first, within the grace period.
        pre_stop: Option<LifecycleHandler>,
    },
    /// Run a probe once; its result comes back as a fact with the same number.
    Probe {
        /// The container's name.
        container: String,
        /// Which of its probes.
        kind: ProbeKind,
        /// What to do, and the timeout.
        probe: Probe,
        /// The number to report it under.
        number: u64,
    },
    /// Tear down network, volumes and cgroups.
    RemoveSandbox,
    /// Tell people.
    Event(Note),
}

/// What a step decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// What to do now.
    pub actions: Vec<NodeAction>,
    /// What to report (compare with the stored one before writing).
    pub status: PodStatus,
    /// When to step again at the latest.
    pub wake: Option<Time>,
    /// Whether the pod was being deleted and nothing of it is left.
    pub finished: bool,
}

/// The knobs of a node agent, with upstream's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePolicy {
    /// The node's name, for events.
    pub node: String,
    /// The first delay after a crash or a failed pull.
    pub backoff_start: Millis,
    /// The longest delay.
    pub backoff_max: Millis,
    /// A run this long makes the next crash count as the first.
    pub backoff_reset: Millis,
    /// How long a failed pull is shown as `ErrImagePull` before it becomes `ImagePullBackOff`.
    pub error_shown: Millis,
}

impl Default for NodePolicy {
    fn default() -> Self {
        Self {
            node: String::new(),
            backoff_start: 10_000,
            backoff_max: 300_000,
            backoff_reset: 600_000,
            error_shown: 2000,
        }
    }
}
