//! The floor: one container launch by hand-written system calls, with everything decided beforehand.
//!
//! It is a limit, not a product: no spec, no state, hard-coded paths, no safe resolution. It performs the steps that
//! the library's printed plan shows for the bench's container, so the distance between the two is what the library
//! costs. `benches/floor.strace` holds its list of calls beside ours. Absent: user namespaces, terminals, any error beyond the
//! number of the failed step.

use std::ffi::{CString, c_char};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use nix::libc;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

mod sys;

/// What the floor is told: facts, paths and figures, nothing to decide.
#[derive(Debug, Clone)]
pub struct Config {
    /// The root file system.
    pub rootfs: PathBuf,
    /// Program and arguments, by absolute path inside the root.
    pub arguments: Vec<String>,
    /// The v1 controllers in which a cgroup is made.
    pub cgroups: Vec<Cgroup>,
    /// The folder of the v2 tree below which a cgroup is made.
    pub unified: PathBuf,
    /// The kernel's highest capability.
    pub last_capability: u64,
    /// Capabilities to keep, as a mask.
    pub capabilities: u64,
    /// The seccomp filter, as the kernel reads it.
    pub filter: Vec<libc::sock_filter>,
    /// Paths to hide.
    pub masked: Vec<String>,
    /// Paths to make read-only.
    pub read_only: Vec<String>,
}

/// One v1 controller: where the cgroup is made, and what is written there.
#[derive(Debug, Clone)]
pub struct Cgroup {
    /// The controller's name, as mounted.
    pub controller: &'static str,
    /// The folder below which it is made.
    pub parent: PathBuf,
    /// File and value, in order.
    pub limits: Vec<(String, String)>,
}

/// Everything the child needs, in the form the kernel takes it.
#[derive(Debug)]
struct Steps {
    rootfs: CString,
    program: CString,
    _texts: Vec<CString>,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    cgroup_tasks: Vec<RawFd>,
    cgroup_unified: RawFd,
    cgroup_mounts: Vec<(CString, CString)>,
    null: RawFd,
    capabilities: u64,
    last_capability: u64,
    filter: Vec<libc::sock_filter>,
    masked_files: Vec<CString>,
    masked_folders: Vec<CString>,
    read_only: Vec<CString>,
}

fn text(value: &str) -> io::Result<CString> {
    CString::new(value).map_err(io::Error::other)
}

fn texts<'a>(values: impl Iterator<Item = &'a String>) -> io::Result<Vec<CString>> {
    values.map(|value| text(value)).collect()
}

/// The open files that the child writes to or is put into; they must outlive the launch.
#[derive(Debug)]
struct Handed {
    tasks: Vec<File>,
    unified: File,
    null: File,
}

impl Config {
    fn steps(&self, handed: &Handed) -> io::Result<Steps> {
        let owned = texts(self.arguments.iter())?;
        let program = owned.first().cloned().ok_or_else(|| io::Error::other("the floor needs a program"))?;
        // As the library does, hide and protect only what exists; the host's own /proc and /sys show the same paths.
        let (folders, files): (Vec<_>, Vec<_>) =
            self.masked.iter().filter(|path| Path::new(path).exists()).partition(|path| Path::new(path).is_dir());
        let end = std::iter::once(ptr::null());
        let mounted = |name: &str| Ok((text(name)?, text(&format!("sys/fs/cgroup/{name}"))?));
        Ok(Steps {
            rootfs: CString::new(self.rootfs.as_os_str().as_bytes()).map_err(io::Error::other)?,
            program,
            arguments: owned.iter().map(|value| value.as_ptr()).chain(end).collect(),
            _texts: owned,
            environment: vec![c"PATH=/bin:/usr/bin".as_ptr(), ptr::null()],
            cgroup_tasks: handed.tasks.iter().map(File::as_raw_fd).collect(),
            cgroup_unified: handed.unified.as_raw_fd(),
            cgroup_mounts: self.cgroups.iter().map(|cgroup| mounted(cgroup.controller)).collect::<io::Result<_>>()?,
            null: handed.null.as_raw_fd(),
            capabilities: self.capabilities,
            last_capability: self.last_capability,
            filter: self.filter.clone(),
            masked_files: texts(files.into_iter())?,
            masked_folders: texts(folders.into_iter())?,
            read_only: texts(self.read_only.iter().filter(|path| Path::new(path).exists()))?,
        })
    }

    /// Launches once, waits for the end and removes the cgroups.
    ///
    /// # Errors
    /// The failed file operation, or the number of the failed step in the child.
    pub fn launch(&self, name: &str) -> io::Result<()> {
        let mut folders: Vec<PathBuf> = self.cgroups.iter().map(|cgroup| cgroup.parent.join(name)).collect();
        let mut tasks = Vec::with_capacity(folders.len());
        for (folder, cgroup) in folders.iter().zip(&self.cgroups) {
            fs::create_dir(folder)?;
            for (file, value) in &cgroup.limits {
                fs::write(folder.join(file), value)?;
            }
            tasks.push(OpenOptions::new().write(true).open(folder.join("tasks"))?);
        }
        let unified = self.unified.join(name);
        fs::create_dir(&unified)?;
        let handed = Handed {
            tasks,
            unified: File::open(&unified)?,
            null: File::options().read(true).write(true).open("/dev/null")?,
        };
        folders.push(unified);
        let steps = self.steps(&handed)?;
        let namespaces =
            libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNET;
        let pid = sys::launch(&steps, namespaces);
        let outcome = if pid < 0 { Err(io::Error::from_raw_os_error(-pid)) } else { reap(pid) };
        folders.iter().try_for_each(fs::remove_dir).and(outcome)
    }
}

fn reap(pid: libc::c_int) -> io::Result<()> {
    match waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        other => Err(io::Error::other(format!("the floor's child ended with {other:?} (exit code = failed step)"))),
    }
}
