//! Live groups: made, read, frozen, emptied, removed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{CgroupPlan, GroupPlan, limits};
use crate::spec::Resources;
use crate::{Error, Result, Signal};

/// The groups of one container, by their folders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Version-1 controller and folder.
    v1: Vec<(String, PathBuf)>,
    /// Folder in the unified tree.
    v2: Option<PathBuf>,
}

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Bytes of memory in use, file cache included.
    pub memory: Option<u64>,
    /// Bytes of file cache that could be given back at once.
    pub memory_inactive_file: Option<u64>,
    /// Limit of memory, when there is one.
    pub memory_limit: Option<u64>,
    /// Processor time used, in nanoseconds.
    pub cpu_nanos: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Times the kernel killed something for lack of memory.
    pub oom_kills: u64,
}

impl Group {
    /// Makes the groups of a plan. What was made is removed again when one cannot be.
    ///
    /// # Errors
    /// `Io` names the folder or file.
    pub fn create(plan: &CgroupPlan) -> Result<Self> {
        let mut made = Self::default();
        for group in &plan.groups {
            if let Err(error) = make(group) {
                // The first failure is what the caller must see. The group that failed may be somebody's: it is
                // removed only if it has no members.
                let _ = fs::remove_dir(group.folder());
                let _ = made.remove();
                return Err(error);
            }
            match group.v1_controller() {
                Some(controller) => made.v1.push((controller.to_owned(), group.folder())),
                None => made.v2 = Some(group.folder()),
            }
        }
        Ok(made)
    }

    /// The groups that a plan would make, to be remembered before they are.
    #[must_use]
    pub(crate) fn planned(plan: &CgroupPlan) -> Self {
        let mut planned = Self::default();
        for group in &plan.groups {
            match group.v1_controller() {
                Some(controller) => planned.v1.push((controller.to_owned(), group.folder())),
                None => planned.v2 = Some(group.folder()),
            }
        }
        planned
    }

    /// Ends the processes in the groups and removes them.
    ///
    /// # Errors
    /// `Io` names the group that stayed.
    pub fn clean(&self) -> Result<()> {
        if !self.pids().is_empty() {
            // A frozen process cannot die.
            let _ = self.freeze(false);
            self.signal(Signal::KILL)?;
        }
        self.remove()
    }

    /// Opens the file by which a thread joins a v1 group.
    pub(crate) fn tasks(&self, controller: &str) -> Result<OwnedFd> {
        let folder = self.v1.iter().find(|(name, _)| name == controller).map(|(_, folder)| folder);
        let path = folder.cloned().unwrap_or_default().join("tasks");
        let file = fs::OpenOptions::new().write(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(file.into())
    }

    /// Opens the unified group's folder.
    pub(crate) fn unified(&self) -> Result<Option<OwnedFd>> {
        let Some(folder) = &self.v2 else { return Ok(None) };
        let file = File::open(folder).map_err(Error::io("open", folder))?;
        Ok(Some(file.into()))
    }

    pub(crate) fn controllers(&self) -> impl Iterator<Item = &str> {
        self.v1.iter().map(|(name, _)| name.as_str())
    }

    /// Tells whether there is any group.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v1.is_empty() && self.v2.is_none()
    }

    fn v1_file(&self, controller: &str, file: &str) -> Option<PathBuf> {
        self.v1.iter().find(|(name, _)| name == controller).map(|(_, folder)| folder.join(file))
    }

    fn v2_file(&self, file: &str) -> Option<PathBuf> {
        self.v2.as_ref().map(|folder| folder.join(file))
    }

    fn text(&self, controller: &str, v1: &str, v2: &str) -> Option<String> {
        let old = self.v1_file(controller, v1).and_then(|path| fs::read_to_string(path).ok());
        old.or_else(|| self.v2_file(v2).and_then(|path| fs::read_to_string(path).ok()))
    }

