//! What must be remembered to find a container again after its launcher is gone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup::Group;
use crate::{Container, ContainerId, Result};

/// A container as another process can find it: never by pid alone, which may belong to somebody else by now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its name.
    pub id: ContainerId,
    /// Pid of its first process, as its launcher saw it.
    pub pid: i32,
    /// When that process started, in the kernel's ticks since boot.
    pub start_time: u64,
    /// The boot it started in.
    pub boot_id: String,
    /// Its control groups.
    pub group: Group,
    pub(crate) template: crate::container::Template,
}

/// What adopting found.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it runs or it does not")]
pub enum Adopted {
    /// The very process still exists.
    Running(Box<Container>),
    /// It is gone; how it ended nobody saw.
    Gone,
}

impl Record {
    /// Ends and removes whatever the container left behind: processes of its groups, and the groups.
    ///
    /// # Errors
    /// `Io` names the group that stayed.
    pub fn clean(&self) -> Result<()> {
        self.group.clean()
    }
}

/// Start time of a process, the 22nd field of its `stat`.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    // The name may hold spaces and brackets; what follows the last bracket does not.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
