//! Services and EndpointSlices: stable addresses and what is behind them.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use super::container::Protocol;
use super::int_or_string::IntOrString;
use super::meta::{Condition, Labels, ObjectMeta, ObjectReference};
use super::wire::{wire, words};

wire! {
    /// A stable address for a changing set of pods.
    Service {
        metadata: ObjectMeta,
        spec: ServiceSpec,
        status: ServiceStatus,
    }
    ServiceSpec {
        ports: Vec<ServicePort>,
        selector: Labels,
        #[serde(rename = "clusterIP")]
        cluster_ip: String,
        #[serde(rename = "clusterIPs")]
        cluster_ips: Vec<String>,
        #[serde(rename = "type")]
        kind: Option<ServiceType>,
        #[serde(rename = "externalIPs")]
        external_ips: Vec<String>,
        session_affinity: Option<String>,
        #[serde(rename = "loadBalancerIP")]
        load_balancer_ip: String,
        load_balancer_class: Option<String>,
        external_name: String,
        external_traffic_policy: String,
        internal_traffic_policy: Option<String>,
        publish_not_ready_addresses: bool,
        allocate_load_balancer_node_ports: Option<bool>,
        ip_families: Vec<String>,
        ip_family_policy: Option<String>,
    }
    ServicePort {
        name: String,
        protocol: Option<Protocol>,
        app_protocol: Option<String>,
        target_port: Option<IntOrString>,
        node_port: i32,
    } + always {
        port: i32,
    }
    ServiceStatus {
        conditions: Vec<Condition>,
    } + always {
        load_balancer: LoadBalancerStatus,
    }
    LoadBalancerStatus {
        ingress: Vec<LoadBalancerIngress>,
    }
    LoadBalancerIngress {
        ip: String,
        hostname: String,
        ip_mode: Option<String>,
    }
    /// A part of the endpoints of a Service (group `discovery.k8s.io/v1`).
    EndpointSlice {
        metadata: ObjectMeta,
        ports: Vec<EndpointPort>,
    } + always {
        address_type: AddressType,
        endpoints: Vec<Endpoint>,
    }
    Endpoint {
        hostname: Option<String>,
        target_ref: Option<ObjectReference>,
        node_name: Option<String>,
        zone: Option<String>,
        conditions: EndpointConditions,
    } + always {
        addresses: Vec<String>,
    }
    EndpointConditions {
        ready: Option<bool>,
        serving: Option<bool>,
        terminating: Option<bool>,
    }
    EndpointPort {
        app_protocol: Option<String>,
        protocol: Option<Protocol>,
        port: Option<i32>,
    } + always {
        name: String,
    }
}

words! {
    ServiceType {
        ClusterIp = "ClusterIP",
        NodePort = "NodePort",
        LoadBalancer = "LoadBalancer",
        ExternalName = "ExternalName",
    }
    #[derive(Default)]
    AddressType {
        #[default]
        Ipv4 = "IPv4",
        Ipv6 = "IPv6",
        Fqdn = "FQDN",
    }
}

impl ServiceSpec {
    /// The type, `ClusterIP` by default.
    pub fn kind(&self) -> ServiceType {
        self.kind.unwrap_or(ServiceType::ClusterIp)
    }

    /// Says whether the Service has no address of its own.
    pub fn is_headless(&self) -> bool {
        self.cluster_ip == "None"
    }
}

impl ServicePort {
    /// The protocol, TCP by default.
    pub fn protocol(&self) -> Protocol {
        self.protocol.unwrap_or(Protocol::Tcp)
    }

    /// The target port; the port itself by default.
    pub fn target(&self) -> IntOrString {
        match &self.target_port {
            Some(IntOrString::Int(0)) | None => IntOrString::Int(self.port),
            Some(target) => target.clone(),
        }
    }
}
