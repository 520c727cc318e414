//! What is known about a container: its definition, how it runs now, and how it last ended.
//!
//! Three files, because they live differently long. The definition and the exit survive a power
//! cut; the run state is void after a reboot and says so itself, by the boot it was written under.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log::LogOptions;
use super::policy::RestartPolicy;
use super::time::Time;

/// What a container is, from `create` on. Written once, and again by `rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Definition {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique in the state root.
    pub name: String,
    /// When it was made.
    pub created: Time,
    /// Whether the program gets a terminal instead of pipes.
    #[serde(default)]
    pub terminal: bool,
    /// Whether standard input is open; otherwise it is at its end from the start.
    #[serde(default)]
    pub stdin: bool,
    /// What happens when the program ends.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Whether the container vanishes when it ends.
    #[serde(default)]
    pub remove: bool,
    /// The signal that asks the program to end.
    #[serde(default = "sigterm")]
    pub stop_signal: i32,
    /// Whether the stop signal was chosen, by the image or by hand.
    #[serde(default)]
    pub stop_signal_chosen: bool,
    /// Seconds between the stop signal and SIGKILL; -1: never SIGKILL.
    #[serde(default = "ten")]
    pub stop_timeout: i64,
    /// How its output is kept.
    #[serde(default)]
    pub log: LogOptions,
    /// Key and value pairs of the user.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the embedding program needs to launch it: image, arguments, mounts, network.
    #[serde(default)]
    pub details: serde_json::Value,
}

fn sigterm() -> i32 {
    15
}

fn ten() -> i64 {
    10
}

impl Definition {
    /// Makes a definition with Docker's defaults.
    #[must_use]
    pub fn new(id: String, name: String, details: serde_json::Value) -> Self {
        Self {
            id,
            name,
            created: Time::now(),
            terminal: false,
            stdin: false,
            restart: RestartPolicy::No,
            remove: false,
            stop_signal: sigterm(),
            stop_signal_chosen: false,
            stop_timeout: ten(),
            log: LogOptions::default(),
            labels: BTreeMap::new(),
            details,
        }
    }

    /// The first twelve digits of the id, as lists show it.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// One of the words that Docker has for a container's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// Made, not started yet.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Between two runs, by restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Its program ended.
    Exited,
    /// It ended and could not be cleaned up.
    Dead,
}

impl Status {
    /// Docker's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Whether there are processes, or will be again without anybody asking.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// How a container is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// In one word.
    pub status: Status,
    /// The boot it was written under: after another one, nothing of it runs any more.
    pub boot_id: String,
    /// The first process, or 0.
    #[serde(default)]
    pub pid: i32,
    /// The exit code of the last run.
    #[serde(default)]
    pub exit_code: i32,
    /// Whether the kernel ended the last run for lack of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Why the last start failed, or nothing.
    #[serde(default)]
    pub error: String,
    /// When the last run began.
    #[serde(default = "never")]
    pub started_at: Time,
    /// When the last run ended.
    #[serde(default = "never")]
    pub finished_at: Time,
    /// Restarts by policy.
    #[serde(default)]
    pub restart_count: u32,
    /// Whether somebody stopped it by hand.
    #[serde(default)]
    pub stopped_by_user: bool,
    /// What is needed to find the running container again: pid, start time, cgroup.
    #[serde(default)]
    pub record: serde_json::Value,
    /// What the embedding program attached: addresses, ports.
    #[serde(default)]
    pub attachment: serde_json::Value,
}

fn never() -> Time {
    Time::NEVER
}

impl State {
    /// A container that was made and never started.
    #[must_use]
    pub fn created(boot_id: String) -> Self {
        Self {
            status: Status::Created,
            boot_id,
            pid: 0,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            started_at: Time::NEVER,
            finished_at: Time::NEVER,
            restart_count: 0,
            stopped_by_user: false,
            record: serde_json::Value::Null,
            attachment: serde_json::Value::Null,
        }
    }

    /// The state that the last exit on disk tells.
    #[must_use]
    pub fn exited(boot_id: String, exit: &Exit) -> Self {
        Self {
            status: Status::Exited,
            exit_code: exit.code,
            oom_killed: exit.oom_killed,
            error: exit.error.clone(),
            started_at: exit.started_at,
            finished_at: exit.finished_at,
            restart_count: exit.restart_count,
            stopped_by_user: exit.stopped_by_user,
            ..Self::created(boot_id)
        }
    }

    /// This state as the exit that goes to disk.
    #[must_use]
    pub fn as_exit(&self) -> Exit {
        Exit {
            code: self.exit_code,
            oom_killed: self.oom_killed,
            error: self.error.clone(),
            started_at: self.started_at,
            finished_at: self.finished_at,
            restart_count: self.restart_count,
            stopped_by_user: self.stopped_by_user,
        }
    }
}

/// How a container last ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exit {
    /// Docker's exit code; 255 when nobody saw the exit.
    pub code: i32,
    /// Whether the kernel ended it for lack of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Why it could not be started, or nothing.
    #[serde(default)]
    pub error: String,
    /// When that run began.
    pub started_at: Time,
    /// When it ended.
    pub finished_at: Time,
    /// Restarts by policy until then.
    #[serde(default)]
    pub restart_count: u32,
    /// Whether somebody stopped it by hand.
    #[serde(default)]
    pub stopped_by_user: bool,
}

/// The exit code of a run whose end nobody saw.
pub const LOST: i32 = 255;
