//! Namespaces: made by the clone itself, joined by descriptor, named inside.

use container_child::op::Op;

use super::Input;
use crate::cgroup::CgroupPlan;
use crate::plan::{Builder, FdNeed, IdMaps};
use crate::spec::IdMapping;
use crate::{Error, NamespaceKind, Result};

/// Namespaces the clone makes. The cgroup namespace waits when a v1 group must be joined first, and all the others
/// wait when a user namespace is joined, because they must belong to it.
pub(super) fn clone_flags(input: &Input<'_>, cgroup: Option<&CgroupPlan>) -> u32 {
    if input.joins(NamespaceKind::User) {
        return 0;
    }
    let mut flags = 0;
    for kind in NamespaceKind::ALL {
        let later = kind == NamespaceKind::Time || kind == NamespaceKind::Cgroup && joins_by_write(cgroup);
        if input.makes(kind) && !later {
            flags |= kind.flag();
        }
    }
    flags
}

fn joins_by_write(cgroup: Option<&CgroupPlan>) -> bool {
    cgroup.is_some_and(|cgroup| cgroup.tasks().next().is_some())
}

/// Joins the v1 groups. The child moves itself: a parent that writes pids waits for every thread of the machine.
pub(super) fn cgroup(input: &Input<'_>, cgroup: Option<&CgroupPlan>, b: &mut Builder) {
    let Some(cgroup) = cgroup else { return };
    for index in cgroup.tasks() {
        let fd = b.fd(FdNeed::Tasks(index));
        let text = b.text("0", "linux.cgroupsPath");
        b.op(Op::Write { fd, text }, format!("cgroup {}", cgroup.groups[index].hierarchy));
    }
    // In a user namespace of its own the child may not attach a program, and no device can be made there either.
    if !cgroup.device_program.is_empty() && !input.confined() {
        let fd = b.fd(FdNeed::Unified);
        let program = b.program(&cgroup.device_program);
        b.op(Op::DeviceFilter { cgroup: fd, program }, "linux.resources.devices");
    }
}

/// Joins namespaces, the user's first because it gives the right to join the others, then makes what remains.
pub(super) fn join(input: &Input<'_>, cgroup: Option<&CgroupPlan>, b: &mut Builder) {
    let mut fork = false;
    for kind in NamespaceKind::ALL {
        if !input.joins(kind) {
            continue;
        }
        let fd = b.fd(FdNeed::Namespace(kind));
        b.op(Op::Setns { fd, flags: kind.flag() }, format!("namespace {kind}"));
        if kind == NamespaceKind::User {
            b.op(Op::Become { uid: 0, gid: 0 }, "namespace user");
        }
        fork |= matches!(kind, NamespaceKind::Pid | NamespaceKind::Time);
    }
    fork |= late(input, clone_flags(input, cgroup), b);
    if fork {
        b.op(Op::Fork {}, "namespace pid");
    }
}

/// Namespaces the clone could not make. Tells whether only a child of this process will be inside.
fn late(input: &Input<'_>, by_clone: u32, b: &mut Builder) -> bool {
    let made = NamespaceKind::ALL.into_iter().filter(|kind| input.makes(*kind));
    let flags = made.fold(0, |flags, kind| flags | kind.flag()) & !by_clone;
    if flags != 0 {
        b.op(Op::Unshare { flags }, "linux.namespaces");
    }
    flags & (NamespaceKind::Pid.flag() | NamespaceKind::Time.flag()) != 0
}

pub(super) fn names(input: &Input<'_>, b: &mut Builder) {
    if let Some(name) = &input.spec.hostname {
        let name = b.text(name, "hostname");
        b.op(Op::Hostname { name }, "hostname");
    }
    if let Some(name) = &input.spec.domainname {
        let name = b.text(name, "domainname");
        b.op(Op::Domainname { name }, "domainname");
    }
}

/// The maps of a new user namespace. Without any given, the caller becomes root inside.
pub(super) fn id_maps(input: &Input<'_>) -> Result<Option<IdMaps>> {
    let (host, linux) = (input.host, &input.spec.linux);
    if !input.makes(NamespaceKind::User) {
        // In a joined one only the kernel knows.
        let here = IdMaps { uid: host.uid_map.clone(), gid: host.gid_map.clone(), deny_setgroups: false };
        return if input.joins(NamespaceKind::User) { Ok(None) } else { mapped(input, &here).map(|()| None) };
    }
    let single = |id| vec![IdMapping { container_id: 0, host_id: id, size: 1 }];
    let or_single = |given: &Vec<IdMapping>, id| if given.is_empty() { single(id) } else { given.clone() };
    let maps = IdMaps {
        uid: or_single(&linux.uid_mappings, host.uid),
        gid: or_single(&linux.gid_mappings, host.gid),
        deny_setgroups: !host.is_root(),
    };
    mapped(input, &maps)?;
    Ok(Some(maps))
}

/// Root, without whom nothing can be set up, and the program's own user must exist.
fn mapped(input: &Input<'_>, maps: &IdMaps) -> Result<()> {
    let holds = |maps: &[IdMapping], id: u32| {
        let end = |map: &IdMapping| u64::from(map.container_id) + u64::from(map.size);
        maps.iter().any(|map| id >= map.container_id && u64::from(id) < end(map))
    };
    let user = &input.spec.process.user;
    if [0, user.uid].iter().all(|id| holds(&maps.uid, *id)) && [0, user.gid].iter().all(|id| holds(&maps.gid, *id)) {
        return Ok(());
    }
    Err(Error::Unsupported {
        feature: format!("user {}:{} inside the container", user.uid, user.gid),
        hint: "the user namespace does not map it; more than one id needs uidMappings and gidMappings, and for an \
               ordinary user newuidmap and subordinate ids"
            .to_owned(),
    })
}
