//! The launch as a list that can be read: ops, their texts, the descriptors they need, and where each op came from.
//!
//! A plan is a value. It is made by [`crate::compile`], printed by `Display`, carried out by `launch`. The origins
//! never reach the child: the parent uses them to name the field of the specification when an op fails.

use container_child::op::{List, Op, Program, Slot, Table, Text};
use container_child::wire;

use crate::cgroup::CgroupPlan;
use crate::{NamespaceKind, Problem};

mod text;

/// A descriptor that the parent must hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FdNeed {
    /// One of the standard streams.
    Stdio(u32),
    /// A namespace to join.
    Namespace(NamespaceKind),
    /// The process whose namespaces are joined.
    Target,
    /// The `tasks` file of a v1 group, by index into the cgroup plan.
    Tasks(usize),
    /// The folder of the v2 group.
    Unified,
}

/// How ids outside and inside a new user namespace correspond.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdMaps {
    /// Lines of `uid_map`.
    pub uid: Vec<crate::spec::IdMapping>,
    /// Lines of `gid_map`.
    pub gid: Vec<crate::spec::IdMapping>,
    /// Written first, because without privilege the group map is refused otherwise.
    pub deny_setgroups: bool,
}

/// Everything a launch will do.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchPlan {
    pub(crate) clone_flags: u32,
    pub(crate) maps: Option<IdMaps>,
    pub(crate) cgroup: Option<CgroupPlan>,
    pub(crate) fds: Vec<FdNeed>,
    pub(crate) ops: Vec<Op>,
    pub(crate) origins: Vec<String>,
    pub(crate) arena: Vec<u8>,
    pub(crate) slots: Vec<String>,
    pub(crate) command: String,
    pub(crate) cwd: String,
    pub(crate) setgroups: bool,
    pub(crate) not_enforced: Vec<String>,
}

impl LaunchPlan {
    /// Number of steps the child takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// A plan always ends in execve, so it is never empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The steps, for whoever replays or counts them.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// What the machine cannot enforce although the specification asks for it.
    #[must_use]
    pub fn not_enforced(&self) -> &[String] {
        &self.not_enforced
    }

    /// Lays the plan out as the stub maps it. `fds` are the numbers of [`FdNeed`]s in order.
    pub(crate) fn serialise(&self, fds: &[i32], control: i32) -> Vec<u8> {
        let fds_at = wire::HEADER_BYTES + self.ops.len() * wire::OP_BYTES;
        let arena_at = (fds_at + fds.len() * 4).next_multiple_of(8);
        let mut header = [0_u32; wire::HEADER_WORDS];
        header[wire::word::MAGIC] = wire::MAGIC;
        header[wire::word::OPS] = word(self.ops.len());
        header[wire::word::FDS_AT] = word(fds_at);
        header[wire::word::FDS] = word(fds.len());
        header[wire::word::ARENA_AT] = word(arena_at);
        header[wire::word::CONTROL] = control.cast_unsigned();
        let mut bytes = Vec::with_capacity(arena_at + self.arena.len() + 8);
        bytes.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(self.ops.iter().flat_map(container_child::op::Op::encode).flat_map(u32::to_ne_bytes));
        bytes.extend(fds.iter().flat_map(|fd| fd.to_ne_bytes()));
        bytes.resize(arena_at, 0);
        bytes.extend(&self.arena);
        bytes.push(0);
        bytes
    }
}

/// Plans are far below 4 GB; a text that is not was refused by [`Builder::text`].
fn word(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Collects a plan and the problems met on the way.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) fds: Vec<FdNeed>,
    pub(crate) ops: Vec<Op>,
    pub(crate) origins: Vec<String>,
    arena: Vec<u8>,
    pub(crate) slots: Vec<String>,
    pub(crate) problems: Vec<Problem>,
    /// What is asked for and cannot be had here, where the caller goes on without it.
    pub(crate) not_enforced: Vec<String>,
}

impl Builder {
    pub(crate) fn op(&mut self, op: Op, origin: impl Into<String>) {
        self.ops.push(op);
        self.origins.push(origin.into());
    }

    pub(crate) fn problem(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem { field: field.into(), what: what.into() });
    }

    /// Stores a text. One with a NUL inside cannot be told to the kernel and is a problem of `field`.
    pub(crate) fn text(&mut self, text: &str, field: &str) -> Text {
        if text.contains('\0') {
            self.problem(field, "holds a NUL character");
        }
        if text.len() > 128 * 1024 || self.arena.len() > 8 * 1024 * 1024 {
            self.problem(field, "is too long");
            return Text(0);
        }
        let at = word(self.arena.len());
        self.arena.extend(text.as_bytes());
        self.arena.push(0);
        Text(at)
    }

    fn align(&mut self, to: usize) -> u32 {
        self.arena.resize(self.arena.len().next_multiple_of(to), 0);
        word(self.arena.len())
    }

    pub(crate) fn list(&mut self, words: &[u32]) -> List {
        let at = self.align(4);
        self.arena.extend(word(words.len()).to_ne_bytes());
        self.arena.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        List(at)
    }

    pub(crate) fn program(&mut self, instructions: &[u64]) -> Program {
        let at = self.align(8);
        self.arena.extend(u64::from(word(instructions.len())).to_ne_bytes());
        self.arena.extend(instructions.iter().flat_map(|word| word.to_ne_bytes()));
        Program(at)
    }

    /// Stores texts and a table of them, as execve wants it.
    pub(crate) fn table(&mut self, texts: &[String], field: &str) -> Table {
        let offsets: Vec<u64> = texts.iter().map(|text| u64::from(self.text(text, field).0) + 1).collect();
        let at = self.align(8);
        self.arena.extend(offsets.iter().flat_map(|word| word.to_ne_bytes()));
        self.arena.extend([0; 8]);
        Table(at)
    }

    /// A slot for a descriptor that the child will open.
    pub(crate) fn slot(&mut self, what: &str) -> Slot {
        if self.slots.len() + 1 == wire::SLOTS {
            self.problem("mounts", "are more than the launcher can hold");
        }
        self.slots.push(what.to_owned());
        Slot(word(self.slots.len() - 1))
    }

    /// The index of a descriptor, asked for once.
    pub(crate) fn fd(&mut self, need: FdNeed) -> container_child::op::Fd {
        let index = self.fds.iter().position(|known| *known == need).unwrap_or_else(|| {
            self.fds.push(need);
            self.fds.len() - 1
        });
        container_child::op::Fd(word(index))
    }

    pub(crate) fn finish(self, command: String, cwd: String) -> crate::Result<LaunchPlan> {
        if !self.problems.is_empty() {
            return Err(crate::Error::InvalidSpec { problems: self.problems });
        }
        Ok(LaunchPlan {
            clone_flags: 0,
            maps: None,
            cgroup: None,
            fds: self.fds,
            ops: self.ops,
            origins: self.origins,
            arena: self.arena,
            slots: self.slots,
            command,
            cwd,
            setgroups: false,
            not_enforced: self.not_enforced,
        })
    }
}
