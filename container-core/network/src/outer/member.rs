//! [`OuterNamespace`]: a process that lives inside.

use super::BrokerClient;
use crate::{Error, Result};
use nix::sched::{CloneFlags, setns};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// This process's membership in the outer namespace of a state directory. While any member keeps one, others can
/// join; a process that outlives the one which started it must enter too, even if it was born inside.
#[derive(Debug)]
pub struct OuterNamespace {
    broker: BrokerClient,
    ids: u32,
}

impl OuterNamespace {
    /// Joins the outer namespace of `directory`, and makes it first if nobody is there. `helper` runs this same
    /// program so that it comes to [`super::helper_main`] with the arguments that follow.
    ///
    /// The whole process moves: call it first thing in `main`, before any thread starts. Root gets a network and a
    /// mount namespace; an ordinary user becomes root of a user namespace as well. The working directory stays.
    ///
    /// # Errors
    /// `Unsupported` where the kernel forbids user namespaces or the process has threads already; `Helper`, `Kernel`
    /// and `Io` for everything on the way.
    pub fn enter(directory: &Path, helper: impl FnOnce() -> Command) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(Error::io("make directory", directory))?;
        let handle = File::open(directory).map_err(Error::io("open", directory))?;
        let lock_path = directory.join("outer.lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(Error::io("open", &lock_path))?;
        lock.lock().map_err(Error::io("lock", &lock_path))?;
        // A socket that does not answer is what a killed broker leaves.
        let joined =
            BrokerClient::connect(&handle).and_then(|broker| broker.join().ok().map(|namespaces| (broker, namespaces)));
        let (broker, namespaces) = match joined {
            Some(joined) => joined,
            None => {
                start(helper(), directory)?;
                let broker = BrokerClient::connect(&handle).ok_or_else(|| Error::Helper {
                    doing: "listen",
                    why: "it said that it does, and does not".to_owned(),
                })?;
                let namespaces = broker.join()?;
                (broker, namespaces)
            }
        };
        drop(lock);
        if !lives_in(&namespaces[0])? {
            move_into(&namespaces)?;
        }
        Ok(Self { broker, ids: mapped_ids() })
    }

    /// Binds ports outside.
    #[must_use]
    pub fn broker(&self) -> &BrokerClient {
        &self.broker
    }

    /// How many user ids exist inside: 1 unless `newuidmap` and `/etc/subuid` grant more, or root made it.
    #[must_use]
    pub fn ids(&self) -> u32 {
        self.ids
    }
}

/// Starts the broker and waits for its first word.
fn start(mut helper: Command, directory: &Path) -> Result<()> {
    let directory = std::path::absolute(directory).map_err(Error::io("find", directory))?;
    let helper = helper.arg("broker").arg(&directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = helper.spawn().map_err(Error::io("start", helper.get_program()))?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(Error::io("read", "the helper's word"))?;
    }
    match line.trim_end() {
        "ready" => Ok(()),
        other => {
            let _ = child.wait();
            let why = other.strip_prefix("failed ").unwrap_or("it ended without a word").to_owned();
            Err(Error::Helper { doing: "make the outer namespace", why })
        }
    }
}

fn lives_in(net: &OwnedFd) -> Result<bool> {
    let path = "/proc/self/ns/net";
    let own = std::fs::metadata(path).map_err(Error::io("look at", path))?.ino();
    let file = File::from(net.try_clone().map_err(Error::io("duplicate", "the network namespace"))?);
    Ok(file.metadata().map_err(Error::io("look at", "the network namespace"))?.ino() == own)
}

/// The user namespace first: it gives the right to enter the others.
fn move_into(namespaces: &[OwnedFd]) -> Result<()> {
    let threads = std::fs::read_dir("/proc/self/task").map_err(Error::io("list", "/proc/self/task"))?.count();
    if threads > 1 {
        return Err(Error::Unsupported {
            feature: "joining the outer namespace",
            hint: format!("the process has {threads} threads already; enter first thing in main"),
        });
    }
    let before = std::env::current_dir().ok();
    if let Some(user) = namespaces.get(2) {
        setns(user, CloneFlags::CLONE_NEWUSER).map_err(Error::kernel("join the outer user namespace"))?;
    }
    setns(&namespaces[0], CloneFlags::CLONE_NEWNET).map_err(Error::kernel("join the outer network namespace"))?;
    setns(&namespaces[1], CloneFlags::CLONE_NEWNS).map_err(Error::kernel("join the outer mount namespace"))?;
    if let Some(directory) = before {
        // One that is not there any more stays behind; relative paths then start at the root.
        let _ = std::env::set_current_dir(directory);
    }
    Ok(())
}

fn mapped_ids() -> u32 {
    let text = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u32>().ok();
    text.lines().filter_map(count).fold(0, u32::saturating_add)
}
