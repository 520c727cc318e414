//! `describe`: what matters of an object for people, and the events about it.

use std::fmt::Write;

use serde_json::Value;

use super::kinds::{self, Kind};
use crate::client::Client;
use crate::error::{Error, Result};

pub(super) fn describe(client: &Client, namespace: &str, what: &[String]) -> Result<()> {
    let mut first = true;
    for named in kinds::parse(what)? {
        let objects = match &named.name {
            Some(name) => vec![client.get(&kinds::path(named.kind, namespace, name))?],
            None => items(&client.get(&kinds::collection(named.kind, namespace))?).to_vec(),
        };
        for object in objects {
            if !std::mem::take(&mut first) {
                println!("\n");
            }
            let events = events(client, named.kind, &object)?;
            print!("{}", text(named.kind, &object, &events));
        }
    }
    if first {
        return Err(Error::Input { subject: "error".into(), problem: format!("nothing to describe in {namespace}") });
    }
    Ok(())
}

fn events(client: &Client, kind: Kind, object: &Value) -> Result<Vec<Value>> {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let selector = apiserver::encode(&format!("involvedObject.uid={uid}"));
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let list =
        client.get(&format!("{}?fieldSelector={selector}", kinds::collection(kinds::kind("events")?, namespace)))?;
    // Nodes are named by their name where their uid is not known to the one who reported.
    let name = &object["metadata"]["name"];
    let about = |event: &&Value| {
        let involved = &event["involvedObject"];
        involved["kind"] == kind.kind && involved["name"] == *name
    };
    Ok(items(&list).iter().filter(about).cloned().collect())
}

fn text(kind: Kind, object: &Value, events: &[Value]) -> String {
    let mut out = String::new();
    let meta = &object["metadata"];
    line(&mut out, "Name", &plain(&meta["name"]));
    if kind.namespaced {
        line(&mut out, "Namespace", &plain(&meta["namespace"]));
    }
    pairs(&mut out, "Labels", &meta["labels"]);
    pairs(&mut out, "Annotations", &meta["annotations"]);
    line(&mut out, "CreationTimestamp", &plain(&meta["creationTimestamp"]));
    if let Some(owner) = meta["ownerReferences"].get(0) {
        line(&mut out, "Controlled By", &format!("{}/{}", plain(&owner["kind"]), plain(&owner["name"])));
    }
    if !meta["deletionTimestamp"].is_null() {
        line(&mut out, "Status", &format!("Terminating (since {})", plain(&meta["deletionTimestamp"])));
    }
    match kind.kind {
        "Pod" => pod(&mut out, object),
        "Deployment" => deployment(&mut out, object),
        "Service" => service(&mut out, object),
        "Node" => node(&mut out, object),
        _ => rest(&mut out, object),
    }
    conditions(&mut out, object);
    event_table(&mut out, events);
    out
}

fn pod(out: &mut String, pod: &Value) {
    line(out, "Node", &or_none(&pod["spec"]["nodeName"]));
    line(out, "Status", &plain(&pod["status"]["phase"]));
    line(out, "IP", &or_none(&pod["status"]["podIP"]));
    let _ = writeln!(out, "Containers:");
    let statuses = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        let status = statuses.iter().find(|status| status["name"] == container["name"]).cloned().unwrap_or_default();
        let _ = writeln!(out, "  {}:", plain(&container["name"]));
        for (label, value) in [
            ("Container ID", or_none(&status["containerID"])),
            ("Image", plain(&container["image"])),
            ("Image ID", or_none(&status["imageID"])),
            ("State", state(&status["state"])),
            ("Last State", state(&status["lastState"])),
            ("Ready", plain(&status["ready"])),
            ("Restart Count", plain(&status["restartCount"])),
        ] {
            if !value.is_empty() {
                let _ = writeln!(out, "    {:<16}{value}", format!("{label}:"));
            }
        }
    }
}

fn state(state: &Value) -> String {
    let Some((name, detail)) = state.as_object().and_then(|map| map.iter().next()) else { return String::new() };
    let known = ["reason", "message", "exitCode", "startedAt", "finishedAt"].iter().filter_map(|field| {
        let value = plain(&detail[*field]);
        (!value.is_empty()).then(|| format!("{field}: {value}"))
    });
    let known: Vec<String> = known.collect();
    let name = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    if known.is_empty() { name } else { format!("{name} ({})", known.join(", ")) }
}

