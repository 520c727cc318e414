//! EndpointSlices: which pods are behind each Service, and in what state.
//!
//! Existing slices are changed in place and endpoints stay in their slice, so that a change of one pod changes one
//! slice. Addresses of families other than IPv4 and topology hints are absent.

use std::collections::{BTreeMap, BTreeSet};

use super::names::fresh_name;
use super::policy::Policy;
use super::{exact, json, target};
use crate::action::{Action, Plan, Propagation};
use crate::objects::{
    Endpoint, EndpointConditions, EndpointPort, EndpointSlice, IntOrString, Labels, Object, ObjectMeta, Pod, Resource,
    Service, ServiceType, subset,
};
use crate::{Time, World};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";
const ZONE: &str = "topology.kubernetes.io/zone";

pub(super) fn reconcile(world: &World, policy: &Policy, now: Time) -> Plan {
    let mut plan = Plan::default();
    for service in world.services.iter() {
        let external = service.spec.kind() == ServiceType::ExternalName;
        if !service.spec.selector.is_empty() && !external && !service.metadata.is_deleting() {
            Slices::of(world, policy, service, now).sync(&mut plan);
        }
    }
    plan
}

/// Endpoints that share their port numbers share slices.
type Ports = Vec<EndpointPort>;

struct Slices<'a> {
    world: &'a World,
    policy: &'a Policy,
    service: &'a Service,
    now: Time,
    existing: Vec<&'a EndpointSlice>,
    labels: Labels,
    made: BTreeSet<String>,
}

impl<'a> Slices<'a> {
    fn of(world: &'a World, policy: &'a Policy, service: &'a Service, now: Time) -> Self {
        let is_ours = |s: &&EndpointSlice| {
            let labels = &s.metadata.labels;
            labels.get(SERVICE_NAME) == Some(&service.metadata.name)
                && labels.get(MANAGED_BY).is_some_and(|m| m == MANAGER)
                && !s.metadata.is_deleting()
        };
        let existing = world.endpoint_slices.in_namespace(&service.metadata.namespace).filter(is_ours).collect();
        let mut labels = service.metadata.labels.clone();
        labels.insert(SERVICE_NAME.into(), service.metadata.name.clone());
        labels.insert(MANAGED_BY.into(), MANAGER.into());
        if service.spec.is_headless() {
            labels.insert(HEADLESS.into(), String::new());
        }
        Self { world, policy, service, now, existing, labels, made: BTreeSet::new() }
    }

    fn sync(mut self, plan: &mut Plan) {
        let mut wanted = self.wanted();
        if wanted.is_empty() {
            // One empty slice says that the Service is known and has nothing.
            wanted.push((Ports::new(), BTreeMap::new()));
        }
        let mut kept: BTreeSet<&str> = BTreeSet::new();
        for (ports, endpoints) in wanted {
            let same: Vec<&EndpointSlice> = self.existing.iter().copied().filter(|s| s.ports == ports).collect();
            kept.extend(self.sync_group(&ports, endpoints, &same, plan));
        }
        for slice in self.existing.iter().filter(|s| !kept.contains(s.metadata.name.as_str())) {
            let on = target(*slice);
            plan.actions.push(Action::Delete { on, grace: None, propagation: Propagation::Background });
        }
    }

    /// The endpoints by their ports and, within, by the uid of the pod.
    fn wanted(&self) -> Vec<(Ports, BTreeMap<String, Endpoint>)> {
        let mut groups: Vec<(Ports, BTreeMap<String, Endpoint>)> = Vec::new();
        for pod in self.world.pods.in_namespace(&self.service.metadata.namespace) {
            let selected = subset(&self.service.spec.selector, &pod.metadata.labels);
            if !selected || pod.is_finished() || pod.status.pod_ip.is_empty() {
                continue;
            }
            let ports = self.ports_of(pod);
            let endpoint = self.endpoint(pod);
            match groups.iter_mut().find(|(p, _)| *p == ports) {
                Some((_, group)) => drop(group.insert(pod.metadata.uid.clone(), endpoint)),
                None => groups.push((ports, [(pod.metadata.uid.clone(), endpoint)].into())),
            }
        }
        groups
    }

