//! Removes what a killed cluster left behind: cgroups and files. Processes, mounts, links and rules went with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use container_core::Host;

use crate::error::{Error, Result};
use crate::state::{Root, RunLock};

/// How long a killed process may take to leave its cgroup.
const DYING: Duration = Duration::from_secs(3);

/// Removes everything that only a running cluster needs. The caller holds the lock, so none runs.
pub(super) fn leftovers(root: &Root, lock: &RunLock) -> Result<()> {
    remove_cgroups(root);
    root.sweep(lock)
}

/// Removes the cluster's cgroups in every hierarchy. A process that is just dying holds its own for a moment.
fn remove_cgroups(root: &Root) {
    let deadline = Instant::now() + DYING;
    for group in cgroups(root) {
        while group.exists() && !remove_group(&group) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The cluster's cgroups that exist, one per hierarchy.
pub(crate) fn cgroups(root: &Root) -> Vec<PathBuf> {
    let Ok(host) = Host::probe() else { return Vec::new() };
    let (v1, v2) = (host.cgroups.v1.into_values(), host.cgroups.v2.into_iter().map(|unified| unified.mount));
    let mounts: BTreeSet<PathBuf> = v1.chain(v2).collect();
    let groups = mounts.into_iter().map(|mount| mount.join(root.cgroup().trim_start_matches('/')));
    groups.filter(|group| group.exists()).collect()
}

/// Removes a group and all below it; says whether all are gone.
fn remove_group(group: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(group) else { return true };
    let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let all = below.map(|entry| remove_group(&entry.path())).filter(|gone| !gone).count() == 0;
    all && std::fs::remove_dir(group).is_ok()
}

/// For a command that found no cluster: tidies if none runs, and says so.
pub(crate) fn sweep_if_idle(root: &Root) -> Error {
    if !root.dir().exists() {
        return Error::NotRunning { root: root.dir().to_owned() };
    }
    match root.lock() {
        Ok(lock) => match leftovers(root, &lock) {
            Ok(()) => Error::NotRunning { root: root.dir().to_owned() },
            Err(error) => error,
        },
        Err(Error::AlreadyRunning { .. }) => Error::Half { problem: "is starting or ending; try again".to_owned() },
        Err(error) => error,
    }
}
