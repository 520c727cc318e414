//! Containers, with their state where they have one; also inside a pod template.

use serde_json::Value;

use super::Tabs;
use super::common::{moment, or_none, plain};
use crate::value::{at, flag, int, list, map, text};

/// The containers of a pod or template. `inside` says that they stand in a template.
pub(super) fn containers(tabs: &mut Tabs, title: &str, all: &[Value], statuses: &[Value], pod: &Value, inside: bool) {
    let none = if all.is_empty() { " <none>" } else { "" };
    tabs.line(0, &format!("{}{title}:{none}", if inside { "  " } else { "" }));
    for container in all {
        let name = text(container, &["name"]);
        let status = statuses.iter().find(|status| status["name"] == name);
        tabs.line(1, &format!("{}{name}:", if inside { " " } else { "" }));
        basics(tabs, container, status);
        words(tabs, "Command", list(container, &["command"]));
        words(tabs, "Args", list(container, &["args"]));
        if let Some(status) = status {
            state(tabs, "State", &status["state"]);
            if at(status, &["lastState", "terminated"]).is_some() {
                state(tabs, "Last State", &status["lastState"]);
            }
            tabs.pair(2, "Ready", if flag(status, &["ready"]) { "True" } else { "False" });
            tabs.pair(2, "Restart Count", int(status, &["restartCount"]));
        }
        resources(tabs, container);
        for (title, field) in
            [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
        {
            if let Some(value) = at(container, &[field]) {
                tabs.pair(2, title, probe(value));
            }
        }
        environment(tabs, container, pod);
        mounts(tabs, container);
    }
}

fn basics(tabs: &mut Tabs, container: &Value, status: Option<&Value>) {
    if let Some(status) = status {
        tabs.pair(2, "Container ID", text(status, &["containerID"]));
    }
    tabs.pair(2, "Image", text(container, &["image"]));
    if let Some(status) = status {
        tabs.pair(2, "Image ID", text(status, &["imageID"]));
    }
    let ports = list(container, &["ports"]);
    for (title, field) in [("Port", "containerPort"), ("Host Port", "hostPort")] {
        let shown = ports.iter().map(|port| format!("{}/{}", int(port, &[field]), text(port, &["protocol"])));
        let shown: Vec<_> = shown.collect();
        let plural = if shown.len() > 1 { "s" } else { "" };
        tabs.pair(2, &format!("{title}{plural}"), or_none(&shown.join(", ")));
    }
}

fn words(tabs: &mut Tabs, title: &str, all: &[Value]) {
    if all.is_empty() {
        return;
    }
    tabs.line(2, &format!("{title}:"));
    for line in all.iter().filter_map(Value::as_str).flat_map(|word| word.split('\n')) {
        tabs.line(3, line);
    }
}

fn state(tabs: &mut Tabs, title: &str, state: &Value) {
    if at(state, &["running"]).is_some() {
        tabs.pair(2, title, "Running");
        return tabs.pair(3, "Started", moment(state, &["running", "startedAt"]));
    }
    let Some(ended) = at(state, &["terminated"]) else {
        tabs.pair(2, title, "Waiting");
        let reason = text(state, &["waiting", "reason"]);
        if !reason.is_empty() {
            tabs.pair(3, "Reason", reason);
        }
        return;
    };
    tabs.pair(2, title, "Terminated");
    for (title, field) in [("Reason", "reason"), ("Message", "message")] {
        if !text(ended, &[field]).is_empty() {
            tabs.pair(3, title, text(ended, &[field]));
        }
    }
    tabs.pair(3, "Exit Code", int(ended, &["exitCode"]));
    if int(ended, &["signal"]) > 0 {
        tabs.pair(3, "Signal", int(ended, &["signal"]));
    }
    tabs.pair(3, "Started", moment(ended, &["startedAt"]));
    tabs.pair(3, "Finished", moment(ended, &["finishedAt"]));
}

fn resources(tabs: &mut Tabs, container: &Value) {
    for (title, side) in [("Limits", "limits"), ("Requests", "requests")] {
        let mut all: Vec<_> = map(container, &["resources", side]).into_iter().flatten().collect();
        all.sort_by_key(|(name, _)| name.as_str());
        if !all.is_empty() {
            tabs.line(2, &format!("{title}:"));
        }
        for (name, amount) in all {
            tabs.pair(3, name, plain(Some(amount)));
        }
    }
}

/// A probe in one line.
fn probe(probe: &Value) -> String {
    let number = |field: &str| int(probe, &[field]);
    let figures = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number("initialDelaySeconds"),
        number("timeoutSeconds"),
        number("periodSeconds"),
        number("successThreshold"),
        number("failureThreshold")
    );
    if at(probe, &["exec"]).is_some() {
        let command: Vec<_> = list(probe, &["exec", "command"]).iter().filter_map(Value::as_str).collect();
        return format!("exec [{}] {figures}", command.join(" "));
    }
    if let Some(get) = at(probe, &["httpGet"]) {
        let scheme = text(get, &["scheme"]).to_lowercase();
        let (host, port) = (text(get, &["host"]), plain(at(get, &["port"])));
        return format!("http-get {scheme}://{host}:{port}{} {figures}", text(get, &["path"]));
    }
    if let Some(socket) = at(probe, &["tcpSocket"]) {
        return format!("tcp-socket {}:{} {figures}", text(socket, &["host"]), plain(at(socket, &["port"])));
    }
    format!("unknown {figures}")
}

