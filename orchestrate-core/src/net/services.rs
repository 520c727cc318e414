//! Services as one flat table per node: frontend → endpoints.
//!
//! Rules kept from upstream: ready endpoints; if there is none, those that still serve while they terminate; traffic
//! policies `Local` count only endpoints of the node. Refused: endpoints at loopback, link-local, multicast or
//! unspecified addresses, and external addresses chosen by users (they can steal traffic). Source-address affinity is
//! carried for the executor to honour.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use crate::World;
use crate::objects::{AddressType, Endpoint, EndpointSlice, Name, Protocol, Service, ServicePort, ServiceType};

/// The table of one node (or of none in particular).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceTable {
    /// In order of Service and port.
    pub entries: Vec<Entry>,
    /// What was left out, and why.
    pub refused: Vec<String>,
}

/// One frontend and what is behind it. No endpoint means: reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The Service it came from.
    pub service: Name,
    /// The name of the port, often empty.
    pub port_name: String,
    /// Where clients connect to.
    pub frontend: Frontend,
    /// The protocol.
    pub protocol: Protocol,
    /// Where they are connected to, in order of address.
    pub endpoints: Vec<(Ipv4Addr, u16)>,
    /// For how many seconds a client stays with its endpoint, if it does.
    pub affinity: Option<u32>,
}

/// Where clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frontend {
    /// The Service's address inside the cluster.
    Cluster(Ipv4Addr, u16),
    /// The address of its load balancer.
    LoadBalancer(Ipv4Addr, u16),
    /// A port on every address of the node (not loopback).
    NodePort(u16),
}

impl Frontend {
    /// Address and port, where it has an address.
    pub const fn address(self) -> Option<(Ipv4Addr, u16)> {
        match self {
            Self::Cluster(ip, port) | Self::LoadBalancer(ip, port) => Some((ip, port)),
            Self::NodePort(_) => None,
        }
    }
}

/// Compiles all Services. `node` is the node whose table it is, for the traffic policies `Local`.
pub fn services(world: &World, node: Option<&str>) -> ServiceTable {
    let mut table = ServiceTable::default();
    for service in world.services.iter() {
        if service.spec.kind() != ServiceType::ExternalName && !service.spec.is_headless() {
            compile(world, service, node, &mut table);
        }
    }
    table.refused.dedup();
    table
}

fn compile(world: &World, service: &Service, node: Option<&str>, table: &mut ServiceTable) {
    let name = Name::new(&service.metadata.namespace, &service.metadata.name);
    if !service.spec.external_ips.is_empty() {
        table.refused.push(format!("{name}: external addresses are off"));
    }
    let is_its = |s: &&EndpointSlice| {
        s.metadata.labels.get("kubernetes.io/service-name") == Some(&name.name) && s.address_type == AddressType::Ipv4
    };
    let slices: Vec<&EndpointSlice> = world.endpoint_slices.in_namespace(&name.namespace).filter(is_its).collect();
    let local = |policy: Option<&str>| node.filter(|_| policy == Some("Local"));
    let inside = local(service.spec.internal_traffic_policy.as_deref());
    let outside = local(Some(&service.spec.external_traffic_policy));
    let affinity = (service.spec.session_affinity.as_deref() == Some("ClientIP")).then(|| affinity_seconds(service));
    for port in &service.spec.ports {
        for frontend in frontends(service, port) {
            let at = if matches!(frontend, Frontend::Cluster(..)) { inside } else { outside };
            table.entries.push(Entry {
                service: name.clone(),
                port_name: port.name.clone(),
                frontend,
                protocol: port.protocol(),
                endpoints: endpoints(&slices, port, at, &name, &mut table.refused),
                affinity,
            });
        }
    }
}

fn affinity_seconds(service: &Service) -> u32 {
    let config = service.spec.extra.get("sessionAffinityConfig");
    let seconds = config.and_then(|c| c.pointer("/clientIP/timeoutSeconds")).and_then(serde_json::Value::as_u64);
    seconds.and_then(|s| u32::try_from(s).ok()).unwrap_or(10_800)
}

fn frontends(service: &Service, port: &ServicePort) -> Vec<Frontend> {
    let Ok(number) = u16::try_from(port.port) else { return Vec::new() };
    let cluster = service.spec.cluster_ip.parse().ok().map(|ip| Frontend::Cluster(ip, number));
    let ingress = service.status.load_balancer.ingress.iter().filter_map(|i| i.ip.parse().ok());
    let balancers = ingress.map(|ip| Frontend::LoadBalancer(ip, number));
    let node_port = u16::try_from(port.node_port).ok().filter(|p| *p > 0).map(Frontend::NodePort);
    cluster.into_iter().chain(balancers).chain(node_port).collect()
}

