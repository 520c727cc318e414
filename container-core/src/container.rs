//! A container that exists: waiting, running or ended.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cgroup::{Group, Stats};
use crate::family::Family;
use crate::launch::{self, Parked};
use crate::options::{NamespaceKind, Size};
use crate::process::{Handle, Pipes, lock};
use crate::spec::{Resources, Seccomp};
use crate::{ContainerId, Error, ExitStatus, Record, Result, Signal, Status, record};

/// What a process that joins the container later needs to know about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Template {
    /// Namespaces that are not the launcher's own.
    pub(crate) namespaces: u32,
    pub(crate) process: crate::spec::Process,
    pub(crate) seccomp: Option<Seccomp>,
    /// Supplementary groups may be set inside.
    pub(crate) setgroups: bool,
}

/// A container: its first process, its groups, its streams.
///
/// It is created parked, with everything set up but the program not begun; [`start`](Self::start) begins it;
/// [`wait`](Self::wait) tells how it ended. Dropping it kills and removes what exists; [`detach`](Self::detach) lets it
/// live on, to be found again by its [`Record`]. `AsFd` gives the process descriptor, which an event loop can poll:
/// readable means ended.
/// A container whose joined processes nobody waits for does not end; the waiting methods see to them.
#[derive(Debug)]
pub struct Container {
    pub(crate) id: ContainerId,
    pub(crate) handle: Handle,
    pub(crate) family: Arc<Family>,
    pub(crate) parked: Mutex<Option<Parked>>,
    pub(crate) group: Group,
    pub(crate) pipes: Pipes,
    pub(crate) template: Template,
    pub(crate) not_enforced: Vec<String>,
    pub(crate) boot_id: String,
    pub(crate) stub: Arc<OnceLock<OwnedFd>>,
    pub(crate) host: Arc<crate::Host>,
    pub(crate) detached: AtomicBool,
}

