//! Addresses and ports that the server hands out to Services.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::path::Target;
use crate::server::ApiServer;
use crate::status::{Problem, Status};
use crate::store::Key;
use crate::value::{at, carry, int, list, remove, set, text};

impl ApiServer {
    /// Gives a new or changed Service its cluster address and node ports.
    pub(super) fn allocate(&mut self, target: &Target, object: &mut Value, old: Option<&Value>) -> Result<(), Status> {
        if !target.resource.is("Service") {
            return Ok(());
        }
        let kind = text(object, &["spec", "type"]).to_owned();
        if kind == "ExternalName" {
            remove(object, &["spec", "clusterIP"]);
            remove(object, &["spec", "clusterIPs"]);
            return Ok(());
        }
        if let Some(old) = old
            && text(object, &["spec", "clusterIP"]).is_empty()
        {
            carry(old, object, &["spec", "clusterIP"]);
        }
        let own = Key::of(object);
        match text(object, &["spec", "clusterIP"]) {
            "None" => {}
            "" => {
                let address = self.free_address(target)?.to_string();
                set(object, &["spec", "clusterIP"], address);
            }
            given => self.check_address(target, &own, given)?,
        }
        let address = object["spec"]["clusterIP"].clone();
        set(object, &["spec", "clusterIPs"], json!([address]));
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            self.node_ports(target, object, old)?;
        } else if let Some(Value::Array(ports)) = object.get_mut("spec").and_then(|s| s.get_mut("ports")) {
            for port in ports {
                remove(port, &["nodePort"]);
            }
        }
        Ok(())
    }

    fn used_addresses(&self, target: &Target, except: Option<&Key>) -> BTreeSet<String> {
        let services = self.store.list(target.resource.store, "");
        services
            .filter(|service| except.is_none_or(|key| Key::of(service) != *key))
            .map(|service| text(service, &["spec", "clusterIP"]).to_owned())
            .collect()
    }

    fn free_address(&mut self, target: &Target) -> Result<Ipv4Addr, Status> {
        let used = self.used_addresses(target, None);
        let size = 1_u64 << (32 - u32::from(self.config.service_prefix.clamp(1, 30)));
        let base = u32::from(self.config.service_base);
        let start = self.random.below(size - 2);
        let candidates = (0..size - 2).map(|step| 1 + (start + step) % (size - 2));
        let mut addresses = candidates.map(|offset| Ipv4Addr::from(base.wrapping_add(offset as u32)));
        addresses
            .find(|address| !used.contains(&address.to_string()))
            .ok_or_else(|| Status::internal("failed to allocate a serviceIP: range is full"))
    }

    fn check_address(&self, target: &Target, own: &Key, given: &str) -> Result<(), Status> {
        let problem = |why: &str| {
            let problem = Problem::invalid("spec.clusterIPs", &json!([given]), why);
            Err(Status::invalid(target.resource, &own.name, &[problem]))
        };
        let Ok(address) = given.parse::<Ipv4Addr>() else {
            return problem("must be a valid IP address");
        };
        let shift = 32 - u32::from(self.config.service_prefix.clamp(1, 30));
        if u32::from(address) >> shift != u32::from(self.config.service_base) >> shift {
            let range = format!("{}/{}", self.config.service_base, self.config.service_prefix);
            let why = format!(
                "failed to allocate IP {given}: the provided IP ({given}) is not in the valid range. \
                The range of valid IPs is {range}"
            );
            return problem(&why);
        }
        if self.used_addresses(target, Some(own)).contains(given) {
            return problem(&format!("failed to allocate IP {given}: provided IP is already allocated"));
        }
        Ok(())
    }

    fn node_ports(&mut self, target: &Target, object: &mut Value, old: Option<&Value>) -> Result<(), Status> {
        let own = Key::of(object);
        let services = self.store.list(target.resource.store, "");
        let others = services.filter(|service| Key::of(service) != own);
        let mut used: BTreeSet<i64> = others
            .flat_map(|service| list(service, &["spec", "ports"]).iter().map(|port| int(port, &["nodePort"])))
            .filter(|port| *port > 0)
            .collect();
        let opted_out = text(object, &["spec", "type"]) == "LoadBalancer"
            && at(object, &["spec", "allocateLoadBalancerNodePorts"]) == Some(&Value::Bool(false));
        let before: Vec<Value> = old.map(|old| list(old, &["spec", "ports"]).to_vec()).unwrap_or_default();
        let (first, last) = self.config.node_ports;
        let count = u64::from(last.saturating_sub(first)) + 1;
        let start = self.random.below(count);
        let ports = object.get_mut("spec").and_then(|s| s.get_mut("ports")).and_then(Value::as_array_mut);
        for (index, port) in ports.into_iter().flatten().enumerate() {
            if int(port, &["nodePort"]) == 0
                && let Some(kept) =
                    before.iter().find(|p| p["port"] == port["port"] && p["protocol"] == port["protocol"])
            {
                carry(kept, port, &["nodePort"]);
            }
            let given = int(port, &["nodePort"]);
            if given > 0 && !used.insert(given) {
                let path = format!("spec.ports[{index}].nodePort");
                let problem = Problem::invalid(path, &given.into(), "provided port is already allocated");
                return Err(Status::invalid(target.resource, &own.name, &[problem]));
            }
            if given == 0 && !opted_out {
                let candidates = (0..count).map(|step| i64::from(first) + ((start + step) % count) as i64);
                let free = candidates.into_iter().find(|port| !used.contains(port));
                let free = free.ok_or_else(|| Status::internal("failed to allocate a nodePort: range is full"))?;
                used.insert(free);
                set(port, &["nodePort"], free);
            }
        }
        Ok(())
    }
}
