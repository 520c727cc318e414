//! Rows of the core group.

use serde_json::Value;

use super::{age, name, or_none};
use crate::time::{Millis, human_duration, parse_rfc3339};
use crate::value::{at, flag, int, list, map, text};

/// What the status column of a pod says, and the figures beside it.
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Millis>,
}

fn is_sidecar(pod: &Value, container: &str) -> bool {
    list(pod, &["spec", "initContainers"])
        .iter()
        .any(|c| text(c, &["name"]) == container && text(c, &["restartPolicy"]) == "Always")
}

fn ended(state: &Value) -> Option<String> {
    let end = at(state, &["terminated"])?;
    Some(match (text(end, &["reason"]), int(end, &["signal"])) {
        ("", 0) => format!("ExitCode:{}", int(end, &["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    })
}

fn condition(pod: &Value, kind: &str) -> bool {
    list(pod, &["status", "conditions"]).iter().any(|c| c["type"] == kind && c["status"] == "True")
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let phase = text(pod, &["status", "phase"]);
        let reason = text(pod, &["status", "reason"]);
        let sidecars = list(pod, &["spec", "initContainers"]).iter().filter(|c| c["restartPolicy"] == "Always").count();
        let mut summary = Self {
            reason: if reason.is_empty() { phase } else { reason }.to_owned(),
            ready: 0,
            total: list(pod, &["spec", "containers"]).len() + sidecars,
            restarts: 0,
            last_restart: None,
        };
        let gated = list(pod, &["status", "conditions"]).iter().any(|c| c["reason"] == "SchedulingGated");
        if gated {
            "SchedulingGated".clone_into(&mut summary.reason);
        }
        let initializing = summary.init_containers(pod);
        if !initializing || condition(pod, "Initialized") {
            summary.containers(pod);
        }
        if at(pod, &["metadata", "deletionTimestamp"]).is_some() {
            if reason == "NodeLost" {
                "Unknown".clone_into(&mut summary.reason);
            } else if phase != "Succeeded" && phase != "Failed" {
                "Terminating".clone_into(&mut summary.reason);
            }
        }
        summary
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += int(status, &["restartCount"]);
        let finished = parse_rfc3339(text(status, &["lastState", "terminated", "finishedAt"]));
        self.last_restart = self.last_restart.max(finished);
    }

    /// Tells whether an init container still holds the pod up.
    fn init_containers(&mut self, pod: &Value) -> bool {
        let total = list(pod, &["spec", "initContainers"]).len();
        for (index, status) in list(pod, &["status", "initContainerStatuses"]).iter().enumerate() {
            self.count_restarts(status);
            let state = &status["state"];
            if at(state, &["terminated"]).is_some_and(|end| int(end, &["exitCode"]) == 0) {
                continue;
            }
            if is_sidecar(pod, text(status, &["name"])) && flag(status, &["started"]) {
                self.ready += usize::from(flag(status, &["ready"]));
                continue;
            }
            let waiting = text(state, &["waiting", "reason"]);
            self.reason = match ended(state) {
                Some(end) => format!("Init:{end}"),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{index}/{total}"),
            };
            return true;
        }
        false
    }

    fn containers(&mut self, pod: &Value) {
        self.restarts = 0;
        self.last_restart = None;
        for status in list(pod, &["status", "initContainerStatuses"]) {
            if is_sidecar(pod, text(status, &["name"])) {
                self.count_restarts(status);
            }
        }
        let mut running = false;
        for status in list(pod, &["status", "containerStatuses"]).iter().rev() {
            self.count_restarts(status);
            let state = &status["state"];
            let waiting = text(state, &["waiting", "reason"]);
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if let Some(end) = ended(state) {
                self.reason = end;
            } else if flag(status, &["ready"]) && at(state, &["running"]).is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = condition(pod, "Ready");
            if ready { "Running" } else { "NotReady" }.clone_into(&mut self.reason);
        }
    }
}

pub(super) fn pod(object: &Value, now: Millis) -> Vec<Value> {
    let summary = Summary::of(object);
    let restarts = match summary.last_restart {
        Some(last) if summary.restarts > 0 => format!("{} ({} ago)", summary.restarts, human_duration(now - last)),
        _ => summary.restarts.to_string(),
    };
    let gates = list(object, &["spec", "readinessGates"]);
    let met = gates.iter().filter(|gate| condition(object, text(gate, &["conditionType"]))).count();
    let ip = list(object, &["status", "podIPs"]).first().map_or("", |ip| text(ip, &["ip"]));
    vec![
        name(object),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age(object, now),
        or_none(if ip.is_empty() { text(object, &["status", "podIP"]) } else { ip }).into(),
        or_none(text(object, &["spec", "nodeName"])).into(),
        or_none(text(object, &["status", "nominatedNodeName"])).into(),
        if gates.is_empty() { "<none>".into() } else { format!("{met}/{}", gates.len()).into() },
    ]
}

fn external(service: &Value) -> String {
    let own: Vec<_> = list(service, &["spec", "externalIPs"]).iter().filter_map(Value::as_str).collect();
    let kind = text(service, &["spec", "type"]);
    if kind == "ExternalName" {
        return text(service, &["spec", "externalName"]).to_owned();
    }
    let ingress = list(service, &["status", "loadBalancer", "ingress"]).iter();
    let balanced: Vec<_> = ingress
        .map(|i| if text(i, &["ip"]).is_empty() { text(i, &["hostname"]) } else { text(i, &["ip"]) })
        .filter(|_| kind == "LoadBalancer")
        .collect();
    match (balanced.is_empty(), own.is_empty()) {
        (true, true) => if kind == "LoadBalancer" { "<pending>" } else { "<none>" }.to_owned(),
        _ => balanced.into_iter().chain(own).collect::<Vec<_>>().join(","),
    }
}

pub(super) fn service(object: &Value, now: Millis) -> Vec<Value> {
    let ports: Vec<String> = list(object, &["spec", "ports"])
        .iter()
        .map(|port| {
            let (number, protocol) = (int(port, &["port"]), text(port, &["protocol"]));
            match int(port, &["nodePort"]) {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    vec![
        name(object),
        text(object, &["spec", "type"]).into(),
        or_none(text(object, &["spec", "clusterIP"])).into(),
        external(object).into(),
        or_none(&ports.join(",")).into(),
        age(object, now),
        labels(at(object, &["spec", "selector"])).into(),
    ]
}

/// Labels as `a=b,c=d`, in order.
pub(crate) fn labels(value: Option<&Value>) -> String {
    let mut pairs: Vec<String> = value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    pairs.sort();
    or_none(&pairs.join(",")).to_owned()
}

/// The roles that a node's labels name.
pub(crate) fn roles(node: &Value) -> String {
    let labels = map(node, &["metadata", "labels"]).into_iter().flatten();
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    or_none(&roles.join(",")).to_owned()
}

pub(super) fn node(object: &Value, now: Millis) -> Vec<Value> {
    let ready = list(object, &["status", "conditions"]).iter().find(|c| c["type"] == "Ready");
    let mut status = match ready {
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if flag(object, &["spec", "unschedulable"]) {
        status.push_str(",SchedulingDisabled");
    }
    let address = |kind: &str| {
        let found = list(object, &["status", "addresses"]).iter().find(|a| a["type"] == kind);
        or_none(found.map_or("", |a| text(a, &["address"]))).to_owned()
    };
    let info = |field: &str| match text(object, &["status", "nodeInfo", field]) {
        "" => "<unknown>".to_owned(),
        text => text.to_owned(),
    };
    vec![
        name(object),
        status.into(),
        roles(object).into(),
        age(object, now),
        text(object, &["status", "nodeInfo", "kubeletVersion"]).into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        info("osImage").into(),
        info("kernelVersion").into(),
        info("containerRuntimeVersion").into(),
    ]
}

/// At most three, then how many more.
fn few(all: &[String]) -> String {
    match all.len() {
        0 => "<unset>".to_owned(),
        1..=3 => all.join(","),
        count => format!("{} + {} more...", all[..3].join(","), count - 3),
    }
}

pub(super) fn endpoint_slice(object: &Value, now: Millis) -> Vec<Value> {
    let ports: Vec<String> = list(object, &["ports"])
        .iter()
        .map(|port| match at(port, &["port"]) {
            Some(number) => number.to_string(),
            None => "*".to_owned(),
        })
        .collect();
    let endpoints = list(object, &["endpoints"]).iter();
    let addresses: Vec<String> =
        endpoints.flat_map(|e| list(e, &["addresses"]).iter().filter_map(Value::as_str).map(str::to_owned)).collect();
    vec![
        name(object),
        text(object, &["addressType"]).into(),
        few(&ports).into(),
        few(&addresses).into(),
        age(object, now),
    ]
}

fn count(object: &Value, fields: &[&str]) -> Value {
    let size = |field: &&str| match at(object, &[field]) {
        Some(Value::Object(map)) => map.len(),
        Some(Value::Array(items)) => items.len(),
        _ => 0,
    };
    fields.iter().map(size).sum::<usize>().to_string().into()
}

pub(super) fn simple(kind: &str, object: &Value, now: Millis) -> Vec<Value> {
    let mut cells = vec![name(object)];
    match kind {
        "Namespace" => cells.push(text(object, &["status", "phase"]).into()),
        "Secret" => cells.extend([text(object, &["type"]).into(), count(object, &["data"])]),
        "ConfigMap" => cells.push(count(object, &["data", "binaryData"])),
        "Lease" => cells.push(text(object, &["spec", "holderIdentity"]).into()),
        "ServiceAccount" => cells.push(count(object, &["secrets"])),
        "PodDisruptionBudget" => {
            let bound = |field: &str| match at(object, &["spec", field]) {
                Some(Value::String(text)) => Value::from(text.as_str()),
                Some(other) => other.to_string().into(),
                None => "N/A".into(),
            };
            cells.extend([bound("minAvailable"), bound("maxUnavailable")]);
            cells.push(int(object, &["status", "disruptionsAllowed"]).into());
        }
        _ => {}
    }
    cells.push(age(object, now));
    cells
}
