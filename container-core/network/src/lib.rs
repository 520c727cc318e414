#![doc = include_str!("../README.md")]

mod bridge;
mod error;
pub mod files;
#[cfg(test)]
mod golden;
mod namespace;
mod netlink;
mod nft;
pub mod outer;
mod pod;
mod publish;
pub mod service;
mod subnet;
mod sysctl;

pub use bridge::{Attachment, Endpoint, Lease, Network, NetworkConfig};
pub use error::{Error, Result};
pub use namespace::Namespace;
pub use pod::{PodLink, set_node_address};
pub use publish::{Binder, LocalBinder, PortMapping, PortProxy, PublishMode, Reservation};
pub use subnet::Subnet;

/// Which of the two port spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}
