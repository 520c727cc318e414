//! File systems inside: each made detached while the host is in sight, each attached after the root has changed.

use container_child::op::{Op, Slot, attach};

use super::options::{MS_PRIVATE, MS_REC, MS_SLAVE, Options, parse};
use super::{Input, devices};
use crate::NamespaceKind;
use crate::cgroup::CgroupPlan;
use crate::plan::Builder;
use crate::spec::Mount;

fn is_bind(mount: &Mount, options: &Options) -> bool {
    options.bind || mount.kind.as_deref() == Some("bind")
}

/// The host must not see our mounts. Where a volume asks to follow the host's, ours stays a follower, else private.
pub(super) fn propagation(input: &Input<'_>, b: &mut Builder) {
    let follows = input.spec.mounts.iter().any(|mount| {
        let how = parse(&mount.options).propagation & !MS_REC;
        how != 0 && how != MS_PRIVATE
    });
    let flags = MS_REC | if follows { MS_SLAVE } else { MS_PRIVATE };
    b.op(Op::Propagation { flags }, "plan");
}

/// Name of the slot that a mount of the specification is kept in between being made and being attached.
fn label(mount: &Mount) -> String {
    format!("<{}>", mount.destination)
}

pub(super) fn slot_of(b: &Builder, mount: &Mount) -> Option<Slot> {
    let label = label(mount);
    let index = b.slots.iter().position(|slot| *slot == label)?;
    u32::try_from(index).ok().map(Slot)
}

pub(super) fn make(input: &Input<'_>, cgroup: Option<&CgroupPlan>, b: &mut Builder) {
    for (index, mount) in input.spec.mounts.iter().enumerate() {
        let origin = format!("mounts[{index}]");
        let options = parse(&mount.options);
        match mount.kind.as_deref() {
            _ if is_bind(mount, &options) => bind(mount, &options, &origin, b),
            None | Some("") => b.problem(format!("{origin}.type"), "is missing"),
            Some("cgroup" | "cgroup2") => cgroup_tree(input, mount, &options, cgroup, &origin, b),
            Some("sysfs") if borrows_sys(input) => borrow(mount, "/sys", &options, &origin, b),
            Some("mqueue") if borrows_mqueue(input) => borrow(mount, "/dev/mqueue", &options, &origin, b),
            Some(kind) => {
                let slot = fresh(&label(mount), kind, &options, input, &origin, b);
                if mount.destination.trim_end_matches('/') == "/dev" {
                    devices::populate(input, slot, b);
                }
            }
        }
    }
    // What hides paths: the host's null device and an empty folder.
    if !input.spec.linux.masked_paths.is_empty() {
        let slot = b.slot("<null>");
        let source = b.text("/dev/null", "linux.maskedPaths");
        b.op(Op::CloneTree { slot, source, recursive: 0 }, "linux.maskedPaths");
        let empty = parse(&["ro", "nosuid", "nodev", "noexec", "size=0k", "mode=555"].map(str::to_owned));
        fresh("<empty>", "tmpfs", &empty, input, "linux.maskedPaths", b);
    }
}

/// A new sysfs needs a network namespace of the same user namespace.
fn borrows_sys(input: &Input<'_>) -> bool {
    input.confined() && !input.makes(NamespaceKind::Network) && !input.joins(NamespaceKind::Network)
}

fn borrows_mqueue(input: &Input<'_>) -> bool {
    input.confined() && !input.makes(NamespaceKind::Ipc)
}

fn borrow(mount: &Mount, source: &str, options: &Options, origin: &str, b: &mut Builder) {
    let borrowed = Mount { source: Some(source.to_owned()), ..mount.clone() };
    let options = Options { recursive: true, deep_set: options.set | options.deep_set, ..Options::default() };
    bind(&borrowed, &options, origin, b);
}

fn bind(mount: &Mount, options: &Options, origin: &str, b: &mut Builder) {
    let Some(source) = mount.source.as_deref().filter(|source| source.starts_with('/')) else {
        b.problem(format!("{origin}.source"), "is not an absolute path");
        return;
    };
    let slot = b.slot(&label(mount));
    let source = b.text(source, origin);
    let recursive = u32::from(options.recursive);
    b.op(Op::CloneTree { slot, source, recursive }, origin);
    let private = options.propagation & !MS_REC == MS_PRIVATE;
    let propagation = if private { 0 } else { options.propagation & !MS_REC };
    if options.set | options.clear | propagation != 0 {
        let (set, clear) = (options.set, atime_clear(options.set) | options.clear);
        b.op(Op::MountAttrs { slot, set, clear, propagation, recursive: 0 }, origin);
    }
    if options.deep_set != 0 {
        let op = Op::MountAttrs { slot, set: options.deep_set, clear: 0, propagation: 0, recursive: 1 };
        b.op(op, origin);
    }
}

/// Changing the access-time mode means clearing it as a whole.
const fn atime_clear(set: u32) -> u32 {
    if set & 0x30 != 0 { 0x70 } else { 0 }
}

