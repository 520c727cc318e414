//! Network namespaces as owned file descriptors: make one, work inside one, name one.
//!
//! Work inside happens on a helper thread that joins the namespace and ends, so the caller's threads never move.

use crate::{Error, Result};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A network namespace, alive as long as this value, a process or a mount holds it.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

impl Namespace {
    /// Makes a fresh network namespace with only its loopback link, which is up.
    ///
    /// # Errors
    /// `Kernel` when the caller may not make namespaces.
    pub fn create() -> Result<Self> {
        let fd = on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(Error::kernel("make a network namespace"))?;
            let mut links = crate::netlink::Links::open()?;
            links.up("lo")?;
            Self::current().map(|namespace| namespace.fd)
        })?;
        Ok(Self { fd })
    }

    /// The calling thread's own network namespace.
    ///
    /// # Errors
    /// `Io` when `/proc` is not mounted.
    pub fn current() -> Result<Self> {
        Self::open("/proc/thread-self/ns/net")
    }

    /// Opens a namespace by path: `/proc/PID/ns/net`, or a bind mount of one.
    ///
    /// # Errors
    /// `Io` when the path does not lead to a namespace that may be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self { fd: File::open(path).map_err(Error::io("open the network namespace", path))?.into() })
    }

    /// Runs `work` inside the namespace, on a thread of its own, and waits for it. Everything that the thread opens
    /// (sockets, `/proc/sys/net`) belongs to the namespace, also after it has ended.
    ///
    /// # Errors
    /// `Kernel` when the namespace cannot be joined.
    ///
    /// # Panics
    /// When `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(|| {
            setns(&self.fd, CloneFlags::CLONE_NEWNET).map_err(Error::kernel("join a network namespace"))?;
            Ok(work())
        })
    }

    /// Brings its loopback link up, as a namespace that somebody else made lacks it.
    ///
    /// # Errors
    /// `Kernel` when the namespace cannot be joined or its links not changed.
    pub fn loopback_up(&self) -> Result<()> {
        self.run(|| crate::netlink::Links::open()?.up("lo"))?
    }

    /// A path that leads to the namespace while this value lives and for this process only, as `setns` users and
    /// runtime specs want it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd()))
    }

    /// A second handle to the same namespace.
    ///
    /// # Errors
    /// `Io` when the process has no file descriptor left.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { fd: self.fd.try_clone().map_err(Error::io("duplicate", "network namespace"))? })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for Namespace {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl From<Namespace> for OwnedFd {
    fn from(namespace: Namespace) -> Self {
        namespace.fd
    }
}

/// Runs `work` on a thread that ends with it: what it does to its own namespaces cannot reach the caller.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
