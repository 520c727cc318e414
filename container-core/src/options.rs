//! What the caller of a launch decides besides the specification: root, standard streams, namespaces held as
//! descriptors, where the cgroup lives.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Spec;

/// The kinds of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the kernel's kinds")]
#[allow(clippy::exhaustive_enums, reason = "the kernel has these eight")]
pub enum NamespaceKind {
    User,
    Mount,
    Pid,
    Network,
    Ipc,
    Uts,
    Cgroup,
    Time,
}

impl NamespaceKind {
    /// All kinds, the user namespace first because joining it gives the right to join the others.
    pub const ALL: [Self; 8] =
        [Self::User, Self::Network, Self::Ipc, Self::Uts, Self::Cgroup, Self::Time, Self::Pid, Self::Mount];

    /// The kernel's flag.
    #[must_use]
    pub const fn flag(self) -> u32 {
        match self {
            Self::Time => 0x80,
            Self::Mount => 0x2_0000,
            Self::Cgroup => 0x200_0000,
            Self::Uts => 0x400_0000,
            Self::Ipc => 0x800_0000,
            Self::User => 0x1000_0000,
            Self::Pid => 0x2000_0000,
            Self::Network => 0x4000_0000,
        }
    }

    /// The name below `/proc/PID/ns`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Mount => "mnt",
            Self::Pid => "pid",
            Self::Network => "net",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mount => "mount",
            Self::Network => "network",
            other => other.file(),
        })
    }
}

/// Where the container's root comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "callers build it")]
pub enum Rootfs {
    /// A folder of the host, used as it is.
    Path(PathBuf),
    /// An overlay, mounted inside the container's mount namespace only, so that nothing of it can leak.
    Overlay {
        /// Read-only layers, the topmost first.
        lower: Vec<PathBuf>,
        /// Where changes go.
        upper: PathBuf,
        /// The overlay's own folder, on the same file system as `upper`.
        work: PathBuf,
    },
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Size {
    pub rows: u16,
    pub cols: u16,
}

/// One of the program's standard streams.
#[derive(Debug, Default)]
#[allow(clippy::exhaustive_enums, reason = "callers build it")]
pub enum Stdio {
    /// `/dev/null`.
    #[default]
    Null,
    /// The caller's own.
    Inherit,
    /// A new pipe; the other end is taken from the container.
    Piped,
    /// A descriptor of the caller's.
    Fd(OwnedFd),
}

/// What happens to limits that this machine or user cannot enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Missing {
    /// The launch is refused.
    #[default]
    Refuse,
    /// The launch goes on and [`Container::not_enforced`](crate::Container::not_enforced) says what is not in force.
    Degrade,
}

/// A container to be launched: the specification and what only the caller can know.
#[derive(Debug)]
#[must_use]
pub struct Launch {
    pub(crate) spec: Spec,
    pub(crate) rootfs: Rootfs,
    pub(crate) stdio: [Stdio; 3],
    pub(crate) pty: Option<Size>,
    pub(crate) joins: BTreeMap<NamespaceKind, OwnedFd>,
    pub(crate) cgroup_parent: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) missing: Missing,
}

impl Launch {
    /// A container with the streams on `/dev/null`.
    pub fn new(spec: Spec, rootfs: Rootfs) -> Self {
        let pty = spec.process.terminal.then(|| {
            let size = spec.process.console_size.unwrap_or_default();
            Size { rows: size.height, cols: size.width }
        });
        Self {
            spec,
            rootfs,
            stdio: [Stdio::Null, Stdio::Null, Stdio::Null],
            pty,
            joins: BTreeMap::new(),
            cgroup_parent: None,
            user: None,
            missing: Missing::Refuse,
        }
    }

    /// Sets the standard input.
    pub fn stdin(mut self, stdio: Stdio) -> Self {
        self.stdio[0] = stdio;
        self
    }

    /// Sets the standard output.
    pub fn stdout(mut self, stdio: Stdio) -> Self {
        self.stdio[1] = stdio;
        self
    }

    /// Sets the standard error.
    pub fn stderr(mut self, stdio: Stdio) -> Self {
        self.stdio[2] = stdio;
        self
    }

    /// Gives the program a terminal of its own in place of the three streams.
    pub const fn pty(mut self, size: Size) -> Self {
        self.pty = Some(size);
        self
    }

    /// Joins a namespace held as a descriptor, as the containers of a pod do.
    pub fn join(mut self, kind: NamespaceKind, namespace: OwnedFd) -> Self {
        self.joins.insert(kind, namespace);
        self
    }

    /// Puts the container's cgroup below this path (`/mini-docker`), named by the container's id.
    pub fn cgroup_parent(mut self, parent: impl Into<String>) -> Self {
        self.cgroup_parent = Some(parent.into());
        self
    }

    /// Sets the user by a text such as `uid[:gid]` or `name[:group]`, looked up in the container's own files.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Decides what happens to limits that cannot be enforced.
    pub const fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// The specification, for a last change.
    pub const fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }
}
