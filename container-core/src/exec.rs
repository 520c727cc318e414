//! Another process in a running container.

use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::compile::{Input, join};
use crate::family::Family;
use crate::launch::{self, Handover};
use crate::options::{Launch, Rootfs, Size, Stdio};
use crate::plan::FdNeed;
use crate::process::{Handle, Pipes, Streams, high};
use crate::spec::Spec;
use crate::{Container, ExitStatus, Result, Signal, Status, user};

/// What to run in a container, and how. Whatever is not said is as the container's own program has it.
#[derive(Debug)]
#[must_use]
pub struct Exec {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    user: Option<String>,
    privileged: bool,
    stdio: [Stdio; 3],
    pty: Option<Size>,
}

impl Exec {
    /// A program with arguments, its streams on `/dev/null`.
    pub fn new<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            cwd: None,
            user: None,
            privileged: false,
            stdio: [Stdio::Null, Stdio::Null, Stdio::Null],
            pty: None,
        }
    }

    /// Adds or replaces an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets the working folder.
    pub fn cwd(mut self, path: impl Into<String>) -> Self {
        self.cwd = Some(path.into());
        self
    }

    /// Sets the user by a text such as `uid[:gid]` or `name[:group]`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Gives every capability that this machine has, and no filter.
    pub const fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Sets the standard input.
    pub fn stdin(mut self, stdio: Stdio) -> Self {
        self.stdio[0] = stdio;
        self
    }

    /// Sets the standard output.
    pub fn stdout(mut self, stdio: Stdio) -> Self {
        self.stdio[1] = stdio;
        self
    }

    /// Sets the standard error.
    pub fn stderr(mut self, stdio: Stdio) -> Self {
        self.stdio[2] = stdio;
        self
    }

    /// Gives the program a terminal of its own.
    pub const fn pty(mut self, size: Size) -> Self {
        self.pty = Some(size);
        self
    }
}

/// A further process of a container. Dropping it lets it run on; the container's end is its end.
#[derive(Debug)]
pub struct Process {
    handle: Arc<Handle>,
    family: Arc<Family>,
    pipes: Pipes,
}

impl Container {
    /// Runs another program inside. Returns when it runs.
    ///
    /// # Errors
    /// `WrongStatus` unless the container runs; else as a launch.
    pub fn exec(&self, exec: Exec) -> Result<Process> {
        self.need(Status::Running)?;
        let spec = self.joined_spec(&exec)?;
        let mut launch = Launch::new(spec, Rootfs::Path("/".into()));
        (launch.stdio, launch.pty) = (exec.stdio, exec.pty);
        // What the container went on without, its further processes do too.
        if !self.not_enforced.is_empty() {
            launch.missing = crate::Missing::Degrade;
        }
        let input = Input {
            spec: &launch.spec,
            host: &self.host,
            rootfs: &launch.rootfs,
            launch: &launch,
            setgroups: self.template.setgroups,
            parked: false,
        };
        let tasks: Vec<OwnedFd> =
            self.group.controllers().map(|name| self.group.tasks(name).and_then(high)).collect::<Result<_>>()?;
        let plan = join(&input, self.template.namespaces, tasks.len())?;
        let mut pipes = Pipes::default();
        let streams = if launch.pty.is_some() { None } else { Some(Streams::open(launch.stdio, &mut pipes)?) };
        let unified = self.group.unified()?;
        let mut fds = Vec::with_capacity(plan.fds.len());
        for need in &plan.fds {
            let fd = match need {
                FdNeed::Stdio(number) => streams.as_ref().and_then(|streams| streams.get(*number)),
                FdNeed::Tasks(index) => tasks.get(*index).map(AsFd::as_fd),
                FdNeed::Target => Some(self.as_fd()),
                FdNeed::Namespace(_) | FdNeed::Unified => None,
            };
            fds.extend(fd);
        }
        let cgroup = unified.as_ref().map(AsFd::as_fd);
        let handover = Handover { id: &self.id, stub: crate::runtime::stub(&self.stub)?, fds, cgroup };
        let launched = launch::launch(plan, &handover)?;
        pipes.master = launched.master;
        let handle = Arc::new(Handle::new(launched.pid, launched.pidfd));
        self.family.add(&handle)?;
        Ok(Process { handle, family: Arc::clone(&self.family), pipes })
    }

    /// The container's own process, changed by what the caller said.
    fn joined_spec(&self, exec: &Exec) -> Result<Spec> {
        let mut process = self.template.process.clone();
        process.args.clone_from(&exec.args);
        process.terminal = false;
        if let Some(cwd) = &exec.cwd {
            process.cwd.clone_from(cwd);
        }
        for (name, value) in &exec.env {
            let prefix = format!("{name}=");
            process.env.retain(|entry| !entry.starts_with(&prefix));
            process.env.push(prefix + value);
        }
        if let Some(text) = &exec.user {
            let files = user::Files::of_process(self.pid())?;
            user::apply(&files.resolve(text)?, &mut process);
        }
        let mut spec = Spec { process, ..Spec::default() };
        spec.linux.seccomp.clone_from(&self.template.seccomp);
        if exec.privileged {
            spec = spec.privileged();
        }
        // Marks the kinds as joined; the descriptor that is joined is the process's own.
        let own = crate::NamespaceKind::ALL.into_iter().filter(|kind| self.template.namespaces & kind.flag() != 0);
        spec.linux.namespaces = own.map(|kind| crate::spec::Namespace { kind, path: Some("/proc".into()) }).collect();
        Ok(spec)
    }
}

impl Process {
    /// Its pid in the caller's pid namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.handle.pid
    }

    /// Signals it.
    ///
    /// # Errors
    /// `Kernel` when it has ended (except for `KILL`, which is then no error).
    pub fn kill(&self, signal: Signal) -> Result<()> {
        self.handle.kill(signal)
    }

    /// Waits until it has ended. Any number of threads may wait.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn wait(&self) -> Result<ExitStatus> {
        Ok(self.ended(None)?.unwrap_or(ExitStatus::LOST))
    }

    /// Waits until it has ended, at most so long.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn wait_timeout(&self, limit: Duration) -> Result<Option<ExitStatus>> {
        self.ended(Some(limit))
    }

    /// Tells how it ended, without waiting.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.wait_timeout(Duration::ZERO)
    }

    fn ended(&self, limit: Option<Duration>) -> Result<Option<ExitStatus>> {
        let ended = self.handle.wait(limit)?;
        if ended.is_some() {
            self.family.forget(&self.handle);
        }
        Ok(ended.map(ExitStatus::new))
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
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that still runs is reaped by whoever waits for the container.
        let _ = self.ended(Some(Duration::ZERO));
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.pidfd.as_fd()
    }
}
