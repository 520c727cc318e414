//! Reserving ports by bound sockets: two containers, or a container and any other program, never share one.

use super::{PortMapping, PortProxy};
use crate::{Error, Protocol, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

/// Binds sockets: in this namespace ([`LocalBinder`]), or outside of it (`outer::BrokerClient`).
pub trait Binder {
    /// Binds and, for streams, listens.
    ///
    /// # Errors
    /// `PortTaken`, `PortForbidden`, `AddressMissing`, or the kernel's refusal.
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> Result<OwnedFd>;
}

/// Binds in the calling thread's own network namespace.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalBinder;

impl Binder for LocalBinder {
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> Result<OwnedFd> {
        bind_socket(protocol, address).map_err(|errno| bind_error(protocol, address, errno))
    }
}

/// The sockets that hold a container's published ports.
#[derive(Debug)]
pub struct Reservation {
    pub(super) held: Vec<(PortMapping, Held)>,
}

#[derive(Debug)]
pub(super) enum Held {
    Stream(TcpListener),
    Datagrams(UdpSocket),
}

impl Reservation {
    /// Reserves all of `wanted` or nothing. A `::` that follows a `0.0.0.0` with the same container port and host port
    /// 0 gets the number that the first one got; on a machine without IPv6 it is left out.
    ///
    /// # Errors
    /// `PortTaken` and the other errors of [`Binder::bind`].
    pub fn bind(binder: &dyn Binder, wanted: &[PortMapping]) -> Result<Self> {
        /// The number that the kernel chose for IPv4 may be taken in IPv6.
        const ATTEMPTS: usize = 16;
        let mut last = Self::attempt(binder, wanted);
        for _ in 1..ATTEMPTS {
            match &last {
                Err(Error::PortTaken { address, .. })
                    if address.is_ipv6() && !wanted.iter().any(|port| port.host() == *address) =>
                {
                    last = Self::attempt(binder, wanted);
                }
                _ => break,
            }
        }
        last
    }

    fn attempt(binder: &dyn Binder, wanted: &[PortMapping]) -> Result<Self> {
        let mut held: Vec<(PortMapping, Held)> = Vec::with_capacity(wanted.len());
        for port in wanted {
            let mut port = *port;
            if port.host_port == 0 && port.host_ip.is_ipv6() {
                let twin = |(other, _): &&(PortMapping, Held)| {
                    other.host_ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                        && (other.container_port, other.protocol) == (port.container_port, port.protocol)
                };
                port.host_port = held.iter().find(twin).map_or(0, |(other, _)| other.host_port);
            }
            let fd = match binder.bind(port.protocol, port.host()) {
                Err(Error::Kernel { source: Errno::EAFNOSUPPORT, .. } | Error::AddressMissing { .. })
                    if port.host_ip.is_ipv6() && port.host_ip.is_unspecified() =>
                {
                    continue;
                }
                bound => bound?,
            };
            let socket = match port.protocol {
                Protocol::Tcp => Held::Stream(fd.into()),
                Protocol::Udp => Held::Datagrams(fd.into()),
            };
            let address = match &socket {
                Held::Stream(listener) => listener.local_addr(),
                Held::Datagrams(socket) => socket.local_addr(),
            };
            port.host_port = address.map_err(Error::io("look at the socket of", port.host().to_string()))?.port();
            held.push((port, socket));
        }
        Ok(Self { held })
    }

    /// What is reserved, with the real port numbers: to be attached, listed and printed.
    #[must_use]
    pub fn mappings(&self) -> Vec<PortMapping> {
        self.held.iter().map(|(port, _)| *port).collect()
    }

    /// Starts to carry whatever reaches the sockets to the container.
    ///
    /// # Errors
    /// `Io` when a thread cannot be started.
    pub fn proxy(self, container: Ipv4Addr) -> Result<PortProxy> {
        PortProxy::start(self, container)
    }
}

/// A bound socket, listening if it is for streams. An IPv6 one takes IPv6 only: IPv4 has a socket of its own.
pub(crate) fn bind_socket(protocol: Protocol, address: SocketAddr) -> std::result::Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of a predecessor that are still dying do not hold the port.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    if protocol == Protocol::Tcp {
        listen(&fd, Backlog::MAXCONN)?;
    }
    Ok(fd)
}

/// What a refused bind means to the caller.
pub(crate) fn bind_error(protocol: Protocol, address: SocketAddr, errno: Errno) -> Error {
    match errno {
        Errno::EADDRINUSE => Error::PortTaken { address, protocol },
        Errno::EADDRNOTAVAIL => Error::AddressMissing { address },
        Errno::EACCES => Error::PortForbidden { address, first: first_free_for_all() },
        source => Error::Kernel { doing: format!("bind {address}/{protocol}"), source },
    }
}

fn first_free_for_all() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    text.trim().parse().unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, host_port: u16, protocol: Protocol) -> PortMapping {
        PortMapping { host_ip: ip.parse().unwrap(), host_port, container_port: 80, protocol }
    }

    #[test]
    fn a_port_is_taken_in_docker_s_words() {
        let first = Reservation::bind(&LocalBinder, &[port("127.0.0.1", 0, Protocol::Tcp)]).unwrap();
        let number = first.mappings()[0].host_port;
        let error = Reservation::bind(&LocalBinder, &[port("127.0.0.1", number, Protocol::Tcp)]).unwrap_err();
        assert_eq!(error.to_string(), format!("bind for 127.0.0.1:{number} failed: port is already allocated"));
        assert!(matches!(error, Error::PortTaken { protocol: Protocol::Tcp, .. }));
        drop(first);
        Reservation::bind(&LocalBinder, &[port("127.0.0.1", number, Protocol::Tcp)]).unwrap();
    }

    #[test]
    fn both_families_get_the_same_number() {
        let wanted = [port("0.0.0.0", 0, Protocol::Udp), port("::", 0, Protocol::Udp)];
        let ports = Reservation::bind(&LocalBinder, &wanted).unwrap().mappings();
        assert!(ports.iter().all(|port| port.host_port == ports[0].host_port && port.host_port > 0), "{ports:?}");
    }

    #[test]
    fn a_foreign_address_is_named() {
        let error = Reservation::bind(&LocalBinder, &[port("198.51.100.7", 0, Protocol::Tcp)]).unwrap_err();
        assert_eq!(error.to_string(), "bind for 198.51.100.7:0 failed: no interface has that address");
    }
}
