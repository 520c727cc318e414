//! A process that this crate launched: waited for, signalled and talked to through its descriptor, never its number.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::launch::clone;
use crate::options::{Size, Stdio};
use crate::{Ended, Error, Result, Signal, exit};

/// Locks without the notion of poison: the guarded values are whole at every moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process descriptor and what is known of the process's end.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    ended: Mutex<Option<Ended>>,
}

impl Handle {
    pub(crate) const fn new(pid: i32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd, ended: Mutex::new(None) }
    }

    /// Waits, at most for `limit`. Several threads may wait at once; one of them reaps.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Result<Option<Ended>> {
        if let Some(ended) = *lock(&self.ended) {
            return Ok(Some(ended));
        }
        if !exit::ended_within(self.pidfd.as_fd(), limit)? {
            return Ok(None);
        }
        let mut known = lock(&self.ended);
        if known.is_none() {
            *known = exit::reap(self.pidfd.as_fd(), false)?;
        }
        Ok(*known)
    }

    /// Signals the process. One that has ended is not an error for `KILL`.
    pub(crate) fn kill(&self, signal: Signal) -> Result<()> {
        match clone::pidfd_send_signal(self.pidfd.as_fd(), signal.number()) {
            Err(Errno::ESRCH) if signal == Signal::KILL => Ok(()),
            outcome => outcome.map_err(Error::kernel("signal the process")),
        }
    }
}

/// The caller's ends of a process's streams.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<PipeWriter>,
    pub(crate) stdout: Option<PipeReader>,
    pub(crate) stderr: Option<PipeReader>,
    pub(crate) master: Option<OwnedFd>,
}

impl Pipes {
    /// Changes the terminal's size.
    pub(crate) fn resize(&self, size: Size) -> Result<()> {
        let Some(master) = &self.master else {
            return Err(Error::Unsupported {
                feature: "changing the terminal's size".to_owned(),
                hint: "the process has no terminal".to_owned(),
            });
        };
        clone::set_window(master.as_fd(), size.rows, size.cols).map_err(Error::kernel("set the terminal's size"))
    }

    /// A descriptor of the terminal's master.
    pub(crate) fn master(&self) -> Result<Option<OwnedFd>> {
        let doubled = self.master.as_ref().map(OwnedFd::try_clone).transpose();
        doubled.map_err(|source| Error::Kernel { doing: "duplicate the terminal", source })
    }
}

/// The process's ends of its streams, above the standard numbers so that placing one cannot overwrite another.
#[derive(Debug)]
pub(crate) struct Streams(Vec<OwnedFd>);

impl Streams {
    /// Opens what `stdio` asks for, and stores the caller's ends.
    pub(crate) fn open(stdio: [Stdio; 3], pipes: &mut Pipes) -> Result<Self> {
        let mut fds = Vec::with_capacity(3);
        for (number, stdio) in stdio.into_iter().enumerate() {
            fds.push(high(one(number, stdio, pipes)?)?);
        }
        Ok(Self(fds))
    }

    pub(crate) fn get(&self, number: u32) -> Option<BorrowedFd<'_>> {
        self.0.get(number as usize).map(AsFd::as_fd)
    }
}

fn one(number: usize, stdio: Stdio, pipes: &mut Pipes) -> Result<OwnedFd> {
    let pipe = || std::io::pipe().map_err(|source| Error::Kernel { doing: "make a pipe", source });
    match (stdio, number) {
        (Stdio::Fd(fd), _) => Ok(fd),
        (Stdio::Null, _) => {
            let file = std::fs::File::options().read(true).write(true).open("/dev/null");
            Ok(file.map_err(Error::io("open", "/dev/null"))?.into())
        }
        (Stdio::Inherit, _) => {
            let doubled = match number {
                0 => std::io::stdin().as_fd().try_clone_to_owned(),
                1 => std::io::stdout().as_fd().try_clone_to_owned(),
                _ => std::io::stderr().as_fd().try_clone_to_owned(),
            };
            doubled.map_err(|source| Error::Kernel { doing: "duplicate a standard stream", source })
        }
        (Stdio::Piped, 0) => {
            let (reader, writer) = pipe()?;
            pipes.stdin = Some(writer);
            Ok(reader.into())
        }
        (Stdio::Piped, _) => {
            let (reader, writer) = pipe()?;
            *(if number == 1 { &mut pipes.stdout } else { &mut pipes.stderr }) = Some(reader);
            Ok(writer.into())
        }
    }
}

/// Moves a descriptor above the standard numbers when a host closed its own.
pub(crate) fn high(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    let number = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(3)).map_err(Error::kernel("duplicate a descriptor"))?;
    Ok(clone::adopt(number))
}
