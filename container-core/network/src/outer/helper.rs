//! The program run again as a helper: `broker` stays outside and serves, `init` makes the namespaces and is gone.

use super::broker::{self, socket_path};
use super::ids::map_ids;
use crate::netlink::Links;
use crate::{Error, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

/// Runs a helper to its end. `arguments` are those that follow the hidden argument which led here.
#[must_use]
pub fn helper_main(arguments: &[OsString]) -> ExitCode {
    let role = arguments.first().and_then(|role| role.to_str());
    let done = match (role, arguments.get(1)) {
        (Some("init"), None) => init(),
        (Some("broker"), Some(directory)) => broker_main(arguments.len(), Path::new(directory)),
        _ => Err(Error::Helper { doing: "start", why: "its arguments lead nowhere".to_owned() }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The namespaces, held by descriptor.
#[derive(Debug)]
pub(super) struct Namespaces {
    net: File,
    mount: File,
    user: Option<File>,
    adopted: BTreeSet<i32>,
}

impl Namespaces {
    /// In the order in which the wire carries them.
    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        [Some(&self.net), Some(&self.mount), self.user.as_ref()].into_iter().flatten().map(AsFd::as_fd).collect()
    }

    /// Tells these namespaces from all others of this boot that live at the same time.
    pub(super) fn home(&self) -> Result<String> {
        let metadata = self.net.metadata().map_err(Error::io("look at", "the network namespace"))?;
        let boot_path = "/proc/sys/kernel/random/boot_id";
        let boot = std::fs::read_to_string(boot_path).map_err(Error::io("read", boot_path))?;
        Ok(format!("{}:{}", boot.trim(), metadata.ino()))
    }

    /// Members of a predecessor.
    pub(super) fn members(&self) -> BTreeSet<i32> {
        self.adopted.clone()
    }

    /// Those that the process lives in.
    fn of(pid: Pid) -> Result<Self> {
        let open = |name: &str| {
            let path = PathBuf::from(format!("/proc/{pid}/ns/{name}"));
            File::open(&path).map_err(Error::io("open", &path))
        };
        let user = open("user")?;
        let ino = |file: &File| file.metadata().map(|metadata| metadata.ino()).ok();
        let own = File::open("/proc/self/ns/user").map_err(Error::io("open", "/proc/self/ns/user"))?;
        let user = (ino(&user) != ino(&own)).then_some(user);
        Ok(Self { net: open("net")?, mount: open("mnt")?, user, adopted: BTreeSet::new() })
    }

    /// Those that members of a killed broker still live in.
    fn adopt(directory: &Path) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Left {
            home: String,
            members: BTreeSet<i32>,
        }
        let left: Left = serde_json::from_slice(&std::fs::read(directory.join("outer.json")).ok()?).ok()?;
        let lives = |pid: &i32| {
            let found = Self::of(Pid::from_raw(*pid)).ok()?;
            (found.home().ok()? == left.home).then_some(found)
        };
        let mut found = left.members.iter().find_map(lives)?;
        found.adopted = left.members.into_iter().filter(|pid| lives(pid).is_some()).collect();
        Some(found)
    }

    /// Fresh ones, made by a child that ends once they are held here.
    fn create(own_arguments: usize) -> Result<Self> {
        let all: Vec<OsString> = std::env::args_os().skip(1).collect();
        let prefix = &all[..all.len().saturating_sub(own_arguments)];
        let mut child = Command::new("/proc/self/exe")
            .args(prefix)
            .arg("init")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("start", "/proc/self/exe"))?;
        let made = Self::take_from(&mut child);
        // Its end of file ends it, whether all went well or not.
        drop(child.stdin.take());
        let _ = child.wait();
        made
    }

    fn take_from(child: &mut Child) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("the kernel's pids are positive i32"));
        let output = child.stdout.take().ok_or_else(|| lost("talk to its child"))?;
        let mut lines = BufReader::new(output).lines();
        let mut expect = |doing| match lines.next() {
            Some(Ok(line)) => match line.strip_prefix("failed ") {
                Some(why) => Err(Error::Helper { doing: "make the outer namespace", why: why.to_owned() }),
                None => Ok(line),
            },
            _ => Err(lost(doing)),
        };
        if expect("make the outer namespace")? == "made user" {
            map_ids(pid)?;
        }
        let input = child.stdin.as_mut().ok_or_else(|| lost("talk to its child"))?;
        input.write_all(b"go\n").map_err(Error::io("write", "the child's pipe"))?;
        expect("prepare the outer namespace")?;
        Self::of(pid)
    }
}

fn lost(doing: &'static str) -> Error {
    Error::Helper { doing, why: "the child ended without a word".to_owned() }
}

/// Inside: namespaces, private mounts, loopback; then waits to be held and ends.
fn init() -> Result<()> {
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    let root = nix::unistd::geteuid().is_root();
    // Root without its capabilities (in somebody's container) is an ordinary user.
    let with_user = !root || unshare(flags).is_err();
    if with_user {
        unshare(flags | CloneFlags::CLONE_NEWUSER).map_err(|source| match source {
            nix::errno::Errno::EPERM | nix::errno::Errno::ENOSPC | nix::errno::Errno::EINVAL => Error::Unsupported {
                feature: "a user namespace",
                hint: "this kernel or its settings forbid it (user.max_user_namespaces, \
                    kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
                    .to_owned(),
            },
            source => Error::Kernel { doing: "make a user namespace".to_owned(), source },
        })?;
    }
    say(if with_user { "made user" } else { "made" });
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Error::io("read", "standard input"))?;
    // Mounts made outside later are seen inside, never the other way round.
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).map_err(Error::kernel("keep mounts private"))?;
    Links::open()?.up("lo")?;
    say("ready");
    line.clear();
    std::io::stdin().read_line(&mut line).map_err(Error::io("read", "standard input"))?;
    Ok(())
}

/// Outside: makes or finds the namespaces, says so, serves.
fn broker_main(own_arguments: usize, directory: &Path) -> Result<()> {
    // Away from the terminal of whoever happened to come first. A process that leads a group already stays in it.
    let _ = nix::unistd::setsid();
    let lock_path = directory.join("outer.lock");
    let lock = File::options().write(true).open(&lock_path).map_err(Error::io("open", &lock_path))?;
    let handle = File::open(directory).map_err(Error::io("open", directory))?;
    let namespaces = match Namespaces::adopt(directory) {
        Some(namespaces) => namespaces,
        None => Namespaces::create(own_arguments)?,
    };
    // Nor may the folder that it happened to start in be kept from being unmounted.
    let _ = std::env::set_current_dir("/");
    let path = socket_path(&handle);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(Error::io("listen on", directory.join("outer.sock")))?;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, mode).map_err(Error::io("protect", directory.join("outer.sock")))?;
    say("ready");
    quiet()?;
    broker::serve(&listener, namespaces, directory, &lock)
}

/// Lets go of the starter's pipe, or whoever reads it waits for as long as we live.
fn quiet() -> Result<()> {
    let null: OwnedFd = File::options().write(true).open("/dev/null").map_err(Error::io("open", "/dev/null"))?.into();
    nix::unistd::dup2_stdout(&null).map_err(Error::kernel("close standard output"))
}

fn say(line: &str) {
    let mut output = std::io::stdout();
    // Nobody listening is not worth failing for: the work itself shows.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
