//! `/dev`: nodes where they can be made, the host's own shown inside where they cannot.

use container_child::op::{Op, Slot, attach};

use super::Input;
use crate::plan::Builder;

const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// Fills the detached tmpfs that becomes `/dev`: no path of the image is involved.
pub(super) fn populate(input: &Input<'_>, dev: Slot, b: &mut Builder) {
    for name in folders(input) {
        let name = b.text(&name, "mounts");
        b.op(Op::Dir { slot: dev, name, mode: 0o755 }, "mounts");
    }
    for (name, target) in LINKS {
        let (name, target) = (b.text(name, "devices"), b.text(target, "devices"));
        b.op(Op::Link { slot: dev, name, target }, "devices");
    }
    if input.confined() {
        for (name, ..) in NODES {
            let slot = b.slot(&format!("<device {name}>"));
            let source = b.text(&format!("/dev/{name}"), "devices");
            b.op(Op::CloneTree { slot, source, recursive: 0 }, "devices");
        }
        if !input.spec.linux.devices.is_empty() {
            b.problem("linux.devices", "cannot be made inside a user namespace; mount them instead");
        }
        return;
    }
    for (name, major, minor) in NODES {
        let name = b.text(name, "devices");
        let mode = CHARACTER | 0o666;
        b.op(Op::Node { slot: dev, name, mode, major, minor, uid: 0, gid: 0 }, "devices");
    }
    extra(input, dev, b);
}

/// Folders that later mounts sit on: made at once here, not searched for later.
fn folders(input: &Input<'_>) -> Vec<String> {
    let below = |destination: &str| {
        let name = destination.trim_end_matches('/').strip_prefix("/dev/")?;
        (!name.contains('/')).then(|| name.to_owned())
    };
    let binds = |mount: &&crate::spec::Mount| mount.kind.as_deref().is_some_and(|kind| kind != "bind");
    input.spec.mounts.iter().filter(binds).filter_map(|mount| below(&mount.destination)).collect()
}

fn extra(input: &Input<'_>, dev: Slot, b: &mut Builder) {
    for (index, node) in input.spec.linux.devices.iter().enumerate() {
        let field = format!("linux.devices[{index}]");
        let name = node
            .path
            .strip_prefix("/dev/")
            .filter(|name| !name.is_empty() && !name.split('/').any(|part| part == ".."));
        let Some(name) = name else {
            b.problem(field, "is not below /dev");
            continue;
        };
        if NODES.iter().any(|(known, ..)| *known == name) {
            continue;
        }
        let kind = match node.kind.as_str() {
            "c" | "u" => CHARACTER,
            "b" => BLOCK,
            "p" => FIFO,
            other => {
                b.problem(field, format!("has no type {other:?}"));
                continue;
            }
        };
        let (Ok(major), Ok(minor)) = (u32::try_from(node.major), u32::try_from(node.minor)) else {
            b.problem(field, "has a negative number");
            continue;
        };
        let mut made = String::new();
        for part in name.split('/').take(name.split('/').count() - 1) {
            made = if made.is_empty() { part.to_owned() } else { format!("{made}/{part}") };
            let name = b.text(&made, &field);
            b.op(Op::Dir { slot: dev, name, mode: 0o755 }, &*field);
        }
        let name = b.text(name, &field);
        let mode = kind | node.file_mode.unwrap_or(0o666) & 0o7777;
        let (uid, gid) = (node.uid.unwrap_or(0), node.gid.unwrap_or(0));
        b.op(Op::Node { slot: dev, name, mode, major, minor, uid, gid }, field);
    }
}

/// Attaches the host's devices where nodes could not be made.
pub(super) fn attach(input: &Input<'_>, b: &mut Builder) {
    if !input.confined() {
        return;
    }
    for (name, ..) in NODES {
        let label = format!("<device {name}>");
        let Some(slot) = b.slots.iter().position(|slot| *slot == label).and_then(|at| u32::try_from(at).ok()) else {
            continue;
        };
        let target = b.text(&format!("/dev/{name}"), "devices");
        b.op(Op::Attach { slot: Slot(slot), target, flags: attach::CREATE | attach::NO_LINKS }, "devices");
    }
}
