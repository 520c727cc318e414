//! Nodes and their heartbeats (leases).
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use super::container::Resources;
use super::meta::{Condition, ObjectMeta};
use super::placement::Taint;
use super::wire::wire;
use crate::time::MicroTime;

wire! {
    /// A machine that runs pods.
    Node {
        metadata: ObjectMeta,
        spec: NodeSpec,
        status: NodeStatus,
    }
    NodeSpec {
        #[serde(rename = "podCIDR")]
        pod_cidr: String,
        #[serde(rename = "podCIDRs")]
        pod_cidrs: Vec<String>,
        #[serde(rename = "providerID")]
        provider_id: String,
        unschedulable: bool,
        taints: Vec<Taint>,
    }
    NodeStatus {
        capacity: Resources,
        allocatable: Resources,
        phase: String,
        conditions: Vec<Condition>,
        addresses: Vec<NodeAddress>,
        node_info: NodeInfo,
        images: Vec<NodeImage>,
    }
    NodeAddress {} + always {
        #[serde(rename = "type")]
        kind: String,
        address: String,
    }
    NodeImage {
        names: Vec<String>,
        size_bytes: i64,
    }
    NodeInfo {
        architecture: String,
        #[serde(rename = "bootID")]
        boot_id: String,
        container_runtime_version: String,
        kernel_version: String,
        kube_proxy_version: String,
        kubelet_version: String,
        #[serde(rename = "machineID")]
        machine_id: String,
        operating_system: String,
        os_image: String,
        #[serde(rename = "systemUUID")]
        system_uuid: String,
    }
    /// A heartbeat with a holder (group `coordination.k8s.io/v1`); nodes renew theirs in `kube-node-lease`.
    Lease {
        metadata: ObjectMeta,
        spec: LeaseSpec,
    }
    LeaseSpec {
        holder_identity: Option<String>,
        lease_duration_seconds: Option<i32>,
        acquire_time: Option<MicroTime>,
        renew_time: Option<MicroTime>,
        lease_transitions: Option<i32>,
    }
}

impl Node {
    /// The first address of this type (`InternalIP`, `Hostname`…).
    pub fn address(&self, kind: &str) -> Option<&str> {
        self.status.addresses.iter().find(|a| a.kind == kind).map(|a| a.address.as_str())
    }
}
