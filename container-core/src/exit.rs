//! How a process ended, and how that is learnt without ever inventing an answer.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use serde::{Deserialize, Serialize};

use crate::launch::clone;
use crate::{Error, Result, Signal};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_enums, reason = "there is no fourth way for a process to end")]
pub enum Ended {
    /// It called exit.
    Exited(i32),
    /// A signal ended it.
    Signaled {
        /// Which.
        signal: Signal,
        /// With a core dump.
        core: bool,
    },
    /// Somebody else reaped it and the kernel could not tell any more: unknown, and not guessed.
    Lost,
}

/// The end of a process, and whether the kernel killed something in its cgroup for lack of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitStatus {
    /// How it ended.
    pub ended: Ended,
    /// Something in the container was killed because memory ran out.
    pub oom_killed: bool,
}

impl ExitStatus {
    /// The status an unwatched end has.
    pub const LOST: Self = Self { ended: Ended::Lost, oom_killed: false };

    pub(crate) const fn new(ended: Ended) -> Self {
        Self { ended, oom_killed: false }
    }

    /// Docker's number: the exit code, 128 + signal, or 255 when lost.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self.ended {
            Ended::Exited(code) => code,
            Ended::Signaled { signal, .. } => 128 + signal.number(),
            Ended::Lost => 255,
        }
    }

    /// Tells whether the program exited with 0.
    #[must_use]
    pub const fn success(&self) -> bool {
        matches!(self.ended, Ended::Exited(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ended {
            Ended::Exited(code) => write!(f, "exited with {code}")?,
            Ended::Signaled { signal, core: false } => write!(f, "killed by {signal}")?,
            Ended::Signaled { signal, core: true } => write!(f, "killed by {signal} (core dumped)")?,
            Ended::Lost => f.write_str("ended unseen, status lost")?,
        }
        if self.oom_killed { f.write_str(" (out of memory)") } else { Ok(()) }
    }
}

/// Reaps the process behind a process descriptor. `None`: it still runs (or `flags` said not to wait).
///
/// A host that calls `waitpid(-1)` may have been faster. Then the kernel is asked through the descriptor itself
/// (Linux 6.15 remembers the status there); an older kernel has forgotten, and the answer is `Lost`.
pub(crate) fn reap(pidfd: BorrowedFd<'_>, block: bool) -> Result<Option<Ended>> {
    let mut flags = WaitPidFlag::WEXITED;
    if !block {
        flags |= WaitPidFlag::WNOHANG;
    }
    loop {
        return match waitid(Id::PIDFd(pidfd), flags) {
            Ok(WaitStatus::Exited(_, code)) => Ok(Some(Ended::Exited(code))),
            Ok(WaitStatus::Signaled(_, signal, core)) => Ok(Some(signaled(signal as i32, core))),
            Ok(_) => Ok(None),
            Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) => stolen(pidfd, block),
            // nix cannot name real-time signals; the descriptor knows the raw status.
            Err(Errno::EINVAL) => Ok(Some(clone::exit_of(pidfd).map_or(Ended::Lost, decode))),
            Err(errno) => Err(Error::Kernel { doing: "wait for the process", source: errno.into() }),
        };
    }
}

/// Milliseconds that a parent may take to reap its child.
const TAKEN_WITHIN: u16 = 500;

/// Not our child, or already reaped: wait for the descriptor, then ask it.
fn stolen(pidfd: BorrowedFd<'_>, block: bool) -> Result<Option<Ended>> {
    let limit = if block { None } else { Some(Duration::ZERO) };
    if !ended_within(pidfd, limit)? {
        return Ok(None);
    }
    // The kernel gives the status away once the parent has taken it, which the descriptor tells by hanging up.
    if clone::exit_of(pidfd).is_none() {
        let mut fds = [PollFd::new(pidfd, PollFlags::empty())];
        let _ = poll(&mut fds, PollTimeout::from(TAKEN_WITHIN));
    }
    Ok(Some(clone::exit_of(pidfd).map_or(Ended::Lost, decode)))
}

/// Waits until the process behind the descriptor has ended, at most for `limit`.
pub(crate) fn ended_within(pidfd: BorrowedFd<'_>, limit: Option<Duration>) -> Result<bool> {
    any_ready(&[pidfd], limit)
}

/// Waits until one of the descriptors can be read, at most for `limit`.
pub(crate) fn any_ready(fds: &[BorrowedFd<'_>], limit: Option<Duration>) -> Result<bool> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // Rounded up, so that the last round does not spin.
        let millis = left.map(|left| left.as_nanos().div_ceil(1_000_000).min(60_000) as u16);
        let timeout = millis.map_or(PollTimeout::NONE, PollTimeout::from);
        let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut polled, timeout) {
            Ok(0) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(Error::Kernel { doing: "wait for the process", source: errno.into() }),
        }
    }
}

fn signaled(number: i32, core: bool) -> Ended {
    Signal::from_number(number).map_or(Ended::Lost, |signal| Ended::Signaled { signal, core })
}

/// Decodes a wait status word.
fn decode(status: i32) -> Ended {
    match status & 0x7f {
        0 => Ended::Exited((status >> 8) & 0xff),
        signal => signaled(signal, status & 0x80 != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, ExitStatus, decode};
    use crate::Signal;

    #[test]
    fn status_words_and_dockers_numbers() {
        assert_eq!(ExitStatus::new(decode(3 << 8)).code(), 3);
        assert_eq!(ExitStatus::new(decode(9)).code(), 137);
        assert_eq!(decode(0x80 | 11), Ended::Signaled { signal: Signal::from_number(11).unwrap(), core: true });
        assert_eq!(ExitStatus::LOST.code(), 255);
        assert_eq!(ExitStatus::new(Ended::Exited(1)).to_string(), "exited with 1");
    }
}