    /// Reads the usage. What the machine does not count is `None`.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let number = |controller, v1, v2| self.text(controller, v1, v2)?.trim().parse().ok();
        let memory_stat = self.text("memory", "memory.stat", "memory.stat").unwrap_or_default();
        let inactive = field(&memory_stat, "total_inactive_file").or_else(|| field(&memory_stat, "inactive_file"));
        let own_cpu =
            || field(&fs::read_to_string(self.v2_file("cpu.stat")?).ok()?, "usage_usec").map(|micros| micros * 1000);
        let v1_cpu = self.v1_file("cpuacct", "cpuacct.usage").and_then(|path| fs::read_to_string(path).ok());
        Stats {
            memory: number("memory", "memory.usage_in_bytes", "memory.current"),
            memory_inactive_file: inactive,
            // Version 1 says "unlimited" as a number close to the largest there is.
            memory_limit: number("memory", "memory.limit_in_bytes", "memory.max").filter(|limit| *limit < 1 << 60),
            cpu_nanos: v1_cpu.and_then(|text| text.trim().parse().ok()).or_else(own_cpu),
            pids: number("pids", "pids.current", "pids.current"),
            oom_kills: self.oom_kills(),
        }
    }

    /// Counts how often the kernel killed something in the groups for lack of memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        self.text("memory", "memory.oom_control", "memory.events")
            .and_then(|text| field(&text, "oom_kill"))
            .unwrap_or(0)
    }

    /// Changes limits of the running container.
    ///
    /// # Errors
    /// `Io` names the file that refused.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        let mut pending = Vec::new();
        for (controller, file, value, unified) in limits::changes(resources) {
            let v1 = self.v1.iter().any(|(name, _)| name == controller);
            let path = match (unified, v1) {
                (false, true) => self.v1_file(controller, file),
                (true, false) => self.v2_file(file).filter(|path| path.exists()),
                _ => None,
            };
            pending.extend(path.map(|path| (path, value)));
        }
        // Two limits may depend on each other in either order (memory above memory and swap): what is refused once
        // gets a second try after the others.
        let mut refused = Vec::new();
        for (path, value) in pending {
            if write(&path, &value).is_err() {
                refused.push((path, value));
            }
        }
        refused.into_iter().try_for_each(|(path, value)| write(&path, &value).map_err(Error::io("write", &path)))
    }

    /// Stops (or lets go on) every process in the groups, and waits until that is so.
    ///
    /// # Errors
    /// `Unsupported` without a group that can be frozen; `Io` when the kernel refuses.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let (path, value, state, want) = if let Some(path) = self.v2_file("cgroup.freeze").filter(|path| path.exists())
        {
            let events = self.v2_file("cgroup.events").unwrap_or_default();
            (path, if frozen { "1" } else { "0" }, events, if frozen { "frozen 1" } else { "frozen 0" })
        } else if let Some(path) = self.v1_file("freezer", "freezer.state") {
            let word = if frozen { "FROZEN" } else { "THAWED" };
            (path.clone(), word, path, word)
        } else {
            return Err(Error::Unsupported {
                feature: "pausing".to_owned(),
                hint: "the container has no control group that can be frozen".to_owned(),
            });
        };
        write(&path, value).map_err(Error::io("write", &path))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while !fs::read_to_string(&state).map_err(Error::io("read", &state))?.contains(want) {
            if Instant::now() > deadline {
                return Err(Error::Io { doing: "freeze", path, source: io::ErrorKind::TimedOut.into() });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Tells whether the groups are frozen.
    #[must_use]
    pub fn frozen(&self) -> bool {
        let v2 = self.v2_file("cgroup.events").and_then(|path| fs::read_to_string(path).ok());
        let v1 = || self.v1_file("freezer", "freezer.state").and_then(|path| fs::read_to_string(path).ok());
        v2.map_or_else(|| v1().is_some_and(|text| text.trim() == "FROZEN"), |text| text.contains("frozen 1"))
    }

    /// Lists the processes in the groups.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        let v2 = self.v2_file("cgroup.procs").and_then(|path| fs::read_to_string(path).ok());
        let v1 = || self.v1.first().and_then(|(_, folder)| fs::read_to_string(folder.join("cgroup.procs")).ok());
        let text = v2.or_else(v1).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
    }

    /// Sends a signal to every process in the groups; `KILL` in one write where the kernel can.
    ///
    /// # Errors
    /// `Kernel` when a process could not be signalled.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let kill = self.v2_file("cgroup.kill").filter(|_| signal == Signal::KILL);
        if kill.is_some_and(|path| write(&path, "1").is_ok()) {
            return Ok(());
        }
        for pid in self.pids() {
            let number = nix::sys::signal::Signal::try_from(signal.number()).ok();
            match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), number) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(errno) => return Err(Error::Kernel { doing: "signal the container", source: errno.into() }),
            }
        }
        Ok(())
    }

    /// Removes the groups. Processes still ending are waited for; what is already gone is fine.
    ///
    /// # Errors
    /// `Io` names the folder that stayed.
    pub fn remove(&self) -> Result<()> {
        let folders = self.v1.iter().map(|(_, folder)| folder).chain(&self.v2);
        let mut first = Ok(());
        for folder in folders {
            let removed = remove(folder);
            if first.is_ok() {
                first = removed;
            }
        }
        first
    }
}