/// A new file system of its own.
fn fresh(label: &str, kind: &str, options: &Options, input: &Input<'_>, origin: &str, b: &mut Builder) -> Slot {
    let mut words = Vec::new();
    for (key, value) in &options.data {
        // The terminals' group does not exist in a namespace that maps few ids.
        if kind == "devpts" && key == "gid" && input.confined() {
            continue;
        }
        words.push(b.text(key, origin).0);
        words.push(value.as_ref().map_or(u32::MAX, |value| b.text(value, origin).0));
    }
    let slot = b.slot(label);
    let fstype = b.text(kind, origin);
    let options_list = b.list(&words);
    b.op(Op::NewMount { slot, fstype, attrs: options.set, options: options_list }, origin);
    slot
}

/// Version 2: the tree itself. Version 1: one mount for each hierarchy that the container has a group in, so that the
/// others' groups stay out of sight.
fn cgroup_tree(
    input: &Input<'_>,
    mount: &Mount,
    options: &Options,
    cgroup: Option<&CgroupPlan>,
    origin: &str,
    b: &mut Builder,
) {
    let cgroups = &input.host.cgroups;
    if cgroups.v1.is_empty() {
        if cgroups.v2.is_some() {
            fresh(&label(mount), "cgroup2", &Options { set: options.set, ..Options::default() }, input, origin, b);
        }
        return;
    }
    let Some(cgroup) = cgroup.filter(|_| input.makes(NamespaceKind::Cgroup)) else { return };
    let base = parse(&["nosuid", "nodev", "noexec", "mode=755", "size=64k"].map(str::to_owned));
    let slot = fresh(&label(mount), "tmpfs", &base, input, origin, b);
    for group in &cgroup.groups {
        let Some(controller) = group.v1_controller() else { continue };
        let name = b.text(controller, origin);
        b.op(Op::Dir { slot, name, mode: 0o755 }, origin);
        let options = Options { set: options.set, data: vec![(controller.to_owned(), None)], ..Options::default() };
        fresh(&format!("<cgroup {controller}>"), "cgroup", &options, input, origin, b);
    }
}

pub(super) fn attach(input: &Input<'_>, b: &mut Builder) {
    for (index, mount) in input.spec.mounts.iter().enumerate() {
        let origin = format!("mounts[{index}]");
        let Some(slot) = slot_of(b, mount) else { continue };
        let kernel =
            matches!(mount.kind.as_deref(), Some("proc" | "sysfs" | "cgroup" | "cgroup2" | "mqueue" | "devpts"));
        // Kernel files and devices must really be where their name says; a volume may sit behind an image's link.
        let strict = kernel || mount.destination.trim_end_matches('/') == "/dev";
        let keep = if mount.kind.as_deref() == Some("proc") { attach::KEEP } else { 0 };
        let flags = attach::CREATE | keep | if strict { attach::NO_LINKS } else { 0 };
        let target = b.text(&mount.destination, &origin);
        b.op(Op::Attach { slot, target, flags }, &*origin);
        match mount.destination.trim_end_matches('/') {
            "/dev" => devices::attach(input, b),
            "/sys/fs/cgroup" => attach_controllers(mount, &origin, b),
            _ => {}
        }
    }
}

fn attach_controllers(mount: &Mount, origin: &str, b: &mut Builder) {
    let controllers: Vec<(u32, String)> = (0..)
        .zip(&b.slots)
        .filter_map(|(slot, label)| Some((slot, label.strip_prefix("<cgroup ")?.strip_suffix('>')?.to_owned())))
        .collect();
    for (slot, controller) in &controllers {
        let target = b.text(&format!("{}/{controller}", mount.destination), origin);
        b.op(Op::Attach { slot: Slot(*slot), target, flags: attach::NO_LINKS }, origin);
    }
    if !controllers.is_empty() && mount.options.iter().any(|option| option == "ro") {
        let path = b.text(&mount.destination, origin);
        b.op(Op::ReadOnly { path }, origin);
    }
}

pub(super) fn sysctls(input: &Input<'_>, b: &mut Builder) {
    let Some(mount) = input.spec.mounts.iter().find(|mount| mount.kind.as_deref() == Some("proc")) else { return };
    let Some(proc) = slot_of(b, mount) else { return };
    for (key, value) in &input.spec.linux.sysctl {
        let field = format!("linux.sysctl[{key}]");
        let path = b.text(&format!("sys/{}", key.replace('.', "/")), &field);
        let value = b.text(value, &field);
        b.op(Op::Sysctl { proc, path, value }, field);
    }
}

pub(super) fn read_only_paths(input: &Input<'_>, b: &mut Builder) {
    for (index, path) in input.spec.linux.readonly_paths.iter().enumerate() {
        let field = format!("linux.readonlyPaths[{index}]");
        let path = b.text(path, &field);
        b.op(Op::ReadOnly { path }, field);
    }
}

pub(super) fn masks(input: &Input<'_>, b: &mut Builder) {
    let slot =
        |name: &str| b.slots.iter().position(|slot| slot == name).and_then(|at| u32::try_from(at).ok()).map(Slot);
    let (Some(null), Some(empty)) = (slot("<null>"), slot("<empty>")) else { return };
    for (index, path) in input.spec.linux.masked_paths.iter().enumerate() {
        let field = format!("linux.maskedPaths[{index}]");
        let path = b.text(path, &field);
        b.op(Op::Mask { null, empty, path }, field);
    }
}