fn environment(tabs: &mut Tabs, container: &Value, pod: &Value) {
    let from = list(container, &["envFrom"]);
    if !from.is_empty() {
        tabs.line(2, "Environment Variables from:");
    }
    for source in from {
        let kind = if at(source, &["configMapRef"]).is_some() { "ConfigMap" } else { "Secret" };
        let reference = if kind == "ConfigMap" { &source["configMapRef"] } else { &source["secretRef"] };
        let prefix = match text(source, &["prefix"]) {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        let optional = flag(reference, &["optional"]);
        tabs.line(3, &format!("{}\t{kind}{prefix}\tOptional: {optional}", text(reference, &["name"])));
    }
    let own = list(container, &["env"]);
    tabs.line(2, &format!("Environment:{}", if own.is_empty() { "\t<none>" } else { "" }));
    for item in own {
        variable(tabs, item, pod);
    }
}

fn variable(tabs: &mut Tabs, item: &Value, pod: &Value) {
    let name = text(item, &["name"]);
    let Some(from) = at(item, &["valueFrom"]) else {
        for (index, line) in text(item, &["value"]).split('\n').enumerate() {
            tabs.line(3, &format!("{}\t{line}", if index == 0 { format!("{name}:") } else { String::new() }));
        }
        return;
    };
    if let Some(field) = at(from, &["fieldRef"]) {
        let path = text(field, &["fieldPath"]);
        let steps: Vec<&str> = path.split('.').collect();
        // Of a pod's own fields kubectl looks up those of its metadata only.
        let value = if steps[0] == "metadata" { plain(at(pod, &steps)) } else { String::new() };
        return tabs.pair(3, name, format!("{value} ({}:{path})", text(field, &["apiVersion"])));
    }
    for (reference, what) in [("secretKeyRef", "in secret"), ("configMapKeyRef", "of config map")] {
        if let Some(key) = at(from, &[reference]) {
            let (key_name, owner) = (text(key, &["key"]), text(key, &["name"]));
            let optional = flag(key, &["optional"]);
            tabs.pair(3, name, format!("<set to the key '{key_name}' {what} '{owner}'>\tOptional: {optional}"));
        }
    }
    if let Some(resource) = at(from, &["resourceFieldRef"]) {
        tabs.pair(3, name, format!(" ({})", text(resource, &["resource"])));
    }
}

fn mounts(tabs: &mut Tabs, container: &Value) {
    let mut all: Vec<&Value> = list(container, &["volumeMounts"]).iter().collect();
    all.sort_by_key(|mount| text(mount, &["mountPath"]));
    tabs.line(2, &format!("Mounts:{}", if all.is_empty() { "\t<none>" } else { "" }));
    for mount in all {
        let mut flags = if flag(mount, &["readOnly"]) { "ro" } else { "rw" }.to_owned();
        let sub = text(mount, &["subPath"]);
        if !sub.is_empty() {
            flags.push_str(&format!(",path={sub:?}"));
        }
        tabs.line(3, &format!("{} from {} ({flags})", text(mount, &["mountPath"]), text(mount, &["name"])));
    }
}
