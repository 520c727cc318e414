//! The Node object and the lease with which a node says that it lives.

use apiserver::{PatchKind, Request, Status};
use orchestrate_core::objects::{Kind, Quantity};
use orchestrate_core::time::MicroTime;
use serde_json::{Value, json};

use super::clock;
use crate::inside::hub::Hub;

/// What a node is, before it has said a word.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// `node-1`.
    pub(crate) name: String,
    /// Its address in the cluster's network.
    pub(crate) address: std::net::Ipv4Addr,
    /// Its pods' range, as `10.244.1.0/24`.
    pub(crate) pod_cidr: String,
    /// Processor time for pods.
    pub(crate) cpu: Quantity,
    /// Memory for pods.
    pub(crate) memory: Quantity,
}

/// How many pods a node takes.
const PODS: i64 = 110;

/// Registers the node, or says that it is back.
pub(crate) fn register(hub: &Hub, node: &Identity) -> Result<(), Status> {
    let path = format!("/api/v1/nodes/{}", node.name);
    if hub.call(&Request::get(path.as_str())).is_err() {
        let labels = json!({"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture()});
        let spec = json!({"podCIDR": node.pod_cidr, "podCIDRs": [node.pod_cidr]});
        let object = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": node.name, "labels": labels}, "spec": spec});
        hub.call(&Request::post("/api/v1/nodes", object))?;
    }
    let patch = Request::patch(format!("{path}/status"), PatchKind::Merge, json!({"status": status(node)}));
    hub.call(&patch)?;
    renew(hub, &node.name)
}

/// Renews the lease.
pub(crate) fn renew(hub: &Hub, name: &str) -> Result<(), Status> {
    let collection = format!("/apis/{}/namespaces/kube-node-lease/leases", Kind::Lease.api_version());
    let spec = json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": MicroTime(clock::now())});
    let patch = Request::patch(format!("{collection}/{name}"), PatchKind::Merge, json!({"spec": spec}));
    match hub.call(&patch) {
        Err(status) if status.code == 404 => {
            let object = json!({"apiVersion": Kind::Lease.api_version(), "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec});
            hub.call(&Request::post(collection, object)).map(drop)
        }
        other => other.map(drop),
    }
}

fn status(node: &Identity) -> Value {
    let amounts = json!({"cpu": node.cpu, "memory": node.memory, "pods": Quantity::new(PODS)});
    let now = clock::now();
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        json!({"type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let kernel = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    json!({
        "capacity": amounts, "allocatable": amounts,
        "addresses": [{"type": "InternalIP", "address": node.address.to_string()},
            {"type": "Hostname", "address": node.name}],
        "nodeInfo": {"architecture": architecture(), "operatingSystem": "linux", "kernelVersion": kernel.unwrap_or_default(),
            "osImage": "mini-cluster", "containerRuntimeVersion": concat!("container-core://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": concat!("v1.33.0-mini-cluster-", env!("CARGO_PKG_VERSION")), "machineID": node.name,
            "systemUUID": node.name, "bootID": node.name, "kubeProxyVersion": ""},
        "conditions": [
            condition("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", true, "KubeletReady", "the node agent is ready"),
        ],
    })
}

const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}
