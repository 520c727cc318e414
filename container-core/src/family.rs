//! The processes that joined a container, so that its end can be seen.
//!
//! The kernel lets the first process of a pid namespace end only after every other process of that namespace has been
//! reaped by its parent, which for a joined process is the program that uses this crate. A forgotten one would keep
//! the container dying for ever, so whoever waits for the container also reaps those who joined it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::process::{Handle, lock};
use crate::{Ended, Error, Result, exit};

/// The joined processes of one container.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// Readable when a member has ended; members can be added while others wait on it.
    gate: OnceLock<Epoll>,
    members: Mutex<BTreeMap<i32, Arc<Handle>>>,
}

impl Family {
    fn gate(&self) -> Result<&Epoll> {
        if let Some(gate) = self.gate.get() {
            return Ok(gate);
        }
        let made = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::kernel("watch joined processes"))?;
        Ok(self.gate.get_or_init(|| made))
    }

    pub(crate) fn add(&self, member: &Arc<Handle>) -> Result<()> {
        let key = member.pidfd.as_raw_fd();
        lock(&self.members).insert(key, Arc::clone(member));
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(key.unsigned_abs()));
        self.gate()?.add(&member.pidfd, event).map_err(Error::kernel("watch a joined process"))
    }

    /// Forgets a member that was reaped.
    pub(crate) fn forget(&self, member: &Handle) {
        let known = lock(&self.members).remove(&member.pidfd.as_raw_fd()).is_some();
        if let Some(gate) = self.gate.get().filter(|_| known) {
            let _ = gate.delete(&member.pidfd);
        }
    }

    /// Reaps every member that has ended; its status stays with its handle.
    fn reap(&self) -> Result<()> {
        let members: Vec<Arc<Handle>> = lock(&self.members).values().cloned().collect();
        for member in members {
            if member.wait(Some(Duration::ZERO))?.is_some() {
                self.forget(&member);
            }
        }
        Ok(())
    }

    /// Waits for the container's first process, at most for `limit`, reaping members meanwhile.
    pub(crate) fn wait(&self, first: &Handle, limit: Option<Duration>) -> Result<Option<Ended>> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            self.reap()?;
            if let Some(ended) = first.wait(Some(Duration::ZERO))? {
                return Ok(Some(ended));
            }
            if limit == Some(Duration::ZERO) {
                return Ok(None);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !exit::any_ready(&[first.pidfd.as_fd(), self.gate()?.0.as_fd()], left)? {
                return Ok(None);
            }
        }
    }
}
