//! From a specification and the facts of a machine to a plan. Pure: the same input gives the same plan, anywhere.
//!
//! `phases` is the only place where order lives, each line with why it stands where it stands.

use container_child::op::Op;

use crate::host::Host;
use crate::options::{Launch, NamespaceKind, Rootfs};
use crate::plan::{Builder, FdNeed, LaunchPlan};
use crate::{ContainerId, Result, Spec};

pub(crate) use join::join;

mod check;
mod devices;
mod identity;
mod join;
mod mounts;
mod namespaces;
mod options;
mod program;
mod rootfs;

/// What a compilation reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) host: &'a Host,
    pub(crate) rootfs: &'a Rootfs,
    pub(crate) launch: &'a Launch,
    /// Supplementary groups may be set.
    pub(crate) setgroups: bool,
    /// Stops before the last steps and waits for `start`.
    pub(crate) parked: bool,
}

impl Input<'_> {
    pub(crate) fn makes(&self, kind: NamespaceKind) -> bool {
        let listed = self.spec.linux.namespaces.iter().any(|entry| entry.kind == kind && entry.path.is_none());
        listed && !self.launch.joins.contains_key(&kind)
    }

    pub(crate) fn joins(&self, kind: NamespaceKind) -> bool {
        let listed = self.spec.linux.namespaces.iter().any(|entry| entry.kind == kind && entry.path.is_some());
        listed || self.launch.joins.contains_key(&kind)
    }

    /// The container's ids are not the machine's: device nodes cannot be made, host file systems are out of reach.
    pub(crate) fn confined(&self) -> bool {
        self.makes(NamespaceKind::User) || self.joins(NamespaceKind::User) || !self.host.makes_devices()
    }
}

/// Compiles a launch.
///
/// # Errors
/// `InvalidSpec` lists every problem; `Unsupported` names what this machine cannot do.
pub fn compile(id: &ContainerId, launch: &Launch, host: &Host, parked: bool) -> Result<LaunchPlan> {
    let mut input =
        Input { spec: &launch.spec, host, rootfs: &launch.rootfs, launch, setgroups: host.setgroups, parked };
    if input.makes(NamespaceKind::User) {
        input.setgroups = host.is_root();
    }
    let mut builder = Builder::default();
    check::check(&input, &mut builder);
    let cgroup = crate::cgroup::compile(id, launch, host)?;
    phases(&input, cgroup.as_ref(), &mut builder);
    let command = input.spec.process.args.first().cloned().unwrap_or_default();
    let mut plan = builder.finish(command, input.spec.process.cwd.clone())?;
    plan.clone_flags = namespaces::clone_flags(&input, cgroup.as_ref());
    plan.maps = namespaces::id_maps(&input)?;
    plan.not_enforced.extend(cgroup.iter().flat_map(|cgroup| cgroup.not_enforced.clone()));
    plan.cgroup = cgroup;
    plan.setgroups = input.setgroups;
    Ok(plan)
}

fn phases(input: &Input<'_>, cgroup: Option<&crate::cgroup::CgroupPlan>, b: &mut Builder) {
    // Modes in the plan are exact, whatever the host's mask.
    b.op(Op::Umask { mask: 0 }, "plan");
    // Needs the host's proc, which is out of reach once the root has changed.
    identity::oom_score(input, b);
    // Joined first: everything the launch itself uses is charged to the container.
    namespaces::cgroup(input, cgroup, b);
    // After the group is joined, so that it becomes the root of a new cgroup namespace; before the mounts, which
    // belong to the network, ipc and cgroup namespaces they are made in.
    namespaces::join(input, cgroup, b);
    // While the host's tree is in sight: a private copy, and every mount made detached.
    mounts::propagation(input, b);
    mounts::make(input, cgroup, b);
    rootfs::enter(input, b);
    // Only now are paths of the image resolved: there is nothing outside to escape to.
    mounts::attach(input, b);
    rootfs::propagation(input, b);
    // Kernel settings before the masks make proc/sys read-only, masks after everything they could hide is mounted.
    mounts::sysctls(input, b);
    mounts::read_only_paths(input, b);
    mounts::masks(input, b);
    namespaces::names(input, b);
    // The terminal lives in the container's own devpts.
    streams(input, 1, b);
    // As root, so that a missing folder can be made; before the root may become read-only.
    program::working_folder(input, b);
    rootfs::seal(input, b);
    identity::limits(input, b);
    identity::user(input, b);
    if input.parked {
        // Everything that can fail for lack of a right has happened.
        b.op(Op::AwaitStart {}, "create");
    }
    b.op(Op::Signals {}, "plan");
    b.op(Op::CloseFds {}, "plan");
    // Last, so that a strict profile need only allow execve.
    identity::lock(input, b);
    program::exec(&input.spec.process.args, &input.spec.process.env, b);
}

fn streams(input: &Input<'_>, bind: u32, b: &mut Builder) {
    if let Some(size) = input.launch.pty {
        let uid = input.spec.process.user.uid;
        let (rows, cols) = (u32::from(size.rows), u32::from(size.cols));
        b.op(Op::Console { rows, cols, uid, bind }, "process.terminal");
        return;
    }
    b.op(Op::NewSession {}, "plan");
    for number in 0..3 {
        let fd = b.fd(FdNeed::Stdio(number));
        b.op(Op::Stdio { fd, number }, "stdio");
    }
}
