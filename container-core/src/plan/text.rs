//! A plan as text: one line per step, the field it came from on the right.

use std::fmt;

use container_child::op::{Fd, List, Op, Program, Slot, Table, Text, attach};

use super::{FdNeed, LaunchPlan};
use crate::{NamespaceKind, caps};

impl fmt::Display for LaunchPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "clone vm,vfork,pidfd{}", namespaces(self.clone_flags))?;
        if let Some(maps) = &self.maps {
            for (file, lines) in [("uid_map", &maps.uid), ("gid_map", &maps.gid)] {
                for line in lines {
                    writeln!(f, "{file} {} {} {}", line.container_id, line.host_id, line.size)?;
                }
            }
        }
        if let Some(cgroup) = &self.cgroup {
            write!(f, "{cgroup}")?;
        }
        for what in &self.not_enforced {
            writeln!(f, "not enforced: {what}")?;
        }
        for (index, need) in self.fds.iter().enumerate() {
            writeln!(f, "fd{index} {need}")?;
        }
        for (index, origin) in self.origins.iter().enumerate() {
            let step = self.step_text(index);
            writeln!(f, "{index:3} {step:<72} {origin}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FdNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio(number) => write!(f, "{}", ["stdin", "stdout", "stderr"][*number as usize % 3]),
            Self::Namespace(kind) => write!(f, "{kind} namespace"),
            Self::Target => f.write_str("process to join"),
            Self::Tasks(index) => write!(f, "tasks of cgroup {index}"),
            Self::Unified => f.write_str("unified cgroup"),
        }
    }
}

fn namespaces(flags: u32) -> String {
    let mut text = String::new();
    for kind in NamespaceKind::ALL {
        if flags & kind.flag() != 0 {
            text.push(if text.is_empty() { ' ' } else { ',' });
            text.push_str(&kind.to_string());
        }
    }
    text
}

