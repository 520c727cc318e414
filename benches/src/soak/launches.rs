//! Launches from a process whose other threads allocate and print all the time, and what they leave behind: nothing.
//!
//! Absent: speed, which the launch bench measures.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use container_core::{ContainerId, Launch, Rootfs, Runtime};

use super::Outcome;
use crate::bundle::{self, Bundle};

const NOISY: usize = 8;
const LAUNCHERS: usize = 2;

/// Launches until the deadline.
pub fn run(_seed: u64, deadline: Instant) -> Outcome {
    if !nix::unistd::geteuid().is_root() {
        return Outcome::skipped("needs root for cgroups");
    }
    let (bundle, runtime) = match (Bundle::make(), Runtime::new()) {
        (Ok(bundle), Ok(runtime)) => (bundle, runtime),
        (Err(error), _) => return Outcome::skipped(&format!("cannot make a bundle: {error}")),
        (_, Err(error)) => return Outcome::skipped(&format!("cannot probe the kernel: {error}")),
    };
    let rootfs = Rootfs::Path(bundle.path().join("rootfs"));
    let parent = format!("/soak-{}", std::process::id());
    // The first launch makes what is made once: the stub's memory file, the parent group.
    let mut failures: Vec<String> = launch(&runtime, &rootfs, &parent, 0).err().into_iter().collect();
    let before = Leftovers::count(&parent);
    let total = Mutex::new((0_u64, Vec::new()));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..NOISY {
            scope.spawn(|| noise(&done));
        }
        let launchers: Vec<_> = (0..LAUNCHERS)
            .map(|number| {
                scope.spawn({
                    let (runtime, rootfs, parent, total) = (&runtime, &rootfs, &parent, &total);
                    move || launcher(number, deadline, runtime, rootfs, parent, total)
                })
            })
            .collect();
        for launcher in launchers {
            // A panic of a launcher is a failure like any other.
            if launcher.join().is_err() {
                total.lock().unwrap_or_else(PoisonError::into_inner).1.push("a launcher panicked".to_owned());
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let (count, more) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.extend(more);
    failures.extend(before.compare(&Leftovers::count(&parent)));
    remove_parents(&parent);
    Outcome { count, failures, skipped: None }
}

fn noise(done: &AtomicBool) {
    let Ok(mut sink) = fs::OpenOptions::new().write(true).open("/dev/null") else { return };
    let mut size = 1;
    while !done.load(Ordering::Relaxed) {
        size = size % 65_521 + 17;
        let text = "x".repeat(size);
        // What is written to /dev/null does not matter; the allocator and its locks do.
        let _ = writeln!(sink, "{text}");
        std::thread::yield_now();
    }
}

fn launcher(
    number: usize,
    deadline: Instant,
    runtime: &Runtime,
    rootfs: &Rootfs,
    parent: &str,
    total: &Mutex<(u64, Vec<String>)>,
) {
    for round in 1_usize.. {
        if Instant::now() >= deadline {
            return;
        }
        let outcome = launch(runtime, rootfs, parent, round * LAUNCHERS + number);
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        total.0 += 1;
        total.1.extend(outcome.err());
    }
}

fn launch(runtime: &Runtime, rootfs: &Rootfs, parent: &str, number: usize) -> Result<(), String> {
    let name = format!("soak-{}-{number}", std::process::id());
    let run = || {
        let launch = Launch::new(bundle::spec(), rootfs.clone()).cgroup_parent(parent);
        let container = runtime.run(&ContainerId::new(&name)?, launch)?;
        let status = container.wait()?;
        container.delete()?;
        Ok(status.code())
    };
    match run().map_err(|error: container_core::Error| format!("{name}: {error}"))? {
        0 => Ok(()),
        code => Err(format!("{name}: true ended with {code}")),
    }
}

/// What may not grow.
struct Leftovers {
    descriptors: usize,
    mounts: usize,
    children: usize,
    cgroups: usize,
}

/// The folders of `parent` in every cgroup tree.
fn parents(parent: &str) -> BTreeSet<std::path::PathBuf> {
    let trees = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    trees
        .chain([Path::new("/sys/fs/cgroup").to_owned()])
        .map(|tree| tree.join(parent.trim_start_matches('/')))
        .collect()
}

fn remove_parents(parent: &str) {
    for folder in parents(parent) {
        // Most trees do not have it.
        let _ = fs::remove_dir(folder);
    }
}

impl Leftovers {
    fn count(parent: &str) -> Self {
        let entries = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
        let lines = |path: &str| fs::read_to_string(path).map_or(0, |text| text.split_whitespace().count());
        let folders = |path: &Path| {
            let inside = fs::read_dir(path).into_iter().flatten().flatten();
            inside.filter(|entry| entry.path().is_dir()).count()
        };
        let own = std::process::id();
        Self {
            descriptors: entries(Path::new("/proc/self/fd")),
            mounts: fs::read_to_string("/proc/self/mountinfo").map_or(0, |text| text.lines().count()),
            children: lines(&format!("/proc/self/task/{own}/children")),
            cgroups: parents(parent).iter().map(|tree| folders(tree)).sum(),
        }
    }

    fn compare(&self, after: &Self) -> Vec<String> {
        let rows = [
            ("file descriptors", self.descriptors, after.descriptors),
            ("mounts", self.mounts, after.mounts),
            ("child processes", self.children, after.children),
            ("cgroups", self.cgroups, after.cgroups),
        ];
        let grown = rows.into_iter().filter(|(_, before, after)| after > before);
        grown.map(|(what, before, after)| format!("{what} grew from {before} to {after}")).collect()
    }
}
