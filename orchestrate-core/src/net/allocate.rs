//! Giving out addresses and ports, as functions of what the world already uses.
//!
//! As upstream, a Service's address is taken from the upper part of the range first, so that users may choose from the
//! lower part; where to begin looking comes from the Service's name, so that an address is not reused at once.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::json;

use super::Cidr;
use crate::action::{Action, Plan, Target};
use crate::controllers::fnv32a;
use crate::objects::{LoadBalancerIngress, Name, Resource, Service, ServiceType};
use crate::{Error, World};

/// The ranges that a cluster gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Networks {
    /// All pods.
    pub pods: Cidr,
    /// The prefix of one node's part of it.
    pub node_prefix: u8,
    /// Addresses of Services.
    pub services: Cidr,
    /// Addresses of load balancers.
    pub load_balancers: Cidr,
}

fn exhausted(what: &'static str) -> Error {
    Error::Exhausted { what }
}

fn used_by_services(world: &World) -> BTreeSet<Ipv4Addr> {
    world.services.iter().filter_map(|s| s.spec.cluster_ip.parse().ok()).collect()
}

/// Checks a wanted cluster address, or chooses one for the Service of this name.
///
/// # Errors
/// `Exhausted`; or `Unusable` when the wanted one is outside the range or taken.
pub fn cluster_ip(world: &World, range: Cidr, name: &Name, wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr, Error> {
    let used = used_by_services(world);
    let (size, first) = (range.size().saturating_sub(1), 1);
    if let Some(wanted) = wanted {
        let why = if !range.contains(wanted) || wanted == range.base() || range.nth(size) == Some(wanted) {
            format!("the provided IP is not in the valid range {range}")
        } else if used.contains(&wanted) {
            "provided IP is already allocated".into()
        } else {
            return Ok(wanted);
        };
        return Err(Error::Unusable { what: format!("clusterIP {wanted}"), why });
    }
    let band = (range.size() / 16).clamp(16, 256).min(size);
    let start = u64::from(fnv32a(name.to_string().as_bytes()));
    let look = |from: u64, to: u64| {
        let span = to.saturating_sub(from);
        (0..span).filter_map(|n| range.nth(from + (start + n) % span)).find(|ip| !used.contains(ip))
    };
    look(band, size).or_else(|| look(first, band)).ok_or_else(|| exhausted("cluster addresses"))
}

/// Checks a wanted node port, or chooses one from 30000 to 32767.
///
/// # Errors
/// `Exhausted` or `Unusable`.
pub fn node_port(world: &World, also_used: &BTreeSet<i32>, seed: &str, wanted: Option<i32>) -> Result<i32, Error> {
    let ports = world.services.iter().flat_map(|s| &s.spec.ports).map(|p| p.node_port);
    let used: BTreeSet<i32> = ports.filter(|p| *p > 0).chain(also_used.iter().copied()).collect();
    if let Some(wanted) = wanted {
        let why = if !(30000..=32767).contains(&wanted) {
            "provided port is not in the valid range. The range of valid ports is 30000-32767"
        } else if used.contains(&wanted) {
            "provided port is already allocated"
        } else {
            return Ok(wanted);
        };
        return Err(Error::Unusable { what: format!("nodePort {wanted}"), why: why.into() });
    }
    let start = i32::try_from(fnv32a(seed.as_bytes()) % 2768).unwrap_or_default();
    (0..2768).map(|n| 30000 + (start + n) % 2768).find(|p| !used.contains(p)).ok_or_else(|| exhausted("node ports"))
}

/// The first address of the pool that no load balancer has.
///
/// # Errors
/// `Exhausted`.
pub fn load_balancer_ip(
    world: &World,
    pool: Cidr,
    also_used: &BTreeSet<Ipv4Addr>,
    wanted: Option<Ipv4Addr>,
) -> Result<Ipv4Addr, Error> {
    let ingress = world.services.iter().flat_map(|s| &s.status.load_balancer.ingress);
    let mut used: BTreeSet<Ipv4Addr> = ingress.filter_map(|i| i.ip.parse().ok()).collect();
    used.extend(also_used);
    match wanted.filter(|ip| pool.contains(*ip) && !used.contains(ip)) {
        Some(wanted) => Ok(wanted),
        None => free_address(pool, &used).ok_or_else(|| exhausted("load balancer addresses")),
    }
}

/// The first usable address of a network that is not in use: neither its first nor its last.
pub fn free_address(net: Cidr, used: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    (1..net.size().saturating_sub(1)).filter_map(|n| net.nth(n)).find(|ip| !used.contains(ip))
}

/// The first part of the pod network that no node has.
///
/// # Errors
/// `Exhausted`.
pub fn pod_cidr(world: &World, networks: &Networks, also_used: &BTreeSet<Cidr>) -> Result<Cidr, Error> {
    let mut used: BTreeSet<Cidr> = world.nodes.iter().filter_map(|n| n.spec.pod_cidr.parse().ok()).collect();
    used.extend(also_used);
    let mut parts = networks.pods.subnets(networks.node_prefix);
    parts.find(|p| !used.contains(p)).ok_or_else(|| exhausted("pod networks"))
}

/// Gives every node its part of the pod network and every load balancer its address.
pub(crate) fn reconcile(world: &World, networks: &Networks) -> Plan {
    let mut plan = Plan::default();
    let mut parts = BTreeSet::new();
    for node in world.nodes.iter().filter(|n| n.spec.pod_cidr.is_empty()) {
        let Ok(part) = pod_cidr(world, networks, &parts) else { break };
        parts.insert(part);
        let text = part.to_string();
        let patch = json!({ "spec": { "podCIDR": text, "podCIDRs": [text] } });
        plan.actions.push(Action::Patch { on: Target::loose(node.key(), &node.metadata.uid), patch });
    }
    let mut addresses = BTreeSet::new();
    for service in world.services.iter() {
        if let Some(ingress) = wanted_ingress(world, networks, service, &mut addresses) {
            let mut status = service.status.clone();
            status.load_balancer.ingress = ingress;
            let status = serde_json::to_value(status).unwrap_or_default();
            let on = Target::loose(service.key(), &service.metadata.uid);
            plan.actions.push(Action::UpdateStatus { on, status });
        }
    }
    plan
}

/// The ingress that a Service should have, if it is not what it has.
fn wanted_ingress(
    world: &World,
    networks: &Networks,
    service: &Service,
    addresses: &mut BTreeSet<Ipv4Addr>,
) -> Option<Vec<LoadBalancerIngress>> {
    let has = !service.status.load_balancer.ingress.is_empty();
    // Classes belong to other providers.
    let ours = service.spec.kind() == ServiceType::LoadBalancer && service.spec.load_balancer_class.is_none();
    if !ours || service.metadata.is_deleting() {
        return (has && !ours).then(Vec::new);
    }
    if has {
        return None;
    }
    let wanted = service.spec.load_balancer_ip.parse().ok();
    let ip = load_balancer_ip(world, networks.load_balancers, addresses, wanted).ok()?;
    addresses.insert(ip);
    let ip_mode = Some("VIP".into());
    Some(vec![LoadBalancerIngress { ip: ip.to_string(), ip_mode, ..LoadBalancerIngress::default() }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;
    use crate::objects::ObjectMeta;

    fn service(name: &str, ip: &str) -> Change {
        let mut service = Service { metadata: ObjectMeta::named("d", name), ..Service::default() };
        service.spec.cluster_ip = ip.into();
        Change::Set(service.into())
    }

    #[test]
    fn cluster_addresses_fill_the_upper_band_first_and_run_out() {
        let mut world = World::default();
        let range: Cidr = "10.96.0.0/27".parse().unwrap();
        let mut seen = BTreeSet::new();
        for n in 0..30 {
            let name = format!("s{n}");
            let ip = cluster_ip(&world, range, &Name::new("d", &name), None).unwrap();
            assert!(seen.insert(ip) && ip != range.base());
            assert_eq!(n < 15, ip.octets()[3] >= 16, "{ip} as number {n}");
            world.apply(service(&name, &ip.to_string()));
        }
        assert!(cluster_ip(&world, range, &Name::new("d", "x"), None).is_err());
        let taken = cluster_ip(&world, range, &Name::new("d", "x"), Some([10, 96, 0, 5].into())).unwrap_err();
        assert_eq!(taken.to_string(), "clusterIP 10.96.0.5: provided IP is already allocated");
        assert!(cluster_ip(&World::default(), range, &Name::default(), Some([10, 97, 0, 5].into())).is_err());
        assert!(cluster_ip(&World::default(), range, &Name::default(), Some([10, 96, 0, 5].into())).is_ok());
    }

    #[test]
    fn node_ports() {
        let none = BTreeSet::new();
        let port = node_port(&World::default(), &none, "d/web", None).unwrap();
        assert!((30000..=32767).contains(&port));
        assert_ne!(node_port(&World::default(), &BTreeSet::from([port]), "d/web", None).unwrap(), port);
        assert!(node_port(&World::default(), &none, "", Some(80)).is_err());
    }
}
