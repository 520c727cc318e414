//! Published ports: what is published, how it is reached.

use crate::Protocol;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// One port of a container that answers on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortMapping {
    /// The host's address to answer on; `0.0.0.0` is all of them.
    pub host_ip: IpAddr,
    /// The host's port; 0 lets the kernel choose one.
    pub host_port: u16,
    /// The port inside the container.
    pub container_port: u16,
    /// Streams or datagrams.
    pub protocol: Protocol,
}

/// As `docker port` and `docker ps` print it.
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = std::net::SocketAddr::new(self.host_ip, self.host_port);
        write!(f, "{host}->{}/{}", self.container_port, self.protocol)
    }
}

/// How published ports are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishMode {
    /// By rules; only loopback goes through the proxy.
    Rules,
    /// Only through the proxy, because somebody else's firewall drops forwarded packets.
    Proxy {
        /// The chain that drops them, e.g. `ip filter FORWARD`.
        chain: String,
    },
}
