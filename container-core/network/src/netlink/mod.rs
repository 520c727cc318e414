//! Netlink, blocking and small: one codec and one socket for links (rtnetlink), rules (nf_tables) and connections
//! (ctnetlink).
//!
//! The three families share a header, an attribute format and an answer protocol; the published packet crates cover
//! only the first family, so one codec of ~100 lines serves all three. Absent on purpose: multicast groups, async.

mod codec;
mod link;
mod route;
mod socket;

pub(crate) use codec::{Attributes, Writer};
pub(crate) use link::{LOOPBACK, LinkInfo, Links, Veth};
pub(crate) use route::{RouteKind, RouteSpec};
pub(crate) use socket::{Answer, Family, Socket};
