//! kill -9 of mini-docker's command line and supervisors at random moments; the next command must find every
//! container in a legal state, or nothing of it, and removing them must leave nothing behind.
//!
//! Everything happens in a network namespace and a state root of its own. Absent: the same for the cluster, whose one
//! process takes everything with it; its own tests kill it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Outcome;
use crate::rounds::Random;

const LEGAL: [&str; 6] = ["created", "running", "paused", "restarting", "exited", "dead"];
const SETTLED: Duration = Duration::from_secs(20);

/// Kills until the deadline.
pub fn run(seed: u64, deadline: Instant) -> Outcome {
    if !nix::unistd::geteuid().is_root() {
        return Outcome::skipped("needs root for a network namespace of its own");
    }
    let Some(program) = program() else {
        return Outcome::skipped("needs mini-docker beside this program: cargo build -p mini-docker");
    };
    let sweep = move || match Sweep::start(program) {
        Ok(sweep) => sweep.run(&mut Random::new(seed), deadline),
        Err(why) => Outcome::skipped(&why),
    };
    // The namespace belongs to the thread that unshared it and to everything that thread starts.
    std::thread::spawn(sweep)
        .join()
        .unwrap_or_else(|_| Outcome { failures: vec!["the sweep panicked".to_owned()], ..Outcome::default() })
}

fn program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("mini-docker");
    beside.exists().then_some(beside)
}

struct Sweep {
    program: PathBuf,
    root: tempfile::TempDir,
}

impl Sweep {
    fn start(program: PathBuf) -> Result<Self, String> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| format!("cannot make a network namespace: {errno}"))?;
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        if !up.is_ok_and(|status| status.success()) {
            return Err("needs the program ip".to_owned());
        }
        let root = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
        let private = fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700));
        private.map_err(|error| format!("cannot close the folder: {error}"))?;
        Ok(Self { program, root })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.root.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, String> {
        self.command(arguments).output().map_err(|error| format!("{arguments:?}: {error}"))
    }

    /// Processes that work on this root: command lines and supervisors.
    fn own_processes(&self) -> Vec<i32> {
        let root = self.root.path().to_string_lossy().into_owned();
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&root)
        })
        .collect()
    }

    fn run(&self, random: &mut Random, deadline: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        // The base image is made on first use and takes longer than any delay below.
        if let Err(why) = self.output(&["run", "--rm", "base:latest", "true"]) {
            return Outcome::skipped(&why);
        }
        while Instant::now() < deadline {
            let delay = Duration::from_micros(random.number() % 250_000);
            let supervisor = random.below(3) == 0;
            let failed = self.once(outcome.count, delay, supervisor).err();
            let label = if supervisor { "supervisor" } else { "command line" };
            outcome.failures.extend(failed.map(|why| format!("kill of the {label} after {delay:?}: {why}")));
            outcome.count += 1;
        }
        outcome
    }

    /// Starts a container, kills after `delay`, looks, removes, looks again.
    fn once(&self, number: u64, delay: Duration, supervisor: bool) -> Result<(), String> {
        let name = format!("kill{number}");
        let run =
            ["run", "-d", "--name", &name, "-p", "18080:80", "--restart", "always", "base:latest", "sleep", "1000"];
        let mut started = self.command(&run);
        let mut child =
            started.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        // The delay is the experiment: a moment nobody chose.
        std::thread::sleep(delay);
        if supervisor {
            self.own_processes().into_iter().filter(|pid| child.id().cast_signed() != *pid).for_each(kill_hard);
        }
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        self.legal()?;
        let listed = self.output(&["ps", "-aq", "--no-trunc"])?;
        let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
        for id in ids.split_whitespace() {
            let removed = self.output(&["rm", "-f", id])?;
            if !removed.status.success() {
                return Err(format!("rm -f: {}", String::from_utf8_lossy(&removed.stderr).trim()));
            }
        }
        self.nothing_left(&ids)
    }

    fn legal(&self) -> Result<(), String> {
        let listed = self.output(&["ps", "-a", "--format", "{{.State}}"])?;
        if !listed.status.success() {
            return Err(format!("ps -a: {}", String::from_utf8_lossy(&listed.stderr).trim()));
        }
        let states = String::from_utf8_lossy(&listed.stdout).into_owned();
        let illegal = states.split_whitespace().find(|state| !LEGAL.contains(state));
        illegal.map_or(Ok(()), |state| Err(format!("illegal state {state}")))
    }

    fn nothing_left(&self, ids: &str) -> Result<(), String> {
        let end = Instant::now() + SETTLED;
        loop {
            let left = self.left(ids);
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("left behind: {}", left.join(", ")));
            }
            // A supervisor that was told to end needs a moment; there is nothing to wait on but its absence.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn left(&self, ids: &str) -> Vec<String> {
        let mut left: Vec<String> = self.own_processes().into_iter().map(|pid| format!("process {pid}")).collect();
        let trees = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        let groups = trees.flat_map(|tree| ids.split_whitespace().map(move |id| tree.join("mini-docker").join(id)));
        left.extend(groups.filter(|group| group.exists()).map(|group| format!("cgroup {}", group.display())));
        let links = Command::new("ip").args(["-o", "link"]).output().map(|output| output.stdout).unwrap_or_default();
        let links = String::from_utf8_lossy(&links).into_owned();
        left.extend(links.lines().filter(|line| !line.contains(": lo:")).map(|line| format!("link {line}")));
        left.extend(self.mounts());
        left
    }

    fn mounts(&self) -> Vec<String> {
        let root: &Path = self.root.path();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        table
            .lines()
            .filter(|line| line.contains(&*root.to_string_lossy()))
            .map(|line| format!("mount {line}"))
            .collect()
    }
}

fn kill_hard(pid: i32) {
    // It may have gone meanwhile.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.own_processes().into_iter().for_each(kill_hard);
    }
}
