//! A container that was started: its handle, its files, how it ended. And the register of all of them, for those who
//! come through the API with logs and exec.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use container_core::{Container, Ended, Exec, ExitStatus, Signal};
use orchestrate_core::Time;
use orchestrate_core::node::Exit;

use super::clock;

/// The longest termination message, as upstream.
const MESSAGE: u64 = 4096;

/// One started container.
#[derive(Debug)]
pub(crate) struct Live {
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) attempt: u32,
    /// Its id with the scheme.
    pub(super) id: String,
    pub(super) image_id: String,
    pub(super) since: Time,
    /// Standard output and error, until the watcher takes them.
    pub(super) pipes: Mutex<[Option<OwnedFd>; 2]>,
    /// Where its output is kept.
    pub(crate) log: PathBuf,
    /// Its folder: what it wrote over its image, its log, its termination message.
    pub(super) dir: PathBuf,
    pub(super) stop_signal: Signal,
    pub(crate) container: Container,
}

impl Live {
    /// What the watcher calls it.
    pub(super) fn key(&self) -> String {
        format!("{}/{}/{}", self.uid, self.name, self.attempt)
    }

    /// Uid, name and attempt of a key.
    pub(super) fn parse_key(key: &str) -> Option<(&str, &str, u32)> {
        let mut parts = key.split('/');
        Some((parts.next()?, parts.next()?, parts.next()?.parse().ok()?))
    }

    /// The process descriptor, doubled for the watcher.
    pub(super) fn pidfd(&self) -> std::io::Result<OwnedFd> {
        self.container.as_fd().try_clone_to_owned()
    }

    /// How it ended; lost if nobody knows.
    pub(super) fn exit(&self) -> Exit {
        let status = self.container.try_wait().ok().flatten().unwrap_or(ExitStatus::LOST);
        let signal = match status.ended {
            Ended::Signaled { signal, .. } => Some(signal.number()),
            _ => None,
        };
        Exit {
            code: status.code(),
            signal,
            oom: status.oom_killed,
            started: self.since,
            finished: clock::now(),
            message: self.message(),
            id: self.id.clone(),
        }
    }

    fn message(&self) -> String {
        let mut message = Vec::new();
        let path = self.dir.join("termination-log");
        let plain = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if let Some(file) = plain.then(|| std::fs::File::open(&path).ok()).flatten() {
            // What cannot be read is no message.
            let _ = file.take(MESSAGE).read_to_end(&mut message);
        }
        String::from_utf8_lossy(&message).into_owned()
    }

    /// Runs a command in it that must succeed within the time.
    pub(super) fn check(&self, command: &[String], timeout: Duration) -> Result<(), String> {
        let process = self.container.exec(Exec::new(command.to_vec())).map_err(|error| crate::error::chain(&error))?;
        match process.wait_timeout(timeout) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(format!("command {command:?} {status}")),
            Ok(None) => {
                // What does not end in time is ended; its verdict is the same.
                let _ = process.kill(Signal::KILL);
                Err(format!("command {command:?} timed out after {} s", timeout.as_secs()))
            }
            Err(error) => Err(crate::error::chain(&error)),
        }
    }

    /// Kills every process of it.
    pub(super) fn destroy(&self) {
        // It may have ended by itself a moment ago.
        let _ = self.container.kill_all(Signal::KILL);
        let _ = self.container.kill(Signal::KILL);
    }
}

/// All started containers of the cluster by pod uid and name.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    by_pod: Mutex<BTreeMap<String, BTreeMap<String, Arc<Live>>>>,
}

impl Containers {
    pub(super) fn put(&self, uid: &str, name: &str, live: Arc<Live>) {
        let mut all = self.by_pod.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(uid.to_owned()).or_default().insert(name.to_owned(), live);
    }

    /// The run has ended and another one is about to begin.
    pub(super) fn take(&self, uid: &str, name: &str) {
        if let Some(pod) = self.by_pod.lock().unwrap_or_else(PoisonError::into_inner).get_mut(uid) {
            pod.remove(name);
        }
    }

    pub(super) fn forget(&self, uid: &str) {
        self.by_pod.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// The latest run of a container.
    pub(crate) fn get(&self, uid: &str, name: &str) -> Option<Arc<Live>> {
        self.by_pod.lock().unwrap_or_else(PoisonError::into_inner).get(uid)?.get(name).cloned()
    }
}
