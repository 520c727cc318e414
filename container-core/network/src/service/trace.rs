//! What the table does with a packet, without a kernel: for explaining, and for testing the rules against it.

use super::ServiceTable;
use super::table::Front;
use crate::{Protocol, Subnet};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The first packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Where it comes from.
    pub source: Ipv4Addr,
    /// Where it is sent.
    pub destination: SocketAddrV4,
    /// Streams or datagrams.
    pub protocol: Protocol,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes to one of these, each as likely as the others.
    Balanced {
        /// The endpoints.
        to: Vec<SocketAddrV4>,
        /// The one among them that would see the node as the sender: the sender itself.
        masqueraded: Option<SocketAddrV4>,
    },
    /// The sender learns at once that nobody answers.
    Refused,
    /// It is for no Service: the table does nothing.
    Untouched,
}

/// Follows a packet through the table; `ranges` are the ranges for Services.
#[must_use]
pub fn trace(table: &ServiceTable, ranges: &[Subnet], packet: &Packet) -> Outcome {
    let (vip, port) = (*packet.destination.ip(), packet.destination.port());
    let front = Front { vip, protocol: packet.protocol, port };
    match table.content().fronts.get(&front) {
        Some(to) if !to.is_empty() => Outcome::Balanced {
            to: to.clone(),
            masqueraded: to.iter().copied().find(|endpoint| *endpoint.ip() == packet.source),
        },
        _ if ranges.iter().any(|range| range.contains(vip)) => Outcome::Refused,
        _ => Outcome::Untouched,
    }
}