const fn wide(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

fn limit(low: u32, high: u32) -> String {
    match wide(low, high) {
        u64::MAX => "unlimited".to_owned(),
        value => value.to_string(),
    }
}

impl LaunchPlan {
    fn t(&self, text: Text) -> String {
        let bytes = self.arena.get(text.0 as usize..).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    fn words(&self, list: List) -> Vec<u32> {
        let bytes = self.arena.get(list.0 as usize..).unwrap_or_default();
        let mut words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        let count = words.next().unwrap_or(0);
        words.take(count as usize).collect()
    }

    fn table_len(&self, table: Table) -> usize {
        let bytes = self.arena.get(table.0 as usize..).unwrap_or_default();
        bytes.chunks_exact(8).take_while(|word| **word != [0; 8]).count()
    }

    fn program_len(&self, program: Program) -> u32 {
        self.words(List(program.0)).len().try_into().unwrap_or(0)
    }

    fn s(&self, slot: Slot) -> String {
        self.slots.get(slot.0 as usize).cloned().unwrap_or_default()
    }

    fn options(&self, list: List) -> String {
        let words = self.words(list);
        let pairs = words.chunks_exact(2).map(|pair| match pair[1] {
            u32::MAX => self.t(Text(pair[0])),
            value => format!("{}={}", self.t(Text(pair[0])), self.t(Text(value))),
        });
        pairs.collect::<Vec<_>>().join(",")
    }

    /// One step as the plan prints it.
    pub(crate) fn step_text(&self, index: usize) -> String {
        let Some(op) = self.ops.get(index) else { return "no such step".to_owned() };
        let detail = self.mount_detail(op).or_else(|| self.process_detail(op)).unwrap_or_default();
        format!("{} {detail}", op.name()).trim_end().to_owned()
    }

    fn mount_detail(&self, op: &Op) -> Option<String> {
        Some(match *op {
            Op::Propagation { flags } => propagation(flags).to_owned(),
            Op::Mount { source, target, fstype, flags, data } => {
                let [source, target, fstype, data] = [source, target, fstype, data].map(|text| self.t(text));
                format!("{fstype} {source} on {target} flags={flags:#x} {data}")
            }
            Op::NewMount { slot, fstype, attrs, options } => {
                format!("{} {} [{}]{}", self.s(slot), self.t(fstype), self.options(options), attributes(attrs))
            }
            Op::CloneTree { slot, source, recursive } => {
                format!("{} from {}{}", self.s(slot), self.t(source), if recursive == 0 { "" } else { " recursive" })
            }
            Op::MountAttrs { slot, set, clear, propagation: how, recursive } => {
                let clear = if clear == 0 { String::new() } else { format!(" clear={clear:#x}") };
                let how = if how == 0 { "" } else { propagation(how) };
                let deep = if recursive == 0 { "" } else { " recursive" };
                format!("{}{}{clear} {how}{deep}", self.s(slot), attributes(set)).trim_end().to_owned()
            }
            Op::Attach { slot, target, flags } => {
                let strict = if flags & attach::NO_LINKS == 0 { "" } else { " no-links" };
                format!("{} on {}{strict}", self.s(slot), self.t(target))
            }
            Op::Dir { slot, name, mode } => format!("{}/{} {mode:o}", self.s(slot), self.t(name)),
            Op::Node { slot, name, mode, major, minor, .. } => {
                format!("{}/{} {mode:o} {major}:{minor}", self.s(slot), self.t(name))
            }
            Op::Link { slot, name, target } => format!("{}/{} -> {}", self.s(slot), self.t(name), self.t(target)),
            Op::Enter { path }
            | Op::Mask { path, .. }
            | Op::ReadOnly { path }
            | Op::NoLink { path }
            | Op::Cwd { path } => self.t(path),
            Op::RootAttrs { set } => attributes(set).trim_start().to_owned(),
            _ => return None,
        })
    }

    fn process_detail(&self, op: &Op) -> Option<String> {
        Some(match *op {
            Op::Write { fd: Fd(fd), text } => format!("fd{fd} {:?}", self.t(text)),
            Op::WriteFile { path, text } => format!("{} {:?}", self.t(path), self.t(text)),
            Op::Adjust { text } | Op::Hostname { name: text } | Op::Domainname { name: text } => self.t(text),
            Op::Sysctl { path, value, .. } => format!("{}={}", self.t(path), self.t(value)),
            Op::Unshare { flags } => namespaces(flags).trim_start().to_owned(),
            Op::Setns { fd: Fd(fd), flags } => format!("fd{fd}{}", namespaces(flags)),
            Op::DeviceFilter { program, .. } => format!("{} insns", self.program_len(program)),
            Op::Rlimit { resource, soft, soft_high, hard, hard_high } => {
                format!("{resource} soft={} hard={}", limit(soft, soft_high), limit(hard, hard_high))
            }
            Op::Console { rows, cols, uid, bind } => {
                format!("{rows}x{cols} owner={uid}{}", if bind == 0 { "" } else { " on /dev/console" })
            }
            Op::Stdio { fd: Fd(fd), number } => format!("fd{fd} as {number}"),
            Op::Groups { list } => format!("{:?}", self.words(list)),
            Op::User { uid, gid } | Op::Become { uid, gid } => format!("{uid}:{gid}"),
            Op::Bounding { keep, keep_high, .. } => format!("keep {}", caps::names(wide(keep, keep_high))),
            Op::Caps { effective, effective_high, permitted, permitted_high, inheritable, inheritable_high } => {
                let inherited = wide(inheritable, inheritable_high);
                let (effective, permitted) = (wide(effective, effective_high), wide(permitted, permitted_high));
                let tail =
                    if effective == permitted { String::new() } else { format!(" of {}", caps::names(permitted)) };
                let more = if inherited == 0 { String::new() } else { format!(" inherit {}", caps::names(inherited)) };
                format!("{}{tail}{more}", caps::names(effective))
            }
            Op::Ambient { mask, mask_high, .. } => caps::names(wide(mask, mask_high)),
            Op::Umask { mask } => format!("{mask:03o}"),
            Op::Seccomp { program, flags } => {
                let flags = if flags == 0 { String::new() } else { format!(" flags={flags:#x}") };
                format!("{} insns{flags}", self.program_len(program))
            }
            Op::Exec { paths, argv, envp } => {
                let paths: Vec<String> = self.words(paths).into_iter().map(|text| self.t(Text(text))).collect();
                format!("{} argc={} envc={}", paths.join(":"), self.table_len(argv), self.table_len(envp))
            }
            _ => return None,
        })
    }
}

fn propagation(flags: u32) -> &'static str {
    match flags & !0x4000 {
        0x4_0000 => "private",
        0x8_0000 => "slave",
        0x10_0000 => "shared",
        0x2_0000 => "unbindable",
        _ => "unknown",
    }
}

fn attributes(attrs: u32) -> String {
    let mut text = String::new();
    for (bit, name) in
        [(1, "ro"), (2, "nosuid"), (4, "nodev"), (8, "noexec"), (0x80, "nodiratime"), (0x20_0000, "nosymfollow")]
    {
        if attrs & bit != 0 {
            text.push(if text.is_empty() { ' ' } else { ',' });
            text.push_str(name);
        }
    }
    match attrs & 0x70 {
        0x10 => text + if attrs & 0x8f == 0 { " noatime" } else { ",noatime" },
        0x20 => text + if attrs & 0x8f == 0 { " strictatime" } else { ",strictatime" },
        _ => text,
    }
}
