//! The table: which address and port leads where. A value, always sorted, the same whatever order it was made in.

use crate::{Protocol, Subnet};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// One port of one Service, as the caller says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Its stable address.
    pub vip: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Streams or datagrams.
    pub protocol: Protocol,
    /// Who answers.
    pub endpoints: Vec<(Ipv4Addr, u16)>,
}

/// What clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Front {
    pub(super) vip: Ipv4Addr,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

/// Something of an entry that was left out of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The Service's address and port.
    pub service: SocketAddrV4,
    /// The address that was refused: an endpoint's, or the Service's own.
    pub address: Ipv4Addr,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}: address {} refused: {}", self.service, self.address, self.why)
    }
}

/// All Services of a node. A clone shares everything with its original.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceTable {
    content: Arc<Content>,
}

/// The table and what is counted once, so that a change costs what has changed and not what is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) fronts: BTreeMap<Front, Vec<SocketAddrV4>>,
    /// How many endpoints each address has.
    pub(super) pods: BTreeMap<Ipv4Addr, usize>,
    /// How many fronts have so many endpoints.
    pub(super) sizes: BTreeMap<usize, usize>,
}

impl Content {
    fn new(fronts: BTreeMap<Front, Vec<SocketAddrV4>>) -> Self {
        let (mut pods, mut sizes) = (BTreeMap::new(), BTreeMap::new());
        for endpoints in fronts.values().filter(|endpoints| !endpoints.is_empty()) {
            *sizes.entry(endpoints.len()).or_default() += 1;
            for endpoint in endpoints {
                *pods.entry(*endpoint.ip()).or_default() += 1;
            }
        }
        Self { fronts, pods, sizes }
    }
}

impl ServiceTable {
    /// Makes a table. `ranges` are where Services' addresses lie, `nodes` the nodes' own addresses. What could steal
    /// traffic (CVE-2020-8554, CVE-2021-25740) is left out and told: Services outside the ranges; endpoints that are
    /// loopback, link-local, a node, or another Service. Entries for the same port are joined.
    #[must_use]
    pub fn build(entries: Vec<ServiceEntry>, ranges: &[Subnet], nodes: &[Ipv4Addr]) -> (Self, Vec<Refusal>) {
        let mut fronts: BTreeMap<Front, Vec<SocketAddrV4>> = BTreeMap::new();
        let mut refused = Vec::new();
        let within = |address: Ipv4Addr| ranges.iter().any(|range| range.contains(address));
        for entry in entries {
            let service = SocketAddrV4::new(entry.vip, entry.port);
            if !within(entry.vip) {
                refused.push(Refusal { service, address: entry.vip, why: "it lies outside the ranges for Services" });
                continue;
            }
            let front = Front { vip: entry.vip, protocol: entry.protocol, port: entry.port };
            let endpoints = fronts.entry(front).or_default();
            for (address, port) in entry.endpoints {
                let why = match refusal(address) {
                    None if within(address) => Some("it is a Service itself"),
                    None if nodes.contains(&address) => Some("it is a node's own"),
                    why => why,
                };
                match why {
                    Some(why) => refused.push(Refusal { service, address, why }),
                    None => endpoints.push(SocketAddrV4::new(address, port)),
                }
            }
            endpoints.sort_unstable();
            endpoints.dedup();
        }
        (Self { content: Arc::new(Content::new(fronts)) }, refused)
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// How many ports of Services it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.fronts.len()
    }

    /// Tells whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content.fronts.is_empty()
    }
}

/// Why no pod and no endpoint may have this address, if so.
pub(crate) fn refusal(address: Ipv4Addr) -> Option<&'static str> {
    match address {
        a if a.is_loopback() => Some("it is a loopback address"),
        a if a.is_link_local() => Some("it is a link-local address"),
        a if a.is_multicast() || a.is_broadcast() => Some("it is a group's address"),
        a if a.octets()[0] == 0 => Some("it is no host's address"),
        _ => None,
    }
}

/// One line per port, aligned, endpoints in their order.
impl fmt::Display for ServiceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (front, endpoints) in &self.content.fronts {
            let service = format!("{}:{}/{}", front.vip, front.port, front.protocol);
            write!(f, "{service:<26} ->")?;
            if endpoints.is_empty() {
                f.write_str(" refused, no endpoints")?;
            }
            for endpoint in endpoints {
                write!(f, " {endpoint}")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn entry(vip: &str, port: u16, endpoints: &[(&str, u16)]) -> ServiceEntry {
        let endpoints = endpoints.iter().map(|(address, port)| (address.parse().unwrap(), *port)).collect();
        ServiceEntry { vip: vip.parse().unwrap(), port, protocol: Protocol::Tcp, endpoints }
    }

    #[test]
    fn a_table_prints_sorted() {
        let entries = vec![
            entry("10.96.0.9", 80, &[("10.244.1.3", 8080), ("10.244.0.2", 8080), ("10.244.1.3", 8080)]),
            entry("10.96.0.1", 443, &[]),
        ];
        let (table, refused) = ServiceTable::build(entries, &["10.96.0.0/12".parse().unwrap()], &[]);
        assert_eq!(refused, []);
        let expected = "10.96.0.1:443/tcp          -> refused, no endpoints\n\
            10.96.0.9:80/tcp           -> 10.244.0.2:8080 10.244.1.3:8080\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn addresses_that_steal_traffic_are_refused() {
        let bad = ["127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255", "0.0.0.0", "10.96.0.5", "192.0.2.1"];
        let endpoints: Vec<(&str, u16)> = bad.iter().map(|address| (*address, 80)).collect();
        let entries = vec![entry("10.96.0.9", 80, &endpoints), entry("192.0.2.1", 443, &[("10.244.0.2", 1)])];
        let ranges = ["10.96.0.0/12".parse().unwrap()];
        let (table, refused) = ServiceTable::build(entries, &ranges, &["192.0.2.1".parse().unwrap()]);
        assert_eq!(table.to_string(), "10.96.0.9:80/tcp           -> refused, no endpoints\n");
        assert_eq!(refused.len(), bad.len() + 1);
        let text = "service 10.96.0.9:80: address 169.254.169.254 refused: it is a link-local address";
        assert_eq!(refused[1].to_string(), text);
    }

    proptest! {
        #[test]
        fn the_order_of_the_entries_does_not_matter(seed in proptest::collection::vec((0_u8..4, 0_u8..3, 0_u8..6), 0..20)) {
            let make = |(vip, port, end): &(u8, u8, u8)| ServiceEntry {
                vip: Ipv4Addr::new(10, 96, 0, *vip),
                port: u16::from(*port) + 80,
                protocol: Protocol::Udp,
                endpoints: vec![(Ipv4Addr::new(10, 244, 0, *end), 80)],
            };
            let ranges = ["10.96.0.0/12".parse().unwrap()];
            let forward = ServiceTable::build(seed.iter().map(make).collect(), &ranges, &[]).0;
            let backward = ServiceTable::build(seed.iter().rev().map(make).collect(), &ranges, &[]).0;
            prop_assert_eq!(forward, backward);
        }
    }
}
