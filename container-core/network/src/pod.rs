//! A pod's link: point to point, one address, no bridge.
//!
//! The pod has its address with 32 bits and one default route by way of 169.254.1.1, which exists nowhere: both ends
//! know each other's hardware address for good, so nobody asks (no ARP to spoof), no broadcast domain connects two pods
//! (no router advertisements to send them: CVE-2020-10749), and every packet between pods crosses the node's rules.
//! Absent on purpose: who gets which address; the caller allocates.

use crate::netlink::{Links, RouteKind, RouteSpec, Veth};
use crate::{Error, Namespace, Result, Subnet, sysctl};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

/// The router of every pod.
const ROUTER: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// Every node end's hardware address: it never meets another one on a wire.
const NODE_MAC: [u8; 6] = [0xee; 6];
const INSIDE: &str = "eth0";

/// Gives the calling thread's namespace the address under which it speaks to its pods.
///
/// # Errors
/// `Kernel` when it may not.
pub fn set_node_address(address: Ipv4Addr) -> Result<()> {
    let mut links = Links::open()?;
    let loopback = links.index("lo")?;
    // A fresh namespace has it down, and with it every address on it.
    links.up("lo")?;
    links.add_address(loopback, address, 32)
}

/// A link between the calling thread's namespace and a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLink {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The node's end.
    pub interface: String,
}

impl PodLink {
    /// Connects a pod: its end is called `eth0` and is born inside `pod`; the node's end is called `interface`. `node`
    /// is the address that the node's own packets to the pod come from (see [`set_node_address`]).
    ///
    /// # Errors
    /// `Invalid` for a name that is no link name or an address that no pod may have, `Kernel` for the rest; nothing of
    /// the link remains then.
    pub fn create(pod: &Namespace, address: Ipv4Addr, interface: &str, node: Option<Ipv4Addr>) -> Result<Self> {
        crate::bridge::check_link_name(interface)?;
        if let Some(why) = crate::service::refusal(address) {
            return Err(Error::Invalid { what: "pod address", value: address.to_string(), why });
        }
        let mut links = Links::open()?;
        links.add_veth(&Veth {
            name: interface,
            mac: Some(NODE_MAC),
            peer_name: INSIDE,
            peer_namespace: pod.as_fd(),
            peer_mac: Some(pod_mac(address)),
            mtu: None,
            master: None,
        })?;
        let made = outside(&mut links, address, interface, node)
            .and_then(|()| pod.run(|| inside(address))?)
            .and_then(|()| links.wait_for_carrier(interface));
        if made.is_err() {
            // The first failure is the one to tell.
            let _ = links.delete(interface);
        }
        made.map(|()| Self { address, interface: interface.to_owned() })
    }

    /// Takes the link away, and what connection tracking knows of the address, so that its next owner gets no old
    /// packets. A link that has gone with its pod's namespace is fine.
    ///
    /// # Errors
    /// `Kernel` when it may not.
    pub fn delete(&self) -> Result<()> {
        Links::open()?.delete(&self.interface)?;
        crate::service::forget_connections(self.address).map(drop)
    }
}

/// The pod's end. Silent before it is up, so that not even the first packet is IPv6.
fn inside(address: Ipv4Addr) -> Result<()> {
    sysctl::silence_ipv6(INSIDE)?;
    let mut links = Links::open()?;
    let link = links.index(INSIDE)?;
    links.add_address(link, address, 32)?;
    links.up(INSIDE)?;
    links.add_neighbour(link, ROUTER, NODE_MAC)?;
    links.add_route(&RouteSpec { to: Subnet::single(ROUTER), link, kind: RouteKind::OnLink, source: None })?;
    links.add_route(&RouteSpec { to: Subnet::everything(), link, kind: RouteKind::Via(ROUTER), source: None })?;
    links.wait_for_carrier(INSIDE)
}

/// The node's end.
fn outside(links: &mut Links, address: Ipv4Addr, interface: &str, node: Option<Ipv4Addr>) -> Result<()> {
    sysctl::silence_ipv6(interface)?;
    sysctl::check_source(interface)?;
    sysctl::set_forwarding(interface, true)?;
    links.up(interface)?;
    let link = links.index(interface)?;
    links.add_neighbour(link, address, pod_mac(address))?;
    links.add_route(&RouteSpec { to: Subnet::single(address), link, kind: RouteKind::OnLink, source: node })
}

fn pod_mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}
