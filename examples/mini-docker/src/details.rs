//! What mini-docker keeps about a container besides what the supervisor needs.

use std::collections::BTreeMap;

use container_core::supervisor::{ContainerDir, Definition};
use container_network::PortMapping;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::flags::mounts::MountFlag;

/// The details of a definition: the image, the program and everything `run` was told about its surroundings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// The image as it was named.
    pub image: String,
    /// The digest of its configuration.
    pub image_id: String,
    /// The digest of its manifest, by which the store finds it even without a name.
    pub image_digest: String,
    /// The program in front of the arguments.
    pub entrypoint: Vec<String>,
    /// The arguments, or the program when there is no entrypoint.
    pub command: Vec<String>,
    /// `NAME=value` texts.
    pub env: Vec<String>,
    /// Working folder.
    pub working_dir: String,
    /// `user[:group]`, or nothing.
    pub user: String,
    /// Host name inside.
    pub hostname: String,
    /// Where its network is.
    pub network: NetworkMode,
    /// Ports to publish.
    pub publish: Vec<PortMapping>,
    /// Ports that the image or the user exposes, such as `80/tcp`.
    pub exposed: Vec<String>,
    /// Mounts.
    pub mounts: Vec<MountFlag>,
    /// Further lines of `/etc/hosts`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// Name servers instead of the host's.
    pub dns: Vec<String>,
    /// Search domains instead of the host's.
    pub dns_search: Vec<String>,
    /// Options instead of the host's.
    pub dns_options: Vec<String>,
    /// Limits.
    pub limits: Limits,
    /// What protects the host.
    pub security: Security,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Whether the root cannot be written to.
    pub read_only: bool,
    /// Whether it shares the host's processes.
    pub host_pid: bool,
    /// Options of the log as they were given.
    pub log_options: BTreeMap<String, String>,
}

/// Where a container's network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// On the bridge, with an address of its own.
    Bridge,
    /// The host's.
    Host,
    /// Loopback only.
    None,
}

impl NetworkMode {
    /// Docker's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
        }
    }
}

/// Limits of a container; nothing means none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together, -1 for no bound.
    pub memory_swap: Option<i64>,
    /// Bytes of memory that it is pushed back to when memory is short.
    pub memory_reservation: Option<u64>,
    /// Billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// Relative weight.
    pub cpu_shares: Option<u64>,
    /// CPUs it may use.
    pub cpuset: Option<String>,
    /// Number of processes, -1 for no bound.
    pub pids: Option<i64>,
}

/// What protects the host from a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Security {
    /// All protection off.
    pub privileged: bool,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// Whether programs may not gain privileges.
    pub no_new_privileges: bool,
    /// Whether the filter of system calls is left out.
    pub seccomp_unconfined: bool,
}

impl Details {
    /// Reads the details of a definition.
    ///
    /// # Errors
    /// `Container` when another program made this container.
    pub fn of(definition: &Definition, dir: &ContainerDir) -> Result<Self> {
        serde_json::from_value(definition.details.clone()).map_err(|error| Error::Refused {
            message: format!("the details of container {} are not ours: {error}", dir.id()),
        })
    }

    /// The whole command line.
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.command).cloned().collect()
    }
}
