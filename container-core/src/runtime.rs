//! The entry: facts of the machine, and the verbs that bring containers into being.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use crate::cgroup::Group;
use crate::compile::compile;
use crate::container::Template;
use crate::launch::{self, Handover};
use crate::options::{Launch, NamespaceKind, Rootfs};
use crate::plan::{FdNeed, LaunchPlan};
use crate::process::{Handle, Pipes, Streams, high};
use crate::{Adopted, Container, ContainerId, Error, Host, Record, Result};

/// The facts of this machine and the stub's memory file. Cheap, shareable between threads, holds no containers.
#[derive(Debug)]
pub struct Runtime {
    host: Arc<Host>,
    stub: Arc<OnceLock<OwnedFd>>,
}

impl Runtime {
    /// Probes this machine.
    ///
    /// # Errors
    /// `Unsupported` on a kernel that is too old.
    pub fn new() -> Result<Self> {
        Host::probe().map(Self::with_host)
    }

    /// Works with facts that were probed before, or invented for a test.
    #[must_use]
    pub fn with_host(host: Host) -> Self {
        Self { host: Arc::new(host), stub: Arc::default() }
    }

    /// The facts.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Compiles a launch without doing anything. The plan prints as text.
    ///
    /// # Errors
    /// `InvalidSpec` with every problem; `Unsupported` for what this machine cannot do.
    pub fn plan(&self, launch: &Launch) -> Result<LaunchPlan> {
        let id = ContainerId::new("plan")?;
        compile(&id, launch, &self.host, true)
    }

    /// The control groups that a launch would make. Who must be able to clean up after being killed in the middle of
    /// a launch writes them down first.
    ///
    /// # Errors
    /// As [`plan`](Self::plan), for the limits.
    pub fn groups(&self, id: &ContainerId, launch: &Launch) -> Result<Group> {
        let plan = crate::cgroup::compile(id, launch, &self.host)?;
        Ok(plan.as_ref().map(Group::planned).unwrap_or_default())
    }

    /// Sets a container up to the last step before its program begins.
    ///
    /// # Errors
    /// Whatever a plan or its steps can fail with; nothing is left behind.
    pub fn create(&self, id: &ContainerId, launch: Launch) -> Result<Container> {
        self.launch(id, launch, true)
    }

    /// Creates and starts in one go.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`Container::start`].
    pub fn run(&self, id: &ContainerId, launch: Launch) -> Result<Container> {
        self.launch(id, launch, false)
    }

    fn launch(&self, id: &ContainerId, mut launch: Launch, parked: bool) -> Result<Container> {
        launch.resolve_user()?;
        let plan = compile(id, &launch, &self.host, parked)?;
        forget_volatile(&launch.rootfs);
        let group = plan.cgroup.as_ref().map(Group::create).transpose()?.unwrap_or_default();
        let outcome = self.carry_out(id, launch, plan, &group);
        if outcome.is_err() {
            // The failure that matters is the launch's.
            let _ = group.remove();
        }
        outcome
    }

    fn carry_out(&self, id: &ContainerId, launch: Launch, plan: LaunchPlan, group: &Group) -> Result<Container> {
        let template = Template::of(&launch, plan.setgroups);
        let not_enforced = plan.not_enforced().to_vec();
        let mut pipes = Pipes::default();
        let streams = if launch.pty.is_some() { None } else { Some(Streams::open(launch.stdio, &mut pipes)?) };
        let mut joins = BTreeMap::new();
        for entry in &launch.spec.linux.namespaces {
            if let Some(path) = &entry.path {
                let file = std::fs::File::open(path).map_err(Error::io("open the namespace", path))?;
                joins.insert(entry.kind, OwnedFd::from(file));
            }
        }
        joins.extend(launch.joins);
        let tasks = group.controllers().map(|name| group.tasks(name).and_then(high)).collect::<Result<Vec<_>>>()?;
        let unified = group.unified()?;
        let fds = needs(&plan, streams.as_ref(), &joins, &tasks, unified.as_ref())?;
        let cgroup = unified.as_ref().map(AsFd::as_fd);
        let handover = Handover { id, stub: stub(&self.stub)?, fds, cgroup };
        let launched = launch::launch(plan, &handover)?;
        pipes.master = launched.master;
        Ok(Container {
            id: id.clone(),
            handle: Handle::new(launched.pid, launched.pidfd),
            family: Arc::default(),
            parked: Mutex::new(launched.parked),
            group: group.clone(),
            pipes,
            template,
            not_enforced,
            boot_id: self.host.boot_id.clone(),
            stub: Arc::clone(&self.stub),
            host: Arc::clone(&self.host),
            detached: AtomicBool::new(false),
        })
    }