    /// Ports of the Service as numbers of this pod; a name that the pod does not know is left out.
    fn ports_of(&self, pod: &Pod) -> Ports {
        let number = |target: &IntOrString, protocol| match target {
            IntOrString::Int(n) => Some(*n),
            IntOrString::String(name) => {
                let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.is_some());
                let mut ports = pod.spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports);
                ports.find(|p| p.name == *name && p.protocol() == protocol).map(|p| p.container_port)
            }
        };
        let ports = self.service.spec.ports.iter().filter_map(|port| {
            Some(EndpointPort {
                name: port.name.clone(),
                protocol: Some(port.protocol()),
                port: Some(number(&port.target(), port.protocol())?),
                app_protocol: port.app_protocol.clone(),
                ..EndpointPort::default()
            })
        });
        ports.collect()
    }

    fn endpoint(&self, pod: &Pod) -> Endpoint {
        let (serving, terminating) = (pod.is_ready(), pod.metadata.is_deleting());
        let ready = self.service.spec.publish_not_ready_addresses || (serving && !terminating);
        let node = self.world.nodes.get("", &pod.spec.node_name);
        let named = !pod.spec.hostname.is_empty() && pod.spec.subdomain == self.service.metadata.name;
        let mut target_ref = pod.reference();
        target_ref.api_version.clear();
        target_ref.resource_version.clear();
        Endpoint {
            addresses: vec![pod.status.pod_ip.clone()],
            conditions: EndpointConditions {
                ready: Some(ready),
                serving: Some(serving),
                terminating: Some(terminating),
                ..EndpointConditions::default()
            },
            hostname: named.then(|| pod.spec.hostname.clone()),
            target_ref: Some(target_ref),
            node_name: (!pod.spec.node_name.is_empty()).then(|| pod.spec.node_name.clone()),
            zone: node.and_then(|n| n.metadata.labels.get(ZONE)).cloned(),
            ..Endpoint::default()
        }
    }

    /// Fits the endpoints of one group into its slices; returns the names of those that stay.
    fn sync_group(
        &mut self,
        ports: &Ports,
        mut endpoints: BTreeMap<String, Endpoint>,
        slices: &[&'a EndpointSlice],
        plan: &mut Plan,
    ) -> Vec<&'a str> {
        let empty = endpoints.is_empty();
        let most = self.policy.endpoints_per_slice.max(1);
        let mut bodies: Vec<(&EndpointSlice, Vec<Endpoint>)> = Vec::new();
        for slice in slices {
            let uid = |e: &Endpoint| e.target_ref.as_ref().map(|r| r.uid.clone()).unwrap_or_default();
            let body = slice.endpoints.iter().filter_map(|e| endpoints.remove(&uid(e))).collect();
            bodies.push((slice, body));
        }
        let mut rest = endpoints.into_values();
        for (_, body) in &mut bodies {
            body.extend(rest.by_ref().take(most.saturating_sub(body.len())));
        }
        let rest: Vec<Endpoint> = rest.collect();
        for (number, chunk) in rest.chunks(most).enumerate() {
            self.create(number, ports, chunk.to_vec(), plan);
        }
        if empty && bodies.is_empty() {
            self.create(0, ports, Vec::new(), plan);
        }
        bodies.retain(|(_, body)| !body.is_empty() || empty);
        bodies.truncate(if empty { 1 } else { usize::MAX });
        for (slice, body) in &bodies {
            self.update(slice, body, plan);
        }
        bodies.iter().map(|(slice, _)| slice.metadata.name.as_str()).collect()
    }

    fn create(&mut self, number: usize, ports: &Ports, endpoints: Vec<Endpoint>, plan: &mut Plan) {
        let (namespace, name) = (&self.service.metadata.namespace, &self.service.metadata.name);
        let taken = |n: &str| self.made.contains(n) || self.world.endpoint_slices.get(namespace, n).is_some();
        let fresh = fresh_name(&format!("{name}-"), &self.service.metadata.uid, self.now, number, taken);
        let metadata = ObjectMeta {
            generate_name: format!("{name}-"),
            labels: self.labels.clone(),
            owner_references: vec![self.service.owner_reference()],
            ..ObjectMeta::named(namespace, &fresh)
        };
        self.made.insert(fresh);
        let slice = EndpointSlice { metadata, ports: ports.clone(), endpoints, ..EndpointSlice::default() };
        plan.actions.push(Action::Create { object: Object::from(slice) });
    }

    fn update(&self, slice: &EndpointSlice, body: &Vec<Endpoint>, plan: &mut Plan) {
        if slice.endpoints != *body || slice.metadata.labels != self.labels {
            let patch = serde_json::json!({ "metadata": { "labels": json(&self.labels) }, "endpoints": json(body) });
            plan.actions.push(Action::Patch { on: exact(slice), patch });
        }
    }
}
