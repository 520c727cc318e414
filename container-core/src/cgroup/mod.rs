//! Control groups: what a container may use, and everything it started, by one handle.
//!
//! [`compile`] turns limits into a [`CgroupPlan`] (pure: which groups, which files, which values); [`Group`] makes,
//! reads, freezes and removes them. Versions 1 and 2 are chosen per controller, so that hybrid machines work: a
//! controller is used where the kernel has it.
//!
//! Absent on purpose: systemd. The caller names the parent group.

use std::fmt;
use std::path::PathBuf;

mod devices;
mod group;
mod limits;

pub(crate) use group::remove_parent;
pub use group::{Group, Stats};
pub use limits::compile;

/// Which tree a group belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "there are two versions")]
pub enum Hierarchy {
    /// A version-1 controller's own tree.
    V1(String),
    /// The unified tree.
    Unified,
}

impl fmt::Display for Hierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1(controller) => f.write_str(controller),
            Self::Unified => f.write_str("unified"),
        }
    }
}

/// One group to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlan {
    /// Its tree.
    pub hierarchy: Hierarchy,
    /// Mount point of the tree.
    pub mount: PathBuf,
    /// Path below the mount point.
    pub path: String,
    /// Files and what is written to them, in order.
    pub writes: Vec<(String, String)>,
    /// Controllers to switch on in the ancestors (unified only).
    pub controllers: Vec<String>,
}

impl GroupPlan {
    pub(crate) fn folder(&self) -> PathBuf {
        self.mount.join(self.path.trim_start_matches('/'))
    }

    pub(crate) fn v1_controller(&self) -> Option<&str> {
        match &self.hierarchy {
            Hierarchy::V1(controller) => Some(controller),
            Hierarchy::Unified => None,
        }
    }
}

/// All groups of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CgroupPlan {
    /// The groups.
    pub groups: Vec<GroupPlan>,
    /// Program that decides about devices (unified only).
    pub device_program: Vec<u64>,
    /// Limits asked for that this machine cannot enforce.
    pub not_enforced: Vec<String>,
}

impl CgroupPlan {
    /// Indexes of the groups that the child joins by writing to their `tasks` file.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = usize> + '_ {
        self.groups.iter().enumerate().filter(|(_, group)| group.v1_controller().is_some()).map(|(index, _)| index)
    }
}

impl fmt::Display for CgroupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.groups {
            write!(f, "cgroup {} {}", group.hierarchy, group.path)?;
            for (file, value) in &group.writes {
                write!(f, " {file}={value}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