/// The endpoints of one port: ready ones, or else those that serve while terminating.
fn endpoints(
    slices: &[&EndpointSlice],
    port: &ServicePort,
    node: Option<&str>,
    name: &Name,
    refused: &mut Vec<String>,
) -> Vec<(Ipv4Addr, u16)> {
    let (mut ready, mut terminating) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices {
        let protocol = port.protocol();
        let is_this =
            |p: &&crate::objects::EndpointPort| p.name == port.name && p.protocol.unwrap_or(Protocol::Tcp) == protocol;
        let Some(number) = slice.ports.iter().find(is_this).and_then(|p| u16::try_from(p.port?).ok()) else { continue };
        let here = |e: &&Endpoint| node.is_none_or(|n| e.node_name.as_deref() == Some(n));
        for endpoint in slice.endpoints.iter().filter(here) {
            for address in &endpoint.addresses {
                match address.parse::<Ipv4Addr>() {
                    Ok(ip) if is_routable(ip) => {
                        let c = &endpoint.conditions;
                        if c.ready.unwrap_or(true) {
                            ready.insert((ip, number));
                        } else if c.serving == Some(true) && c.terminating == Some(true) {
                            terminating.insert((ip, number));
                        }
                    }
                    _ => refused.push(format!("{name}: endpoint address {address:?} is not allowed")),
                }
            }
        }
    }
    if ready.is_empty() { terminating } else { ready }.into_iter().collect()
}

const fn is_routable(ip: Ipv4Addr) -> bool {
    !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast()
}

impl fmt::Display for ServiceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for e in &self.entries {
            match e.frontend {
                Frontend::Cluster(ip, port) => write!(f, "cluster  {ip}:{port}")?,
                Frontend::LoadBalancer(ip, port) => write!(f, "balancer {ip}:{port}")?,
                Frontend::NodePort(port) => write!(f, "node     *:{port}")?,
            }
            write!(f, "/{} {}", e.protocol, e.service)?;
            if !e.port_name.is_empty() {
                write!(f, ":{}", e.port_name)?;
            }
            f.write_str(" ->")?;
            for (ip, port) in &e.endpoints {
                write!(f, " {ip}:{port}")?;
            }
            if let Some(seconds) = e.affinity {
                write!(f, " sticky {seconds}s")?;
            }
            f.write_str(if e.endpoints.is_empty() { " reject\n" } else { "\n" })?;
        }
        self.refused.iter().try_for_each(|line| writeln!(f, "refused  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;
    use crate::objects::Object;
    use serde_json::{Value, json};

    fn world(spec: &Value, endpoints: &Value) -> World {
        let mut world = World::default();
        let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "d"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "targetPort": 8080, "name": "http"}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "172.18.0.9"}]}}});
        for (k, v) in spec.as_object().unwrap() {
            service["spec"][k] = v.clone();
        }
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-1", "namespace": "d", "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints});
        for object in [service, slice] {
            world.apply(Change::Set(Object::from_json(object).unwrap()));
        }
        world
    }

    fn endpoint(ip: &str, node: &str, ready: bool, serving: bool, terminating: bool) -> Value {
        json!({"addresses": [ip], "nodeName": node, "conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
    }

    #[test]
    fn ready_endpoints_behind_each_frontend() {
        let all = json!([
            endpoint("10.0.0.2", "n2", true, true, false),
            endpoint("10.0.0.1", "n1", true, true, false),
            endpoint("10.0.0.3", "n1", false, false, false),
            endpoint("10.0.0.4", "n1", false, true, true)
        ]);
        let table = services(&world(&json!({}), &all), None);
        assert_eq!(
            table.to_string(),
            "cluster  10.96.0.7:80/TCP d/web:http -> 10.0.0.1:8080 10.0.0.2:8080\n\
                                       balancer 172.18.0.9:80/TCP d/web:http -> 10.0.0.1:8080 10.0.0.2:8080\n"
        );
        let local = json!({"internalTrafficPolicy": "Local", "sessionAffinity": "ClientIP"});
        let table = services(&world(&local, &all), Some("n2"));
        assert!(
            table.to_string().starts_with("cluster  10.96.0.7:80/TCP d/web:http -> 10.0.0.2:8080 sticky 10800s\n"),
            "{table}"
        );
    }

    #[test]
    fn terminating_endpoints_are_the_last_resort_and_nothing_means_reject() {
        let last =
            json!([endpoint("10.0.0.4", "n1", false, true, true), endpoint("10.0.0.5", "n1", false, false, true)]);
        assert_eq!(services(&world(&json!({}), &last), None).entries[0].endpoints, [([10, 0, 0, 4].into(), 8080)]);
        assert!(services(&world(&json!({}), &json!([])), None).to_string().contains("-> reject"));
    }

    #[test]
    fn dangerous_addresses_are_refused() {
        for ip in ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "fe80::1", "host"] {
            let table = services(&world(&json!({}), &json!([endpoint(ip, "n", true, true, false)])), None);
            assert!(table.entries[0].endpoints.is_empty() && table.refused.len() == 1, "{ip}");
        }
        let table = services(&world(&json!({"externalIPs": ["1.2.3.4"]}), &json!([])), None);
        assert_eq!((table.entries.len(), table.refused.len()), (2, 1));
    }

    #[test]
    fn headless_and_external_services_have_no_entry() {
        for spec in [json!({"clusterIP": "None"}), json!({"type": "ExternalName", "externalName": "x"})] {
            assert!(services(&world(&spec, &json!([])), None).entries.is_empty());
        }
    }
}
