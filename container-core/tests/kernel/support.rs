//! A root file system out of busybox, and short ways to run something in it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use container_core::{Container, ContainerId, ExitStatus, Launch, Rootfs, Runtime, Spec, Stdio};
use tempfile::TempDir;
use test_lane::{Failed, Need};

/// What nearly every case needs.
pub(crate) const ROOT: &[Need] = &[Need::Root, Need::Path("/bin/busybox")];

const APPLETS: [&str; 32] = [
    "sh", "cat", "echo", "ls", "id", "true", "false", "sleep", "mount", "hostname", "pwd", "stat", "mknod", "dd",
    "env", "kill", "test", "touch", "mkdir", "head", "tail", "tty", "stty", "readlink", "wc", "grep", "ps", "ln",
    "chmod", "unshare", "tr", "umount",
];

/// One base folder for all cases: layers are only read.
pub(crate) fn base() -> &'static Path {
    static BASE: OnceLock<TempDir> = OnceLock::new();
    BASE.get_or_init(|| {
        let dir = tempfile::Builder::new().prefix("core-base-").tempdir().expect("a temporary folder");
        for folder in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        std::fs::copy("/bin/busybox", dir.path().join("bin/busybox")).expect("busybox");
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", dir.path().join("bin").join(applet)).expect("an applet");
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n";
        std::fs::write(dir.path().join("etc/passwd"), passwd).expect("passwd");
        std::fs::write(dir.path().join("etc/group"), "root:x:0:\nweb:x:1000:\ndata:x:2000:web\n").expect("group");
        dir
    })
    .path()
}

/// A container's own folders: upper and work.
pub(crate) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("core-").tempdir().expect("a temporary folder");
        for name in ["upper", "work"] {
            std::fs::create_dir(dir.path().join(name)).expect("a folder");
        }
        Self { dir }
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.dir.path().join("upper")
    }

    pub(crate) fn rootfs(&self) -> Rootfs {
        Rootfs::Overlay { lower: vec![base().to_owned()], upper: self.upper(), work: self.dir.path().join("work") }
    }
}

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a kernel that can launch"))
}

pub(crate) fn parent() -> String {
    format!("/test-{}-core", std::process::id())
}

/// A name no other case uses.
pub(crate) fn id() -> ContainerId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    ContainerId::new(format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))).expect("a valid name")
}

pub(crate) fn shell(script: &str) -> Spec {
    Spec::container(["sh", "-c", script])
}

pub(crate) fn launch(spec: Spec, scratch: &Scratch) -> Launch {
    Launch::new(spec, scratch.rootfs()).cgroup_parent(parent())
}

/// Runs to the end. Gives the status and everything written to standard output and error.
pub(crate) fn run(spec: Spec) -> Result<(ExitStatus, String), Failed> {
    let scratch = Scratch::new();
    run_launch(launch(spec, &scratch))
}

pub(crate) fn run_launch(launch: Launch) -> Result<(ExitStatus, String), Failed> {
    let mut container = runtime().run(&id(), launch.stdout(Stdio::Piped).stderr(Stdio::Piped))?;
    finish(&mut container)
}

pub(crate) fn finish(container: &mut Container) -> Result<(ExitStatus, String), Failed> {
    let mut text = String::new();
    if let Some(mut out) = container.take_stdout() {
        out.read_to_string(&mut text)?;
    }
    if let Some(mut err) = container.take_stderr() {
        err.read_to_string(&mut text)?;
    }
    Ok((container.wait()?, text))
}

/// Fails with both values when they differ.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}").into()) }
}

pub(crate) fn holds(condition: bool, what: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into().into()) }
}

/// Removes what the cases made together. Statics are not dropped.
pub(crate) fn clean() {
    if let Ok(runtime) = Runtime::new() {
        runtime.remove_cgroup_parent(&parent());
    }
    let _ = std::fs::remove_dir_all(base());
}
