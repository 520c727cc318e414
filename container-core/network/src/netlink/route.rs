//! Addresses, routes and fixed neighbours over rtnetlink, IPv4.
//!
//! Absent on purpose: IPv6 addresses and routes; containers of this crate speak IPv4 only.

use super::Answer;
use super::codec::{Attributes, CREATE, REPLACE};
use super::link::Links;
use crate::{Error, Result, Subnet};
use nix::errno::Errno;
use std::net::Ipv4Addr;

const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const GETROUTE: u16 = 26;
const NEWNEIGH: u16 = 28;
const AF_INET: u8 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// `IFA_F_NOPREFIXROUTE`: no route of the kernel's own for the address.
const NO_PREFIX_ROUTE: u32 = 0x200;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_TABLE: u16 = 15;
const TABLE_MAIN: u8 = 254;
const TABLE_LOCAL: u8 = 255;
/// `RTPROT_STATIC`: set by an administrator, not by the kernel or a routing daemon.
const PROTOCOL_STATIC: u8 = 4;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;
/// `RT_SCOPE_UNIVERSE`.
const SCOPE_UNIVERSE: u8 = 0;
/// `RT_SCOPE_LINK`.
const SCOPE_LINK: u8 = 253;
/// `RT_SCOPE_HOST`.
const SCOPE_HOST: u8 = 254;

/// What a route does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteKind {
    /// Out of the link, to a neighbour there.
    OnLink,
    /// Out of the link, by way of this router.
    Via(Ipv4Addr),
    /// The destination is this machine.
    Local,
}

/// A route to be added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteSpec {
    pub(crate) to: Subnet,
    pub(crate) link: u32,
    pub(crate) kind: RouteKind,
    pub(crate) source: Option<Ipv4Addr>,
}

impl Links {
    /// Gives a link an address. Having it already is fine.
    pub(crate) fn add_address(&mut self, link: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        let index = link.to_ne_bytes();
        let link_local = address.is_link_local();
        let scope = if link_local { SCOPE_LINK } else { SCOPE_UNIVERSE };
        let fixed = [AF_INET, prefix, 0, scope, index[0], index[1], index[2], index[3]];
        let done = self.socket.request(NEWADDR, CREATE | REPLACE, &fixed, |w| {
            w.attr(IFA_LOCAL, &address.octets());
            w.attr(IFA_ADDRESS, &address.octets());
            if link_local {
                w.u32(IFA_FLAGS, NO_PREFIX_ROUTE);
            }
        });
        done.map_err(Error::kernel(format!("give link {link} the address {address}/{prefix}")))
    }

    /// The IPv4 addresses of the namespace, with the index of their link.
    pub(crate) fn addresses(&mut self) -> Result<Vec<(u32, Ipv4Addr, u8)>> {
        let fixed = [AF_INET, 0, 0, 0, 0, 0, 0, 0];
        let answers = self.socket.dump(GETADDR, &fixed, |_| {}).map_err(Error::kernel("list addresses"))?;
        Ok(answers.iter().filter_map(address_info).collect())
    }

    /// Adds a route; the same one already there is replaced.
    pub(crate) fn add_route(&mut self, route: &RouteSpec) -> Result<()> {
        let done = self.socket.request(NEWROUTE, CREATE | REPLACE, &rtmsg(route), |w| {
            write_route(w, route);
        });
        done.map_err(Error::kernel(format!("add the route to {}", route.to)))
    }

    /// Deletes a route; one that is gone already is fine.
    pub(crate) fn delete_route(&mut self, route: &RouteSpec) -> Result<()> {
        match self.socket.request(DELROUTE, 0, &rtmsg(route), |w| write_route(w, route)) {
            Ok(()) | Err(Errno::ESRCH | Errno::ENODEV) => Ok(()),
            Err(source) => Err(Error::Kernel { doing: format!("delete the route to {}", route.to), source }),
        }
    }

    /// The destinations of all IPv4 routes of the main table but the default one.
    pub(crate) fn routed(&mut self) -> Result<Vec<Subnet>> {
        let mut fixed = [0; 12];
        fixed[0] = AF_INET;
        let answers = self.socket.dump(GETROUTE, &fixed, |_| {}).map_err(Error::kernel("list routes"))?;
        Ok(answers.iter().filter_map(route_destination).collect())
    }

    /// Fixes the hardware address of a neighbour, so that nobody is asked for it and nobody else can answer.
    pub(crate) fn add_neighbour(&mut self, link: u32, address: Ipv4Addr, mac: [u8; 6]) -> Result<()> {
        let index = link.to_ne_bytes();
        let state = NUD_PERMANENT.to_ne_bytes();
        let fixed = [AF_INET, 0, 0, 0, index[0], index[1], index[2], index[3], state[0], state[1], 0, 0];
        let done = self.socket.request(NEWNEIGH, CREATE | REPLACE, &fixed, |w| {
            w.attr(NDA_DST, &address.octets());
            w.attr(NDA_LLADDR, &mac);
        });
        done.map_err(Error::kernel(format!("fix the neighbour {address} of link {link}")))
    }
}

/// `struct rtmsg`.
fn rtmsg(route: &RouteSpec) -> [u8; 12] {
    /// `RTN_UNICAST`.
    const UNICAST: u8 = 1;
    /// `RTN_LOCAL`.
    const LOCAL: u8 = 2;
    let (table, scope, kind) = match route.kind {
        RouteKind::OnLink => (TABLE_MAIN, SCOPE_LINK, UNICAST),
        RouteKind::Via(_) => (TABLE_MAIN, SCOPE_UNIVERSE, UNICAST),
        RouteKind::Local => (TABLE_LOCAL, SCOPE_HOST, LOCAL),
    };
    [AF_INET, route.to.prefix(), 0, 0, table, PROTOCOL_STATIC, scope, kind, 0, 0, 0, 0]
}

fn write_route(w: &mut super::Writer, route: &RouteSpec) {
    if route.to.prefix() > 0 {
        w.attr(RTA_DST, &route.to.network().octets());
    }
    w.u32(RTA_OIF, route.link);
    if let RouteKind::Via(router) = route.kind {
        w.attr(RTA_GATEWAY, &router.octets());
    }
    if let Some(source) = route.source {
        w.attr(RTA_PREFSRC, &source.octets());
    }
}

fn address_info(answer: &Answer) -> Option<(u32, Ipv4Addr, u8)> {
    let fixed: &[u8; 8] = answer.body.first_chunk()?;
    let octets: [u8; 4] = Attributes(&answer.body[8..]).get(IFA_LOCAL)?.try_into().ok()?;
    let index = u32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    (answer.kind == NEWADDR).then_some((index, Ipv4Addr::from(octets), fixed[1]))
}

fn route_destination(answer: &Answer) -> Option<Subnet> {
    let fixed: &[u8; 12] = answer.body.first_chunk()?;
    let attributes = Attributes(&answer.body[12..]);
    let table = attributes.u32(RTA_TABLE).unwrap_or(u32::from(fixed[4]));
    if answer.kind != NEWROUTE || table != u32::from(TABLE_MAIN) || fixed[1] == 0 {
        return None;
    }
    let octets: [u8; 4] = attributes.get(RTA_DST)?.try_into().ok()?;
    Subnet::new(Ipv4Addr::from(octets), fixed[1]).ok()
}