/// Removes an empty parent in every hierarchy, and the empty groups between it and the base.
pub(crate) fn remove_parent(cgroups: &crate::host::Cgroups, parent: &str) {
    let base = cgroups.base.trim_matches('/');
    let mounts = cgroups.v1.values().chain(cgroups.v2.as_ref().map(|unified| &unified.mount));
    for mount in mounts {
        let top = if base.is_empty() { mount.clone() } else { mount.join(base) };
        let mut folder = top.join(parent.trim_matches('/'));
        // `rmdir` refuses a group with members or groups below; the climb ends there.
        while folder != top && folder.starts_with(&top) && fs::remove_dir(&folder).is_ok() {
            folder.pop();
        }
    }
}

fn remove(folder: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(16) && Instant::now() < deadline => {
                below(folder);
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(Error::io("remove", folder)(error)),
        }
    }
}

/// A container may have made groups of its own below.
fn below(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path());
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

fn make(group: &GroupPlan) -> Result<()> {
    let folder = group.folder();
    if !group.controllers.is_empty() {
        // An ancestor made by somebody else may not hand its controllers down yet.
        ancestors(group)?;
    }
    let mut made = fs::create_dir(&folder);
    // The parent is there already, nearly always; and it may be removed by others at any moment.
    for _ in 0..100 {
        if !made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            break;
        }
        ancestors(group)?;
        made = fs::create_dir(&folder);
    }
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
        // Left over by a launcher that was killed: its limits and counters must not become this container's. One that
        // still has members belongs to a container of the same name, and cannot be removed.
        made = fs::remove_dir(&folder).and_then(|()| fs::create_dir(&folder));
    }
    made.map_err(Error::io("make the control group", &folder))?;
    if group.v1_controller() == Some("cpuset") {
        inherit_cpuset(&folder, group)?;
    }
    let mut open: Option<(&str, File)> = None;
    for (file, value) in &group.writes {
        let path = folder.join(file);
        // Device rules are a dozen lines for one file.
        let same = open.take().filter(|(name, _)| name == file).map(|(_, opened)| Ok(opened));
        let opened = same.unwrap_or_else(|| fs::OpenOptions::new().write(true).open(&path));
        let written = opened.and_then(|mut opened| {
            opened.write_all(value.as_bytes())?;
            open = Some((file, opened));
            Ok(())
        });
        // Swap accounting may be switched off; then there is no swap to limit.
        let no_swap = file.contains("memsw") || file.contains("swap.max");
        if no_swap && written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            continue;
        }
        written.map_err(Error::io("write", &path))?;
    }
    Ok(())
}

/// Makes the folders above, and hands the controllers down through them.
fn ancestors(group: &GroupPlan) -> Result<()> {
    let parts: Vec<&str> = group.path.trim_matches('/').split('/').collect();
    let mut folder = group.mount.clone();
    for part in &parts[..parts.len().saturating_sub(1)] {
        hand_down(&folder, &group.controllers);
        folder.push(part);
        match fs::create_dir(&folder) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
                return Err(Error::io("make the control group", &folder)(error));
            }
            _ => {}
        }
        if group.v1_controller() == Some("cpuset") {
            inherit_cpuset(&folder, group)?;
        }
    }
    hand_down(&folder, &group.controllers);
    Ok(())
}

/// A controller that cannot be handed down shows when its limit is written.
fn hand_down(folder: &Path, controllers: &[String]) {
    if controllers.is_empty() {
        return;
    }
    let path = folder.join("cgroup.subtree_control");
    let on = fs::read_to_string(&path).unwrap_or_default();
    for controller in controllers {
        if !on.split_whitespace().any(|name| name == controller) {
            let _ = write(&path, &format!("+{controller}"));
        }
    }
}

/// A new cpuset is empty, and nothing can join an empty one.
fn inherit_cpuset(folder: &Path, group: &GroupPlan) -> Result<()> {
    if folder == group.mount {
        return Ok(());
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = folder.join(file);
        let mut own = String::new();
        let read = File::open(&path).and_then(|mut opened| opened.read_to_string(&mut own));
        read.map_err(Error::io("read", &path))?;
        if own.trim().is_empty() {
            let above = folder.parent().unwrap_or(folder).join(file);
            let value = fs::read_to_string(&above).map_err(Error::io("read", &above))?;
            write(&path, value.trim()).map_err(Error::io("write", &path))?;
        }
    }
    Ok(())
}