impl Container {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Pid of its first process in the caller's pid namespace.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.handle.pid
    }

    /// Limits asked for that this machine does not enforce. Empty unless the launch allowed it.
    #[must_use]
    pub fn not_enforced(&self) -> &[String] {
        &self.not_enforced
    }

    /// Begins the program. Returns when it runs.
    ///
    /// # Errors
    /// `CommandNotFound`, `NotExecutable`, or `Launch` naming the step; `WrongStatus` when it began before.
    pub fn start(&self) -> Result<()> {
        let Some(parked) = lock(&self.parked).take() else {
            let (need, found) = (Status::Created, self.status()?);
            return Err(Error::WrongStatus { id: self.id.clone(), need, found });
        };
        launch::start(&self.id, self.handle.pidfd.as_fd(), &parked)
    }

    /// Tells where the container stands.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn status(&self) -> Result<Status> {
        if self.family.wait(&self.handle, Some(Duration::ZERO))?.is_some() {
            return Ok(Status::Stopped);
        }
        if lock(&self.parked).is_some() {
            return Ok(Status::Created);
        }
        Ok(if self.group.frozen() { Status::Paused } else { Status::Running })
    }

    /// Signals the first process.
    ///
    /// # Errors
    /// `Kernel` when it has ended (except for `KILL`, which is then no error).
    pub fn kill(&self, signal: Signal) -> Result<()> {
        self.handle.kill(signal)
    }

    /// Signals every process of the container.
    ///
    /// # Errors
    /// `Kernel` when a process cannot be signalled.
    pub fn kill_all(&self, signal: Signal) -> Result<()> {
        if self.group.is_empty() { self.kill(signal) } else { self.group.signal(signal) }
    }

    /// Stops every process where it stands.
    ///
    /// # Errors
    /// `WrongStatus` unless it runs; `Unsupported` without a group that can be frozen.
    pub fn pause(&self) -> Result<()> {
        self.need(Status::Running)?;
        self.group.freeze(true)
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// `WrongStatus` unless it is paused.
    pub fn resume(&self) -> Result<()> {
        self.need(Status::Paused)?;
        self.group.freeze(false)
    }

    pub(crate) fn need(&self, need: Status) -> Result<()> {
        match self.status()? {
            found if found == need => Ok(()),
            found => Err(Error::WrongStatus { id: self.id.clone(), need, found }),
        }
    }

    /// Reads what the container uses.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.group.stats()
    }

    /// Lists the container's processes, as the caller's pid namespace numbers them.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        if self.group.is_empty() { self.namespace_pids() } else { self.group.pids() }
    }

    /// Without groups: every process in the first one's pid namespace.
    fn namespace_pids(&self) -> Vec<i32> {
        let space = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let Some(own) = space(self.handle.pid) else { return Vec::new() };
        if self.template.namespaces & NamespaceKind::Pid.flag() == 0 {
            return vec![self.handle.pid];
        }
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter(|pid| space(*pid).as_ref() == Some(&own)).collect()
    }

    /// Changes limits while it runs.
    ///
    /// # Errors
    /// `Io` names the file that refused.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        self.group.update(resources)
    }

    /// Opens one of the container's namespaces, for instance to let another container join it.
    ///
    /// # Errors
    /// `Io` when the process has ended.
    pub fn namespace(&self, kind: NamespaceKind) -> Result<OwnedFd> {
        let path = format!("/proc/{}/ns/{}", self.handle.pid, kind.file());
        let file = std::fs::File::open(&path).map_err(Error::io("open", path))?;
        Ok(file.into())
    }

    /// A descriptor of the terminal's master, when there is a terminal.
    ///
    /// # Errors
    /// `Kernel` when no descriptor is left.
    pub fn pty_master(&self) -> Result<Option<OwnedFd>> {
        self.pipes.master()
    }

    /// Changes the terminal's size.
    ///
    /// # Errors
    /// `Unsupported` without a terminal.
    pub fn resize(&self, size: Size) -> Result<()> {
        self.pipes.resize(size)
    }

    /// Takes the writing end of a piped standard input.
    pub const fn take_stdin(&mut self) -> Option<PipeWriter> {
        self.pipes.stdin.take()
    }

    /// Takes the reading end of a piped standard output.
    pub const fn take_stdout(&mut self) -> Option<PipeReader> {
        self.pipes.stdout.take()
    }

    /// Takes the reading end of a piped standard error.
    pub const fn take_stderr(&mut self) -> Option<PipeReader> {
        self.pipes.stderr.take()
    }

    /// Tells how it ended, without waiting.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.wait_timeout(Duration::ZERO)
    }

    /// Waits until the program has ended. Any number of threads may wait.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn wait(&self) -> Result<ExitStatus> {
        let ended = self.family.wait(&self.handle, None)?;
        Ok(ended.map_or(ExitStatus::LOST, |ended| self.judged(ended)))
    }

    /// Waits until the program has ended, at most so long.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn wait_timeout(&self, limit: Duration) -> Result<Option<ExitStatus>> {
        Ok(self.family.wait(&self.handle, Some(limit))?.map(|ended| self.judged(ended)))
    }

    fn judged(&self, ended: crate::Ended) -> ExitStatus {
        ExitStatus { ended, oom_killed: self.group.oom_kills() > 0 }
    }

    /// What must be remembered to find the container again.
    ///
    /// # Errors
    /// `Io` when the process has ended.
    pub fn record(&self) -> Result<Record> {
        let pid = self.handle.pid;
        let gone = || Error::io("read", format!("/proc/{pid}/stat"))(std::io::ErrorKind::NotFound.into());
        Ok(Record {
            id: self.id.clone(),
            pid,
            start_time: record::start_time(pid).ok_or_else(gone)?,
            boot_id: self.boot_id.clone(),
            group: self.group.clone(),
            template: self.template.clone(),
        })
    }

    /// What its users are called inside, read from its own files.
    ///
    /// # Errors
    /// `Io` when the process has ended.
    pub fn users(&self) -> Result<crate::user::Files> {
        crate::user::Files::of_process(self.handle.pid)
    }

    /// Lets the container live on without this value.
    pub fn detach(self) {
        self.detached.store(true, Ordering::Relaxed);
    }

    /// Kills what runs, waits for it and removes the groups.
    ///
    /// # Errors
    /// `Io` names the group that stayed.
    pub fn delete(self) -> Result<()> {
        self.detached.store(true, Ordering::Relaxed);
        self.end()
    }

    fn end(&self) -> Result<()> {
        // Closing its control socket ends a parked process by itself; killing is for all others.
        lock(&self.parked).take();
        if self.family.wait(&self.handle, Some(Duration::ZERO))?.is_none() {
            if self.group.frozen() {
                self.group.freeze(false)?;
            }
            self.handle.kill(Signal::KILL)?;
            self.family.wait(&self.handle, None)?;
        }
        if self.group.is_empty() {
            return Ok(());
        }
        // Without a pid namespace of its own the first process's end is not everybody's.
        if self.template.namespaces & NamespaceKind::Pid.flag() == 0 {
            self.group.signal(Signal::KILL)?;
        }
        self.group.remove()
    }
}

impl AsFd for Container {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.pidfd.as_fd()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.detached.load(Ordering::Relaxed) {
            // Whoever needs the reason calls `delete`.
            let _ = self.end();
        }
    }
}