fn deployment(out: &mut String, deployment: &Value) {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    pairs(out, "Selector", &spec["selector"]["matchLabels"]);
    let count = |name: &str| status[name].as_i64().unwrap_or(0);
    let counts = format!(
        "{} desired | {} updated | {} total | {} available | {} unavailable",
        spec["replicas"].as_i64().unwrap_or(1),
        count("updatedReplicas"),
        count("replicas"),
        count("availableReplicas"),
        count("unavailableReplicas")
    );
    line(out, "Replicas", &counts);
    line(out, "StrategyType", &plain(&spec["strategy"]["type"]));
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        let surge =
            format!("{} max unavailable, {} max surge", plain(&rolling["maxUnavailable"]), plain(&rolling["maxSurge"]));
        line(out, "RollingUpdateStrategy", &surge);
    }
    let images = spec["template"]["spec"]["containers"].as_array().into_iter().flatten();
    let images = images.map(|one| format!("{}={}", plain(&one["name"]), plain(&one["image"])));
    line(out, "Images", &images.collect::<Vec<_>>().join(", "));
}

fn service(out: &mut String, service: &Value) {
    let spec = &service["spec"];
    pairs(out, "Selector", &spec["selector"]);
    line(out, "Type", &plain(&spec["type"]));
    line(out, "IP", &or_none(&spec["clusterIP"]));
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    let ingress: Vec<String> = ingress.map(|one| plain(&one["ip"])).collect();
    if !ingress.is_empty() {
        line(out, "LoadBalancer Ingress", &ingress.join(", "));
    }
    for port in spec["ports"].as_array().into_iter().flatten() {
        line(out, "Port", &format!("{} {}/{}", or_none(&port["name"]), plain(&port["port"]), plain(&port["protocol"])));
        line(out, "TargetPort", &plain(&port["targetPort"]));
    }
}

fn node(out: &mut String, node: &Value) {
    line(out, "PodCIDR", &or_none(&node["spec"]["podCIDR"]));
    line(out, "Unschedulable", if node["spec"]["unschedulable"] == true { "true" } else { "false" });
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let taints: Vec<String> =
        taints.map(|taint| format!("{}:{}", plain(&taint["key"]), plain(&taint["effect"]))).collect();
    line(out, "Taints", &if taints.is_empty() { "<none>".to_owned() } else { taints.join(", ") });
    pairs(out, "Allocatable", &node["status"]["allocatable"]);
}

fn rest(out: &mut String, object: &Value) {
    for (name, value) in object.as_object().into_iter().flatten() {
        if !["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
            let _ = writeln!(out, "{name}:");
            for text in apiserver::yaml::to_text(value).lines() {
                let _ = writeln!(out, "  {text}");
            }
        }
    }
}

fn conditions(out: &mut String, object: &Value) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    if conditions.is_empty() {
        return;
    }
    let _ = writeln!(out, "Conditions:\n  {:<20} {:<8} {:<28} Message", "Type", "Status", "Reason");
    for condition in conditions {
        let (kind, status) = (plain(&condition["type"]), plain(&condition["status"]));
        let (reason, message) = (plain(&condition["reason"]), plain(&condition["message"]));
        let text = format!("  {kind:<20} {status:<8} {reason:<28} {message}");
        let _ = writeln!(out, "{}", text.trim_end());
    }
}

fn event_table(out: &mut String, events: &[Value]) {
    if events.is_empty() {
        let _ = writeln!(out, "Events:              <none>");
        return;
    }
    let _ = writeln!(out, "Events:\n  {:<8} {:<20} {:<6} {:<24} Message", "Type", "Reason", "Count", "From");
    for event in events {
        let from = [&event["source"]["component"], &event["reportingComponent"]];
        let from = from.into_iter().map(plain).find(|text| !text.is_empty()).unwrap_or_default();
        let (kind, reason, message) = (plain(&event["type"]), plain(&event["reason"]), plain(&event["message"]));
        let count = event["count"].as_i64().unwrap_or(1);
        let _ = writeln!(out, "  {kind:<8} {reason:<20} {count:<6} {from:<24} {message}");
    }
}

fn line(out: &mut String, label: &str, value: &str) {
    let _ = writeln!(out, "{:<20} {value}", format!("{label}:"));
}

fn pairs(out: &mut String, label: &str, map: &Value) {
    let shown = map.as_object().into_iter().flatten().filter(|(key, _)| !key.ends_with("last-applied-configuration"));
    let mut shown = shown.map(|(key, value)| format!("{key}={}", plain(value)));
    line(out, label, &shown.next().unwrap_or_else(|| "<none>".to_owned()));
    for more in shown {
        let _ = writeln!(out, "{:<20} {more}", "");
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn or_none(value: &Value) -> String {
    let text = plain(value);
    if text.is_empty() { "<none>".to_owned() } else { text }
}

fn items(list: &Value) -> &[Value] {
    list.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_told_with_its_events() {
        let pod = json!({
            "metadata": {"name": "web-1", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "my-app:1.0.0"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "app", "ready": true, "restartCount": 1,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]},
        });
        let events = [json!({"type": "Normal", "reason": "Started", "message": "Started container app"})];
        let text = text(kinds::kind("pods").unwrap(), &pod, &events);
        for wanted in [
            "Name:                web-1\n",
            "app=web\n",
            "Running (startedAt: 2026-01-01T00:00:00Z)",
            "Started container app",
        ] {
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
    }
}