    /// Removes the empty groups that [`Launch::cgroup_parent`] made, once nothing lives below. One that is still in use
    /// stays.
    pub fn remove_cgroup_parent(&self, parent: &str) {
        crate::cgroup::remove_parent(&self.host.cgroups, parent);
    }

    /// Finds a container again that another process launched.
    ///
    /// # Errors
    /// `Kernel` when the process cannot be asked.
    pub fn adopt(&self, record: &Record) -> Result<Adopted> {
        if record.boot_id != self.host.boot_id {
            return Ok(Adopted::Gone);
        }
        let Ok(pidfd) = launch::clone::pidfd_open(record.pid) else { return Ok(Adopted::Gone) };
        // The descriptor came first: if the start time fits now, it is the descriptor's process that it belongs to.
        if crate::record::start_time(record.pid) != Some(record.start_time) {
            return Ok(Adopted::Gone);
        }
        if crate::exit::ended_within(pidfd.as_fd(), Some(std::time::Duration::ZERO))? {
            return Ok(Adopted::Gone);
        }
        Ok(Adopted::Running(Box::new(Container {
            id: record.id.clone(),
            handle: Handle::new(record.pid, pidfd),
            family: Arc::default(),
            parked: Mutex::new(None),
            group: record.group.clone(),
            pipes: Pipes::default(),
            template: record.template.clone(),
            not_enforced: Vec::new(),
            boot_id: record.boot_id.clone(),
            stub: Arc::clone(&self.stub),
            host: Arc::clone(&self.host),
            detached: AtomicBool::new(false),
        })))
    }
}

impl Template {
    fn of(launch: &Launch, setgroups: bool) -> Self {
        let spec = &launch.spec;
        let listed = spec.linux.namespaces.iter().map(|entry| entry.kind);
        let own = listed.chain(launch.joins.keys().copied());
        Self {
            namespaces: own.fold(0, |flags, kind: NamespaceKind| flags | kind.flag()),
            process: spec.process.clone(),
            seccomp: spec.linux.seccomp.clone(),
            setgroups,
        }
    }
}

/// An overlay mounted `volatile` marks its work folder and refuses it the next time, in case the machine crashed in
/// between. Whoever launches again from the same upper folder has decided that it is fine.
fn forget_volatile(rootfs: &Rootfs) {
    if let Rootfs::Overlay { work, .. } = rootfs {
        // Not there, nearly always.
        let _ = std::fs::remove_dir_all(work.join("work/incompat"));
    }
}

/// The stub's memory file, made once.
pub(crate) fn stub(cell: &OnceLock<OwnedFd>) -> Result<BorrowedFd<'_>> {
    if let Some(stub) = cell.get() {
        return Ok(stub.as_fd());
    }
    let made = high(launch::stub()?)?;
    Ok(cell.get_or_init(|| made).as_fd())
}

/// One descriptor for each need of the plan.
fn needs<'a>(
    plan: &LaunchPlan,
    streams: Option<&'a Streams>,
    joins: &'a BTreeMap<NamespaceKind, OwnedFd>,
    tasks: &'a [OwnedFd],
    unified: Option<&'a OwnedFd>,
) -> Result<Vec<BorrowedFd<'a>>> {
    let find = |need: &FdNeed| match need {
        FdNeed::Stdio(number) => streams.and_then(|streams| streams.get(*number)),
        FdNeed::Namespace(kind) => joins.get(kind).map(AsFd::as_fd),
        FdNeed::Tasks(index) => tasks.get(*index).map(AsFd::as_fd),
        FdNeed::Unified => unified.map(AsFd::as_fd),
        FdNeed::Target => None,
    };
    let missing = || Error::Kernel { doing: "hand over a descriptor", source: std::io::ErrorKind::NotFound.into() };
    plan.fds.iter().map(|need| find(need).ok_or_else(missing)).collect()
}
