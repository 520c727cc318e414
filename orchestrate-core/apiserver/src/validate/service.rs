//! Services and EndpointSlices.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::{meta, pod};
use crate::status::Problem;
use crate::value::{at, int, list, text};

/// The rules of a Service.
pub(super) fn check(object: &Value, out: &mut Vec<Problem>) {
    let spec = &object["spec"];
    let kind = text(spec, &["type"]);
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kinds.contains(&kind) {
        out.push(Problem::unsupported("spec.type", &kind.into(), &kinds));
    }
    let headless = text(spec, &["clusterIP"]) == "None";
    if headless && matches!(kind, "NodePort" | "LoadBalancer") {
        let why = format!("may not be set to 'None' for {kind} services");
        out.push(Problem::invalid("spec.clusterIPs[0]", &"None".into(), &why));
    }
    if kind == "ExternalName" && text(spec, &["externalName"]).is_empty() {
        out.push(Problem::required("spec.externalName", ""));
    }
    meta::labels(at(spec, &["selector"]), "spec.selector", out);
    let ports = list(spec, &["ports"]);
    if ports.is_empty() && !headless && kind != "ExternalName" {
        out.push(Problem::required("spec.ports", ""));
    }
    check_ports(ports, out);
    for (index, address) in list(spec, &["externalIPs"]).iter().enumerate() {
        if address.as_str().is_none_or(|text| text.parse::<IpAddr>().is_err()) {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            out.push(Problem::invalid(format!("spec.externalIPs[{index}]"), address, why));
        }
    }
    let affinity = text(spec, &["sessionAffinity"]);
    if !matches!(affinity, "ClientIP" | "None") {
        out.push(Problem::unsupported("spec.sessionAffinity", &affinity.into(), &["ClientIP", "None"]));
    }
}

fn check_ports(ports: &[Value], out: &mut Vec<Problem>) {
    let (mut names, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = text(port, &["name"]);
        if name.is_empty() && ports.len() > 1 {
            out.push(Problem::required(format!("{path}.name"), ""));
        } else if !name.is_empty() {
            if let Some(problem) = meta::label_name(name) {
                out.push(Problem::invalid(format!("{path}.name"), &name.into(), &problem));
            }
            if !names.insert(name) {
                out.push(Problem::duplicate(format!("{path}.name"), &name.into()));
            }
        }
        pod::port_number(&port["port"], &format!("{path}.port"), out);
        match &port["targetPort"] {
            Value::String(name) => pod::port_name(name, &format!("{path}.targetPort"), out),
            number => pod::port_number(number, &format!("{path}.targetPort"), out),
        }
        let protocol = text(port, &["protocol"]);
        if !matches!(protocol, "SCTP" | "TCP" | "UDP") {
            let allowed = ["SCTP", "TCP", "UDP"];
            out.push(Problem::unsupported(format!("{path}.protocol"), &protocol.into(), &allowed));
        }
        if !pairs.insert((int(port, &["port"]), protocol)) {
            let shown = serde_json::json!({ "port": port["port"], "protocol": protocol });
            out.push(Problem::duplicate(path, &shown));
        }
    }
}

/// A cluster address stays, as long as the kind of Service needs one.
pub(super) fn update(old: &Value, new: &Value, out: &mut Vec<Problem>) {
    let address = |service: &Value| text(service, &["spec", "clusterIP"]).to_owned();
    let named = |service: &Value| text(service, &["spec", "type"]) == "ExternalName";
    if !named(old) && !named(new) && address(old) != address(new) {
        let value = &new["spec"]["clusterIPs"];
        out.push(Problem::invalid("spec.clusterIPs[0]", value, "may not change once set"));
    }
}

/// The rules of an EndpointSlice.
pub(super) fn slice(object: &Value, out: &mut Vec<Problem>) {
    let kind = text(object, &["addressType"]);
    let kinds = ["FQDN", "IPv4", "IPv6"];
    if kind.is_empty() {
        out.push(Problem::required("addressType", ""));
    } else if !kinds.contains(&kind) {
        out.push(Problem::unsupported("addressType", &kind.into(), &kinds));
    }
    for (index, endpoint) in list(object, &["endpoints"]).iter().enumerate() {
        let addresses = list(endpoint, &["addresses"]);
        if addresses.is_empty() {
            out.push(Problem::required(format!("endpoints[{index}].addresses"), "must contain at least 1 address"));
        }
        for (number, address) in addresses.iter().enumerate() {
            let fine = match (kind, address.as_str().map(str::parse::<IpAddr>)) {
                ("IPv4", Some(Ok(address))) => address.is_ipv4(),
                ("IPv6", Some(Ok(address))) => address.is_ipv6(),
                (other, _) => other == "FQDN",
            };
            if !fine {
                let path = format!("endpoints[{index}].addresses[{number}]");
                out.push(Problem::invalid(path, address, "must be a valid IP address of the slice's family"));
            }
        }
    }
}
