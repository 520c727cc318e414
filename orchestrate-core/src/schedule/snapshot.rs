//! What the scheduler sees: nodes with what they have, what is taken, and who is on them.

use std::collections::{BTreeMap, BTreeSet};

use crate::World;
use crate::objects::{Labels, Node, Pod, Protocol, Resources, Taint};

/// What a container counts for in scores when it asks for nothing: 100 m cpu, 200 MB memory.
const DEFAULT_MILLI_CPU: i64 = 100;
const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// All nodes at one moment, by name.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The nodes.
    pub nodes: BTreeMap<String, NodeInfo>,
}

/// One node.
#[derive(Debug, Clone, Default)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether it takes no new pods.
    pub unschedulable: bool,
    /// What it has: cpu in thousandths, everything else in units.
    pub allocatable: BTreeMap<String, i64>,
    /// What its pods asked for.
    pub requested: BTreeMap<String, i64>,
    /// The same for scores: containers that ask for nothing count all the same. Cpu, memory.
    pub nonzero: (i64, i64),
    /// Host ports in use: address, protocol, port.
    pub ports: BTreeSet<(String, Protocol, i32)>,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// Amounts as plain numbers.
pub(super) fn numbers(resources: &Resources) -> BTreeMap<String, i64> {
    resources
        .iter()
        .map(|(name, amount)| (name.clone(), if name == "cpu" { amount.milli() } else { amount.value() }))
        .collect()
}

/// What a pod counts for in scores: cpu, memory.
pub(super) fn nonzero(pod: &Pod) -> (i64, i64) {
    let of = |resource: &str, default: i64| {
        let unset = |c: &&crate::objects::Container| {
            !c.resources.requests.contains_key(resource) && !c.resources.limits.contains_key(resource)
        };
        let missing = i64::try_from(pod.spec.containers.iter().filter(unset).count()).unwrap_or_default();
        let asked = pod.request(resource);
        (if resource == "cpu" { asked.milli() } else { asked.value() }) + missing * default
    };
    (of("cpu", DEFAULT_MILLI_CPU), of("memory", DEFAULT_MEMORY))
}

/// The host ports that a pod wants.
pub(super) fn host_ports(pod: &Pod) -> impl Iterator<Item = (String, Protocol, i32)> {
    let ports = pod.spec.init_containers.iter().filter(|c| c.restart_policy.is_some()).chain(&pod.spec.containers);
    ports.flat_map(|c| &c.ports).filter_map(|p| {
        let port = if p.host_port > 0 { p.host_port } else { p.container_port };
        let ip = if p.host_ip.is_empty() { "0.0.0.0" } else { &p.host_ip };
        (p.host_port > 0 || pod.spec.host_network).then(|| (ip.to_string(), p.protocol(), port))
    })
}

impl Snapshot {
    /// Takes a snapshot of a world. Pods that have ended take nothing.
    pub fn of(world: &World) -> Self {
        let mut snapshot = Self::default();
        for node in world.nodes.iter().filter(|n| !n.metadata.is_deleting()) {
            let mut info = NodeInfo::of(node);
            world.pods_on(&node.metadata.name).filter(|p| !p.is_finished()).for_each(|p| info.add(p));
            snapshot.nodes.insert(info.name.clone(), info);
        }
        snapshot
    }

    /// Counts a pod on a node before the world knows it.
    pub fn assume(&mut self, pod: &Pod, node: &str) {
        if let Some(info) = self.nodes.get_mut(node) {
            info.add(pod);
        }
    }
}

impl NodeInfo {
    fn of(node: &Node) -> Self {
        Self {
            name: node.metadata.name.clone(),
            labels: node.metadata.labels.clone(),
            taints: node.spec.taints.clone(),
            unschedulable: node.spec.unschedulable,
            allocatable: numbers(&node.status.allocatable),
            ..Self::default()
        }
    }

    fn add(&mut self, pod: &Pod) {
        for (name, amount) in numbers(&pod.requests()) {
            *self.requested.entry(name).or_default() += amount;
        }
        let (cpu, memory) = nonzero(pod);
        self.nonzero = (self.nonzero.0 + cpu, self.nonzero.1 + memory);
        self.ports.extend(host_ports(pod));
        self.pods.push(pod.clone());
    }

    /// How much it has of a resource.
    pub(super) fn has(&self, resource: &str) -> i64 {
        self.allocatable.get(resource).copied().unwrap_or_default()
    }

    /// How much of a resource is taken.
    pub(super) fn taken(&self, resource: &str) -> i64 {
        self.requested.get(resource).copied().unwrap_or_default()
    }
}
