//! Published ports: what is published, the sockets that reserve it, the proxy for what rules cannot do.
//!
//! The order is reserve → attach → proxy. A reserved port is a bound and listening socket, so nobody else can take it
//! in between; rules then lead every packet past that socket, except those that rules must not touch (loopback, IPv6)
//! or cannot help (a foreign firewall, an outer namespace): those reach the socket, and the proxy carries them.

mod proxy;
#[cfg(test)]
mod proxy_tests;
mod reserve;
mod tcp;
mod udp;

pub use proxy::PortProxy;
pub use reserve::{Binder, LocalBinder, Reservation};
pub(crate) use reserve::{bind_error, bind_socket};

use crate::Protocol;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One port of a container that answers on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortMapping {
    /// The host's address to answer on; `0.0.0.0` and `::` are all of their family.
    pub host_ip: IpAddr,
    /// The host's port; 0 lets the kernel choose one.
    pub host_port: u16,
    /// The port inside the container.
    pub container_port: u16,
    /// Streams or datagrams.
    pub protocol: Protocol,
}

impl PortMapping {
    /// The host's side.
    #[must_use]
    pub fn host(&self) -> SocketAddr {
        SocketAddr::new(self.host_ip, self.host_port)
    }
}

/// As `docker ps` prints it.
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}/{}", self.host(), self.container_port, self.protocol)
    }
}

/// How published ports are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishMode {
    /// By rules; only loopback and IPv6 go through the proxy.
    Rules,
    /// Only through the proxy, because somebody else's firewall drops forwarded packets.
    Proxy {
        /// The chain that drops them, e.g. `ip filter FORWARD`.
        chain: String,
    },
}
