//! What a cluster could leave behind, counted before and after: nothing is claimed that was not looked for.
//!
//! Rules and links of the cluster live in its own network namespace; once no process is in it any more, the kernel has
//! freed it with all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::state::Root;

/// How long the kernel may take to free what a process held.
const FREED: Duration = Duration::from_secs(3);

/// What was there before the cluster ended.
#[derive(Debug)]
pub(super) struct Traces {
    root: Root,
    mounts: usize,
    links: BTreeSet<String>,
    /// The cluster's network and process namespaces.
    namespaces: BTreeSet<PathBuf>,
}

impl Traces {
    /// Looks while the cluster runs. `inside` is the process above it.
    pub(super) fn of(root: &Root, inside: u32) -> Self {
        let namespace = |name: &str| fs::read_link(format!("/proc/{inside}/ns/{name}")).ok();
        let namespaces = ["net", "pid_for_children"].into_iter().filter_map(namespace);
        Self { root: root.clone(), mounts: mounts(), links: links(), namespaces: namespaces.collect() }
    }

    /// Counts again; anything left is an error that names it.
    pub(super) fn gone(&self) -> Result<String> {
        let deadline = Instant::now() + FREED;
        loop {
            let left = self.left();
            if left.is_empty() {
                let looked =
                    "0 processes, 0 namespaces (with their links and rules), 0 cgroups, 0 mounts, 0 files left";
                return Ok(looked.to_owned());
            }
            if Instant::now() > deadline {
                return Err(Error::Demo { what: format!("nothing left behind, but: {}", left.join(", ")) });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let own = std::process::id().to_string();
        let folder = self.root.dir().display().to_string();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = process.file_name().to_string_lossy().into_owned();
            if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let inside = ["net", "pid"].iter().any(|name| {
                fs::read_link(process.path().join("ns").join(name)).is_ok_and(|link| self.namespaces.contains(&link))
            });
            if inside || line.contains(&format!("--root {folder}")) && line.contains("__") {
                left.push(format!("process {pid} ({})", line.trim()));
            }
        }
        left.extend(crate::outside::cgroups(&self.root).iter().map(|path| format!("cgroup {}", path.display())));
        if mounts() > self.mounts {
            left.push(format!("{} mounts", mounts() - self.mounts));
        }
        left.extend(links().difference(&self.links).map(|link| format!("link {link}")));
        if self.root.dir().exists() {
            left.push(format!("folder {folder}"));
        }
        left
    }
}

fn mounts() -> usize {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines().count()
}

fn links() -> BTreeSet<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
