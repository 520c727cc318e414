//! The way into the cluster's own namespaces.
//!
//! `__enter` is started by the outside half. It makes sure to die with its parent, leaves the terminal's session (so
//! that Ctrl-C reaches only the outside half), makes the namespaces and starts `__inside` as process 1 in them. As
//! process 1 goes, so goes everything: no container, mount or link can outlive the cluster.
//!
//! Order: user namespace and its maps before anything that needs privilege in it; process namespace before the child
//! that becomes its first process; mounts made private before `/proc` is mounted anew.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getegid, geteuid, getppid, setsid};

use crate::cli::Inner;
use crate::error::{Error, PathContext, Result};
use crate::state::Root;

const NO_USER_NAMESPACE: &str = "this kernel forbids user namespaces to ordinary users: see the sysctls \
    kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns; or run as root";
const NO_PRIVILEGE: &str = "root without CAP_SYS_ADMIN, as in a container without privileges: run outside of it";

/// Makes the namespaces and runs `__inside` in them with the same arguments.
pub(crate) fn enter(root: &Root, inner: &Inner) -> Result<ExitCode> {
    unblock_signals()?;
    match into_namespaces(root, inner) {
        Ok(code) => Ok(code),
        Err(error) => {
            crate::inside::last_word(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn into_namespaces(root: &Root, inner: &Inner) -> Result<ExitCode> {
    die_with_parent(inner.parent)?;
    setsid().map_err(|errno| Error::system("leave the terminal's session", errno))?;
    let (user, group) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    if !user.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(|errno| refused(user.is_root(), errno))?;
    if !user.is_root() {
        for (file, text) in [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/uid_map", format!("0 {user} 1")),
            ("/proc/self/gid_map", format!("0 {group} 1")),
        ] {
            fs::write(file, text).at("write", file)?;
        }
    }
    // New credentials make the kernel forget the tie.
    die_with_parent(inner.parent)?;
    // Standard input is the link to the outside half: the child inherits it.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("mini-cluster").arg("__inside").arg("--root").arg(root.dir());
    command.arg("--nodes").arg(inner.nodes.to_string());
    command.arg("--api-port").arg(inner.api_port.to_string());
    if let Some(grace) = inner.grace_ms {
        command.arg("--grace-ms").arg(grace.to_string());
    }
    let status = command.status().map_err(|source| Error::system("start the inside half", source))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(137)))
}

/// The outside half blocks signals for itself; what it starts must not inherit that.
fn unblock_signals() -> Result<()> {
    SigSet::empty().thread_set_mask().map_err(|errno| Error::system("unblock signals", errno))
}

/// What process 1 does first: private mounts, and a `/proc` that shows its own processes.
pub(crate) fn settle() -> Result<()> {
    die_with_parent(None)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|errno| Error::system("make the mounts private", errno))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none).map_err(|errno| Error::System {
        doing: "mount /proc in the cluster's namespaces".to_owned(),
        hint: (errno == Errno::EPERM).then_some("parts of this machine's /proc are covered, as in a container"),
        source: errno.into(),
    })
}

fn die_with_parent(parent: Option<i32>) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|errno| Error::system("tie this process to its parent", errno))?;
    // The parent may have died before the line above.
    match parent {
        Some(parent) if getppid() != Pid::from_raw(parent) => {
            Err(Error::Half { problem: "that started this one is gone".to_owned() })
        }
        _ => Ok(()),
    }
}

fn refused(root: bool, errno: Errno) -> Error {
    let hint = match (root, errno) {
        (true, Errno::EPERM) => Some(NO_PRIVILEGE),
        (false, Errno::EPERM | Errno::ENOSPC | Errno::EINVAL) => Some(NO_USER_NAMESPACE),
        _ => None,
    };
    Error::System { doing: "make the cluster's namespaces".to_owned(), hint, source: errno.into() }
}
