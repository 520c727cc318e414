//! What the executor has seen of a pod. Nothing here is decided.

use std::collections::BTreeMap;

use crate::Time;

/// Everything seen of one pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Network, volumes and shared namespaces.
    pub sandbox: Sandbox,
    /// The images that the pod's containers name, by reference.
    pub images: BTreeMap<String, Image>,
    /// The latest run of each container, by container name.
    pub containers: BTreeMap<String, Run>,
    /// Probe results since the last step.
    pub probes: Vec<ProbeResult>,
    /// The node's address.
    pub host_ip: String,
}

/// The pod's surroundings.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Sandbox {
    /// There is none.
    #[default]
    Absent,
    /// It is being made.
    Starting,
    /// It is there.
    Ready {
        /// The pod's address.
        ip: String,
    },
    /// It could not be made; nothing of it is left.
    Failed {
        /// Why.
        message: String,
        /// When.
        at: Time,
    },
    /// It is being torn down.
    Stopping,
}

/// An image on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Image {
    /// Not here.
    #[default]
    Absent,
    /// On its way.
    Pulling,
    /// Here.
    Present {
        /// Its id.
        id: String,
        /// When it was last found or fetched.
        at: Time,
    },
    /// The last pull failed, and the image is not here.
    Failed {
        /// Why.
        message: String,
        /// When.
        at: Time,
    },
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// How often it was started before.
    pub attempt: u32,
    /// The container's id with its scheme.
    pub id: String,
    /// The image's id.
    pub image_id: String,
    /// Where it is.
    pub state: RunState,
    /// Set while it is being killed.
    pub stopping: Option<Stopping>,
    /// How the run before ended.
    pub previous: Option<Exit>,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq)]
pub enum RunState {
    /// It is being created and started.
    Starting,
    /// It runs.
    Running {
        /// Since when.
        since: Time,
    },
    /// It ended.
    Exited(Exit),
    /// It never ran.
    Failed {
        /// `CreateContainerConfigError`, `CreateContainerError`, `RunContainerError`, `PostStartHookError`…
        reason: String,
        /// Why, for people.
        message: String,
        /// When.
        at: Time,
    },
}

/// A kill under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping {
    /// Since when.
    pub since: Time,
    /// With how many seconds of grace.
    pub grace: i64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The exit code (128 + signal for a signal).
    pub code: i32,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
    /// Whether it was killed for its memory limit.
    pub oom: bool,
    /// When it started.
    pub started: Time,
    /// When it ended.
    pub finished: Time,
    /// What it left as its termination message.
    pub message: String,
    /// The container's id.
    pub id: String,
}

/// Which probe of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Holds back the others until it succeeds.
    Startup,
    /// Restarts the container when it fails.
    Liveness,
    /// Takes the pod out of its Services while it fails.
    Readiness,
}

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// The container.
    pub container: String,
    /// Which probe.
    pub kind: ProbeKind,
    /// The number it was asked for under.
    pub number: u64,
    /// What came out.
    pub outcome: Outcome,
}

/// What came out of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Healthy.
    Success,
    /// Not healthy, with the reason for people.
    Failure(String),
}

impl ProbeKind {
    /// The word that events use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

impl Run {
    /// Says whether the run still has, or will soon have, a process.
    pub const fn is_alive(&self) -> bool {
        matches!(self.state, RunState::Starting | RunState::Running { .. })
    }

    /// Since when it runs, if it does.
    pub const fn running_since(&self) -> Option<Time> {
        if let RunState::Running { since } = self.state { Some(since) } else { None }
    }

    /// How it ended, if it did.
    pub const fn exit(&self) -> Option<&Exit> {
        if let RunState::Exited(exit) = &self.state { Some(exit) } else { None }
    }
}
