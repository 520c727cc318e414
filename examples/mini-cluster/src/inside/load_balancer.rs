//! The cluster's load balancer: makes the address that the control loop gave a Service reachable from the host.
//!
//! The EXTERNAL-IP is an address in the cluster's own network namespace; the rules treat it as the Service's other
//! address. The outside half is asked for a host port on 127.0.0.1 that leads there; the answer becomes an annotation
//! of the Service, so that everyone can read it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use apiserver::{PatchKind, Request};
use orchestrate_core::Object;
use orchestrate_core::objects::{Service, ServiceType};
use serde_json::json;

use super::hub::{Hub, Seen};
use crate::link::{Result2, Sender, ToOutside};

/// The annotation with the host's address that leads to the Service.
const FORWARDED: &str = "mini-cluster/forwarded";

/// What the outside half was asked for.
#[derive(Debug)]
pub(super) struct LoadBalancer {
    hub: Hub,
    outside: Arc<Sender>,
    cursor: Option<u64>,
    asked: BTreeMap<String, SocketAddrV4>,
}

impl LoadBalancer {
    pub(super) fn new(hub: Hub, outside: Arc<Sender>) -> Self {
        Self { hub, outside, cursor: None, asked: BTreeMap::new() }
    }

    /// Looks at what changed among the Services.
    pub(super) fn sync(&mut self) {
        for seen in self.hub.changes(&mut self.cursor, &["Service"]) {
            let (object, gone) = match seen {
                Seen::Is(object) => (object, false),
                Seen::Gone(object) => (object, true),
            };
            let Object::Service(service) = *object else { continue };
            let key = format!("{}/{}", service.metadata.namespace, service.metadata.name);
            // Without an outside half there is nobody to ask, and soon nobody who asks.
            let wanted = address(&service).filter(|_| !gone);
            if self.asked.get(&key) == wanted.as_ref() {
                continue;
            }
            let order = match wanted {
                Some(address) => {
                    self.asked.insert(key.clone(), address);
                    ToOutside::Forward { service: key, address }
                }
                None => {
                    self.asked.remove(&key);
                    ToOutside::Unforward { service: key }
                }
            };
            let _ = self.outside.send(&order);
        }
    }
}

/// The balanced address and first port of a Service, once it has them.
fn address(service: &Service) -> Option<SocketAddrV4> {
    let ip: Ipv4Addr = service.status.load_balancer.ingress.first()?.ip.parse().ok()?;
    let port = u16::try_from(service.spec.ports.first()?.port).ok()?;
    (service.spec.kind() == ServiceType::LoadBalancer).then(|| SocketAddrV4::new(ip, port))
}

/// Writes down where a Service is reached from the host.
pub(super) fn forwarded(hub: &Hub, service: &str, outcome: &Result2<u16>) {
    let Some((namespace, name)) = service.split_once('/') else { return };
    let text = match outcome {
        Ok(port) => format!("http://127.0.0.1:{port}/"),
        Err(problem) => format!("not forwarded: {problem}"),
    };
    let patch = json!({"metadata": {"annotations": {FORWARDED: text}}});
    let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
    // A Service that has gone in the meantime needs no note.
    let _ = hub.call(&Request::patch(path, PatchKind::Merge, patch));
}
