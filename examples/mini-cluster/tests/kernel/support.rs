//! A state folder with a cluster, commands with a time limit, and the counts that must be the same afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use test_lane::{Failed, Outcome};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mini-cluster");
/// Longer than anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A state folder; its cluster ends with it.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
}

impl Cluster {
    /// A folder without a cluster.
    pub(crate) fn folder() -> Result<Self, Failed> {
        Ok(Self { dir: tempfile::Builder::new().prefix("mini-cluster-test-").tempdir()? })
    }

    /// A running cluster.
    pub(crate) fn up() -> Result<Self, Failed> {
        let this = Self::folder()?;
        this.ok(&["up", "-d"])?;
        Ok(this)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A command on this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("--root").arg(self.root()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Output, Failed> {
        run(self.command(args))
    }

    /// Runs a command that must succeed; its standard output.
    pub(crate) fn ok(&self, args: &[&str]) -> Result<String, Failed> {
        let output = self.run(args)?;
        if !output.status.success() {
            return Err(format!("{args:?} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command that must fail; what it says.
    pub(crate) fn refused(&self, args: &[&str]) -> Result<String, Failed> {
        let output = self.run(args)?;
        if output.status.success() {
            return Err(format!("{args:?} did not fail: {}", String::from_utf8_lossy(&output.stdout)).into());
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Applies a manifest given as text; both outputs.
    pub(crate) fn apply(&self, manifest: &str) -> Result<Output, Failed> {
        let path = self.dir.path().join("manifest.yaml");
        fs::write(&path, manifest)?;
        run(self.command(&["apply", "-f", &path.display().to_string()]))
    }

    /// Looks until `wanted` is in the output of a command.
    pub(crate) fn eventually(&self, args: &[&str], wanted: &[&str]) -> Result<String, Failed> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.ok(args)?;
            if wanted.iter().all(|wanted| seen.contains(wanted)) {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                return Err(format!("{wanted:?} not in what {args:?} says:\n{seen}").into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.root().exists() {
            let _ = run(self.command(&["down"]));
        }
    }
}

/// Runs a command to its end, or kills it.
pub(crate) fn run(mut command: Command) -> Result<Output, Failed> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    match ended.recv_timeout(LIMIT) {
        Ok(output) => Ok(output?),
        Err(_) => {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            Err(format!("{command:?} was still running after {} s", LIMIT.as_secs()).into())
        }
    }
}

/// Waits for a child with a limit.
pub(crate) fn wait(child: &mut Child) -> Result<std::process::ExitStatus, Failed> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    Err("the child did not end".into())
}

/// What a cluster must not leave behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    mounts: usize,
    links: BTreeSet<String>,
}

impl Traces {
    /// Looks at this machine.
    pub(crate) fn now() -> Result<Self, Failed> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?.lines().count();
        let links =
            fs::read_dir("/sys/class/net")?.flatten().map(|link| link.file_name().to_string_lossy().into_owned());
        Ok(Self { mounts, links: links.collect() })
    }
}

/// Fails if a process or a cgroup of the cluster of this folder is left.
pub(crate) fn nothing_left_of(root: &Path, before: &Traces) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(5);
    // The kernel frees what a killed process held a moment after it has gone.
    let processes = loop {
        let left = processes_of(root)?;
        if left.is_empty() || Instant::now() > deadline {
            break left;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !processes.is_empty() {
        return Err(format!("processes left: {processes:?}").into());
    }
    let cgroups = cgroups_of(root);
    if !cgroups.is_empty() {
        return Err(format!("cgroups left: {cgroups:?}").into());
    }
    let after = Traces::now()?;
    if after != *before {
        return Err(format!("mounts or links changed: {before:?}, then {after:?}").into());
    }
    Ok(())
}

/// Command lines that name the folder.
pub(crate) fn processes_of(root: &Path) -> Result<Vec<(i32, String)>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if pid != nix::unistd::getpid().as_raw() && line.contains(&root.display().to_string()) {
            found.push((pid, line));
        }
    }
    Ok(found)
}

/// The folders of cgroups of this cluster in any hierarchy.
fn cgroups_of(root: &Path) -> Vec<PathBuf> {
    let name = mini_cluster::Root::choose(Some(root)).map(|root| root.cgroup()).unwrap_or_default();
    let name = name.trim_start_matches('/').to_owned();
    let top = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = hierarchies.chain([top.to_owned()]);
    all.map(|hierarchy| hierarchy.join(&name)).filter(|path| path.exists()).collect()
}
