//! Connection tracking over ctnetlink: forgetting connections whose other end is no more.
//!
//! A tracked UDP "connection" keeps its endpoint for as long as its client talks, also after the endpoint has gone; a
//! TCP one to a dead pod hangs until it times out. Forgotten, the next packet is balanced anew: a datagram reaches a
//! living endpoint, a stream is reset by it.

use super::table::Front;
use crate::netlink::{Answer, Attributes, Family, Socket};
use crate::{Error, Protocol, Result};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET`, and `…_DELETE`.
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
/// `struct nfgenmsg` for IPv4.
const FIXED: [u8; 4] = [2, 0, 0, 0];

/// A tracked connection.
#[derive(Debug)]
struct Connection {
    protocol: u8,
    /// What the client sent its first packet to.
    sent_to: SocketAddrV4,
    client: Ipv4Addr,
    /// Who really answers.
    answered_by: SocketAddrV4,
    /// What names it when it is deleted: the original tuple as it came, and the id.
    tuple: Vec<u8>,
    id: Vec<u8>,
}

/// Forgets every connection to or from an address of the calling thread's namespace; returns how many there were.
///
/// # Errors
/// `Kernel` when connection tracking cannot be reached.
pub fn forget_connections(address: Ipv4Addr) -> Result<usize> {
    let mut socket = Socket::open(Family::Netfilter)?;
    forget(&mut socket, |connection| {
        [*connection.answered_by.ip(), *connection.sent_to.ip(), connection.client].contains(&address)
    })
}

/// Forgets the datagram connections of these fronts to these endpoints.
pub(super) fn forget_datagrams(socket: &mut Socket, lost: &[(Front, SocketAddrV4)]) -> Result<usize> {
    if lost.is_empty() {
        return Ok(0);
    }
    let lost: BTreeSet<(SocketAddrV4, SocketAddrV4)> =
        lost.iter().map(|(front, to)| (SocketAddrV4::new(front.vip, front.port), *to)).collect();
    let udp = number(Protocol::Udp);
    forget(socket, |found| found.protocol == udp && lost.contains(&(found.sent_to, found.answered_by)))
}

fn forget(socket: &mut Socket, matches: impl Fn(&Connection) -> bool) -> Result<usize> {
    let answers = match socket.dump(GET, &FIXED, |_| {}) {
        Ok(answers) => answers,
        // A kernel that tracks nothing has nothing to forget.
        Err(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOENT) => return Ok(0),
        Err(source) => return Err(Error::Kernel { doing: "list tracked connections".to_owned(), source }),
    };
    let mut count = 0;
    for connection in answers.iter().filter_map(connection).filter(|found| matches(found)) {
        /// `NLA_F_NESTED`.
        const NESTED: u16 = 0x8000;
        let deleted = socket.request(DELETE, 0, &FIXED, |w| {
            w.attr(CTA_TUPLE_ORIG | NESTED, &connection.tuple);
            w.attr(CTA_ID, &connection.id);
        });
        match deleted {
            Ok(()) => count += 1,
            // It ended by itself meanwhile.
            Err(Errno::ENOENT) => {}
            Err(source) => return Err(Error::Kernel { doing: "forget a tracked connection".to_owned(), source }),
        }
    }
    Ok(count)
}

fn connection(answer: &Answer) -> Option<Connection> {
    let attributes = Attributes(answer.body.get(4..)?);
    let (original, reply) = (attributes.nested(CTA_TUPLE_ORIG), attributes.nested(CTA_TUPLE_REPLY));
    let address = |tuple: Attributes<'_>, kind| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = tuple.nested(1).get(kind)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    let port = |tuple: Attributes<'_>, kind| tuple.nested(2).be16(kind).unwrap_or_default();
    Some(Connection {
        protocol: *original.nested(2).get(1)?.first()?,
        sent_to: SocketAddrV4::new(address(original, 2)?, port(original, 3)),
        client: address(original, 1)?,
        answered_by: SocketAddrV4::new(address(reply, 1)?, port(reply, 2)),
        tuple: attributes.get(CTA_TUPLE_ORIG)?.to_vec(),
        id: attributes.get(CTA_ID)?.to_vec(),
    })
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}
