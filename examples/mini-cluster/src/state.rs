//! The state folder: where everything of one cluster lives, who may use it, and how it is tidied.
//!
//! The folder is 0700. One process holds its lock as long as a cluster runs; a command that gets the lock knows that
//! none runs and removes what a killed one left. Objects live in memory and end with the process; images stay, as a
//! cache, until the folder is removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, PathContext, Result};

/// How long a killed inside half may take to be gone.
const DYING: Duration = Duration::from_secs(10);

/// A state folder, by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    dir: PathBuf,
}

/// Proof that no other process runs a cluster in the folder; released when dropped or when the process ends.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: Flock<File>,
}

impl Root {
    /// Names the folder given by `--root`, or the usual one of this user.
    pub fn choose(given: Option<&Path>) -> Result<Self> {
        let dir = match given {
            Some(dir) => std::path::absolute(dir).at("find", dir)?,
            None => Self::usual(),
        };
        Ok(Self { dir })
    }

    fn usual() -> PathBuf {
        if nix::unistd::geteuid().is_root() {
            return PathBuf::from("/var/lib/mini-cluster");
        }
        let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
        std::env::var_os("XDG_STATE_HOME").map_or_else(|| home.join(".local/state"), PathBuf::from).join("mini-cluster")
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the folder, 0700, and refuses one that someone else owns.
    pub(crate) fn ensure(&self) -> Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).at("create", &self.dir)?;
        let metadata = fs::symlink_metadata(&self.dir).at("look at", &self.dir)?;
        if !metadata.is_dir() || metadata.uid() != nix::unistd::geteuid().as_raw() {
            return Err(Error::Input {
                subject: self.dir.display().to_string(),
                problem: "is not a folder of yours; give another --root".to_owned(),
            });
        }
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700)).at("close to others", &self.dir)
    }

    /// Takes the folder for this process, or says who is in the way.
    pub(crate) fn lock(&self) -> Result<RunLock> {
        let path = self.dir.join("lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).at("open", &path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(RunLock { _file: file }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(Error::AlreadyRunning { root: self.dir.clone() }),
            Err((_, errno)) => Err(errno).at("lock", path),
        }
    }

    /// Marks the inside half as alive, until it ends however it does.
    pub(crate) fn hold_inside(&self) -> Result<RunLock> {
        let path = self.dir.join("inside.lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).at("open", &path)?;
        let held = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).at("lock", path)?;
        Ok(RunLock { _file: held })
    }

    /// Waits until a killed inside half is really gone: what it still makes must not come after the sweep.
    fn await_inside(&self) -> Result<()> {
        let path = self.dir.join("inside.lock");
        let deadline = Instant::now() + DYING;
        loop {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).at("open", &path)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(_) => return Ok(()),
                Err((_, errno)) if Instant::now() > deadline => return Err(errno).at("lock", path),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// A short name for cgroups, the same every time for the same folder.
    #[must_use]
    pub fn cgroup(&self) -> String {
        use std::os::unix::ffi::OsStrExt;
        // FNV-1a: enough to tell folders of one machine apart; not a secret.
        let hash = self
            .dir
            .as_os_str()
            .as_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        format!("/mini-cluster-{:012x}", hash >> 16)
    }

    /// Unix socket of the API.
    pub(crate) fn api_socket(&self) -> PathBuf {
        self.dir.join("api.sock")
    }

    /// Unix socket of the API where every request must carry a token; the host's port for kubectl leads there.
    pub(crate) fn guarded_api_socket(&self) -> PathBuf {
        self.dir.join("api-guarded.sock")
    }

    /// Unix socket through which connections into the cluster's network are made.
    pub(crate) fn dial_socket(&self) -> PathBuf {
        self.dir.join("dial.sock")
    }

    /// Unix socket on which the running cluster takes `down` and the power switches of its nodes.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// Configuration for kubectl and its kin.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// What a detached cluster prints.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("cluster.log")
    }

    /// The image store's folder.
    pub(crate) fn images(&self) -> PathBuf {
        self.dir.join("images")
    }

    /// Everything of the nodes: pods, volumes, logs.
    pub(crate) fn nodes(&self) -> PathBuf {
        self.dir.join("nodes")
    }

    /// Removes what only a running cluster needs. The caller holds the lock.
    pub(crate) fn sweep(&self, _lock: &RunLock) -> Result<()> {
        self.await_inside()?;
        let sockets = [self.api_socket(), self.guarded_api_socket(), self.dial_socket(), self.control_socket()];
        for path in sockets.into_iter().chain([self.kubeconfig()]) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at("remove", path),
                _ => {}
            }
        }
        remove_tree(&self.nodes())
    }

    /// Removes the whole folder. The caller holds the lock.
    pub(crate) fn remove(&self, _lock: &RunLock) -> Result<()> {
        remove_tree(&self.dir)
    }
}

/// Removes a tree that may hold folders closed even to their owner, as overlay's work folders are.
pub(crate) fn remove_tree(dir: &Path) -> Result<()> {
    for attempt in 0..2 {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && attempt == 0 => open_up(dir),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at("remove", dir),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Makes every folder of the tree writable for its owner; symbolic links are never followed.
fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_keeps_a_second_cluster_out_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::choose(Some(&dir.path().join("state"))).unwrap();
        root.ensure().unwrap();
        let lock = root.lock().unwrap();
        assert!(matches!(root.lock(), Err(Error::AlreadyRunning { .. })));
        drop(lock);
        root.lock().unwrap();
    }

    #[test]
    fn the_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::choose(Some(&dir.path().join("state"))).unwrap();
        root.ensure().unwrap();
        assert_eq!(fs::metadata(root.dir()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn trees_with_closed_folders_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("work/inner")).unwrap();
        fs::set_permissions(tree.join("work"), fs::Permissions::from_mode(0o000)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
