//! What a container should be: the OCI runtime specification as plain ordered data.
//!
//! Three doors lead in: [`Spec::container`] (what `docker run` would make of it), [`Spec::from_json`] (a
//! `config.json`, with the names of what was not understood) and `From<oci_spec::runtime::Spec>`.
//!
//! Absent on purpose: decisions. What the fields lead to is settled in [`crate::compile`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod convert;
mod defaults;
mod linux;

pub use linux::{
    BlockWeight, Capabilities, Cpu, DeviceRule, Devices, IdMapping, Linux, Memory, Namespace, Network, Node, Pids,
    Resources, Rlimit, Seccomp, SeccompArg, SeccompRule,
};

/// A container's specification.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// Version of the specification, such as `1.2.0`.
    pub oci_version: String,
    /// The program and its identity.
    pub process: Process,
    /// The root file system; the path may be left to [`Launch`](crate::Launch).
    pub root: Root,
    /// Host name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// NIS domain name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// File systems, in the order they are attached.
    pub mounts: Vec<Mount>,
    /// What only Linux has.
    pub linux: Linux,
    /// Programs to run beside the launch. This crate refuses them and does not pass them over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<serde_json::Value>,
    /// Free notes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The container's program.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// With a terminal of its own.
    pub terminal: bool,
    /// The terminal's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// Who it runs as.
    pub user: User,
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value` texts.
    pub env: Vec<String>,
    /// Working folder.
    pub cwd: String,
    /// Capability sets; none given means none held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Resource limits of the process.
    pub rlimits: Vec<Rlimit>,
    /// Forbids gaining privileges by execve.
    pub no_new_privileges: bool,
    /// How readily the kernel kills it when memory is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// AppArmor profile. Refused where the kernel has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor_profile: Option<String>,
    /// SELinux label. Refused where the kernel has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selinux_label: Option<String>,
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// Numbers of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User id inside the container.
    pub uid: u32,
    /// Group id inside the container.
    pub gid: u32,
    /// File mode mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Further groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Root {
    /// Path on the host.
    pub path: String,
    /// Mounted read-only.
    pub readonly: bool,
}

/// A file system attached inside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where, as an absolute path inside.
    pub destination: String,
    /// Type of the file system; `bind` and none with a `bind` option mean a part of the host's tree.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Options as `mount` takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Mount {
    /// A mount of a file system type.
    #[must_use]
    pub fn new(destination: &str, kind: &str, options: &[&str]) -> Self {
        Self {
            destination: destination.to_owned(),
            kind: Some(kind.to_owned()),
            source: Some(kind.to_owned()),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    /// A part of the host's tree shown inside.
    #[must_use]
    pub fn bind(source: impl Into<String>, destination: impl Into<String>, read_only: bool) -> Self {
        let mut options = vec!["rbind".to_owned(), "rprivate".to_owned()];
        if read_only {
            options.push("rro".to_owned());
        }
        Self { destination: destination.into(), kind: Some("bind".to_owned()), source: Some(source.into()), options }
    }
}
