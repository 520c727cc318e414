//! Pods and pod templates: required fields, allowed words, and what may change in a running pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::meta;
use crate::quantity;
use crate::status::Problem;
use crate::value::{at, int, list, map, remove, text};

/// The rules of a pod.
pub(super) fn check_pod(object: &Value, out: &mut Vec<Problem>) {
    check_spec(&object["spec"], "spec", out);
}

fn one_of(value: &Value, field: &str, path: &str, allowed: &[&str], out: &mut Vec<Problem>) {
    if let Some(found) = at(value, &[field])
        && !allowed.iter().any(|a| found == a)
    {
        out.push(Problem::unsupported(format!("{path}.{field}"), found, allowed));
    }
}

/// The rules of a pod's spec, wherever it stands.
pub(super) fn check_spec(spec: &Value, path: &str, out: &mut Vec<Problem>) {
    let volumes = volumes(spec, path, out);
    let containers = list(spec, &["containers"]);
    if containers.is_empty() {
        out.push(Problem::required(format!("{path}.containers"), ""));
    }
    let mut names = BTreeSet::new();
    for field in ["initContainers", "containers"] {
        for (index, container) in list(spec, &[field]).iter().enumerate() {
            let at = format!("{path}.{field}[{index}]");
            check_container(container, &at, &volumes, &mut names, out);
        }
    }
    one_of(spec, "restartPolicy", path, &["Always", "OnFailure", "Never"], out);
    one_of(spec, "dnsPolicy", path, &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"], out);
    for field in ["terminationGracePeriodSeconds", "activeDeadlineSeconds"] {
        if let Some(value) = at(spec, &[field])
            && int(spec, &[field]) < 0
        {
            out.push(Problem::invalid(format!("{path}.{field}"), value, "must be greater than or equal to 0"));
        }
    }
    let selector = format!("{path}.nodeSelector");
    meta::labels(at(spec, &["nodeSelector"]), &selector, out);
    for (field, rule) in [("nodeName", meta::subdomain as fn(&str) -> _), ("hostname", meta::label_name)] {
        let value = text(spec, &[field]);
        if !value.is_empty()
            && let Some(problem) = rule(value)
        {
            out.push(Problem::invalid(format!("{path}.{field}"), &value.into(), &problem));
        }
    }
    tolerations(spec, path, out);
    spreading(spec, path, out);
}

fn volumes(spec: &Value, path: &str, out: &mut Vec<Problem>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, volume) in list(spec, &["volumes"]).iter().enumerate() {
        let at = format!("{path}.volumes[{index}]");
        let name = text(volume, &["name"]);
        if name.is_empty() {
            out.push(Problem::required(format!("{at}.name"), ""));
        } else if let Some(problem) = meta::label_name(name) {
            out.push(Problem::invalid(format!("{at}.name"), &name.into(), &problem));
        }
        if !names.insert(name.to_owned()) {
            out.push(Problem::duplicate(format!("{at}.name"), &name.into()));
        }
        let sources: Vec<_> = map(volume, &[]).into_iter().flatten().filter(|(key, _)| *key != "name").collect();
        if let Some((second, _)) = sources.get(1) {
            out.push(Problem::forbidden(format!("{at}.{second}"), "may not specify more than 1 volume type"));
        }
        if at_path(volume, "hostPath").is_some_and(|host| text(host, &["path"]).is_empty()) {
            out.push(Problem::required(format!("{at}.hostPath.path"), ""));
        }
        let up = |path: &str| path.split('/').any(|part| part == "..");
        if up(text(volume, &["hostPath", "path"])) {
            let value = &volume["hostPath"]["path"];
            out.push(Problem::invalid(format!("{at}.hostPath.path"), value, "must not contain '..'"));
        }
    }
    names
}

fn at_path<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    at(value, &[key])
}

fn check_container(
    container: &Value,
    path: &str,
    volumes: &BTreeSet<String>,
    names: &mut BTreeSet<String>,
    out: &mut Vec<Problem>,
) {
    let name = text(container, &["name"]);
    if name.is_empty() {
        out.push(Problem::required(format!("{path}.name"), ""));
    } else if let Some(problem) = meta::label_name(name) {
        out.push(Problem::invalid(format!("{path}.name"), &name.into(), &problem));
    } else if !names.insert(name.to_owned()) {
        out.push(Problem::duplicate(format!("{path}.name"), &name.into()));
    }
    let image = text(container, &["image"]);
    if image.is_empty() {
        out.push(Problem::required(format!("{path}.image"), ""));
    } else if image != image.trim() {
        let why = "must not have leading or trailing whitespace";
        out.push(Problem::invalid(format!("{path}.image"), &image.into(), why));
    }
    one_of(container, "imagePullPolicy", path, &["Always", "IfNotPresent", "Never"], out);
    one_of(container, "terminationMessagePolicy", path, &["File", "FallbackToLogsOnError"], out);
    ports(container, path, out);
    environment(container, path, out);
    mounts(container, path, volumes, out);
    resources(container, path, out);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(value) = at(container, &[probe]) {
            check_probe(value, &format!("{path}.{probe}"), probe != "readinessProbe", out);
        }
    }
}

/// A port number from 1 to 65535.
pub(super) fn port_number(value: &Value, path: &str, out: &mut Vec<Problem>) {
    if !value.as_i64().is_some_and(|port| (1..=65_535).contains(&port)) {
        out.push(Problem::invalid(path, value, "must be between 1 and 65535, inclusive"));
    }
}

fn ports(container: &Value, path: &str, out: &mut Vec<Problem>) {
    let mut names = BTreeSet::new();
    for (index, port) in list(container, &["ports"]).iter().enumerate() {
        let here = format!("{path}.ports[{index}]");
        match at(port, &["containerPort"]) {
            None => out.push(Problem::required(format!("{here}.containerPort"), "")),
            Some(number) => port_number(number, &format!("{here}.containerPort"), out),
        }
        if let Some(number) = at(port, &["hostPort"]) {
            port_number(number, &format!("{here}.hostPort"), out);
        }
        one_of(port, "protocol", &here, &["SCTP", "TCP", "UDP"], out);
        let name = text(port, &["name"]);
        if name.is_empty() {
            continue;
        }
        port_name(name, &format!("{here}.name"), out);
        if !names.insert(name) {
            out.push(Problem::duplicate(format!("{here}.name"), &name.into()));
        }
    }
}

/// The name of a port: at most 15 lower-case letters, digits and dashes, one letter among them.
pub(super) fn port_name(name: &str, path: &str, out: &mut Vec<Problem>) {
    let mut refuse = |why: &str| out.push(Problem::invalid(path, &name.into(), why));
    if name.len() > 15 {
        refuse("must be no more than 15 characters");
    } else if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        refuse("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    } else if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        refuse("must contain at least one letter (a-z)");
    } else if name.contains("--") {
        refuse("must not contain consecutive hyphens");
    } else if name.starts_with('-') || name.ends_with('-') {
        refuse("must not begin or end with a hyphen");
    }
}

fn environment(container: &Value, path: &str, out: &mut Vec<Problem>) {
    for (index, item) in list(container, &["env"]).iter().enumerate() {
        let here = format!("{path}.env[{index}]");
        let name = text(item, &["name"]);
        if name.is_empty() {
            out.push(Problem::required(format!("{here}.name"), ""));
        } else if name.contains('=') || !name.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            let why =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            out.push(Problem::invalid(format!("{here}.name"), &name.into(), why));
        }
        if let Some(from) = at(item, &["valueFrom"]) {
            let sources = from.as_object().map_or(0, serde_json::Map::len);
            if !text(item, &["value"]).is_empty() {
                let why = "may not be specified when `value` is not empty";
                out.push(Problem::invalid(format!("{here}.valueFrom"), &"".into(), why));
            } else if sources != 1 {
                let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
                out.push(Problem::invalid(format!("{here}.valueFrom"), &"".into(), why));
            }
        }
    }
}

fn mounts(container: &Value, path: &str, volumes: &BTreeSet<String>, out: &mut Vec<Problem>) {
    let mut points = BTreeSet::new();
    for (index, mount) in list(container, &["volumeMounts"]).iter().enumerate() {
        let here = format!("{path}.volumeMounts[{index}]");
        let (name, point) = (text(mount, &["name"]), text(mount, &["mountPath"]));
        if name.is_empty() {
            out.push(Problem::required(format!("{here}.name"), ""));
        } else if !volumes.contains(name) {
            out.push(Problem::not_found(format!("{here}.name"), &name.into()));
        }
        if point.is_empty() {
            out.push(Problem::required(format!("{here}.mountPath"), ""));
        } else if !points.insert(point) {
            out.push(Problem::invalid(format!("{here}.mountPath"), &point.into(), "must be unique"));
        }
        let sub = text(mount, &["subPath"]);
        if sub.starts_with('/') {
            out.push(Problem::invalid(format!("{here}.subPath"), &sub.into(), "must be a relative path"));
        } else if sub.split('/').any(|part| part == "..") {
            out.push(Problem::invalid(format!("{here}.subPath"), &sub.into(), "must not contain '..'"));
        }
    }
}

fn resources(container: &Value, path: &str, out: &mut Vec<Problem>) {
    for side in ["limits", "requests"] {
        for (name, value) in map(container, &["resources", side]).into_iter().flatten() {
            let here = format!("{path}.resources.{side}[{name}]");
            let amount = value.as_str().and_then(quantity::nano);
            if amount.is_none_or(|nano| nano < 0) {
                out.push(Problem::invalid(here, value, "must be greater than or equal to 0"));
            } else if side == "requests" {
                let limit = at(container, &["resources", "limits", name]);
                let most = limit.and_then(Value::as_str).and_then(quantity::nano);
                if let (Some(limit), Some(most)) = (limit, most)
                    && amount > Some(most)
                {
                    let shown = limit.as_str().unwrap_or("");
                    let why = format!("must be less than or equal to {name} limit of {shown}");
                    out.push(Problem::invalid(format!("{path}.resources.requests"), value, &why));
                }
            }
        }
    }
}

fn check_probe(probe: &Value, path: &str, once: bool, out: &mut Vec<Problem>) {
    let handlers: Vec<_> =
        ["exec", "grpc", "httpGet", "tcpSocket"].into_iter().filter(|h| at(probe, &[h]).is_some()).collect();
    match handlers.as_slice() {
        [] => out.push(Problem::required(path, "must specify a handler type")),
        [_] => {}
        [_, second, ..] => {
            out.push(Problem::forbidden(format!("{path}.{second}"), "may not specify more than 1 handler type"));
        }
    }
    if at(probe, &["exec"]).is_some() && list(probe, &["exec", "command"]).is_empty() {
        out.push(Problem::required(format!("{path}.exec.command"), ""));
    }
    for handler in ["httpGet", "tcpSocket"] {
        if let Some(action) = at(probe, &[handler]) {
            let here = format!("{path}.{handler}.port");
            match at(action, &["port"]) {
                Some(Value::String(name)) => port_name(name, &here, out),
                Some(number) => port_number(number, &here, out),
                None => out.push(Problem::required(here, "")),
            }
        }
    }
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        if let Some(value) = at(probe, &[field])
            && value.as_i64().is_some_and(|n| n < 0)
        {
            out.push(Problem::invalid(format!("{path}.{field}"), value, "must be greater than or equal to 0"));
        }
    }
    if once && int(probe, &["successThreshold"]) != 1 {
        out.push(Problem::invalid(format!("{path}.successThreshold"), &probe["successThreshold"], "must be 1"));
    }
}

fn tolerations(spec: &Value, path: &str, out: &mut Vec<Problem>) {
    for (index, toleration) in list(spec, &["tolerations"]).iter().enumerate() {
        let here = format!("{path}.tolerations[{index}]");
        one_of(toleration, "operator", &here, &["Equal", "Exists"], out);
        one_of(toleration, "effect", &here, &["NoSchedule", "PreferNoSchedule", "NoExecute"], out);
        let key = text(toleration, &["key"]);
        if key.is_empty() && text(toleration, &["operator"]) != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            out.push(Problem::invalid(format!("{here}.operator"), &toleration["operator"], why));
        }
        if text(toleration, &["operator"]) == "Exists" && !text(toleration, &["value"]).is_empty() {
            let why = "value must be empty when `operator` is 'Exists'";
            out.push(Problem::invalid(format!("{here}.operator"), &toleration["value"], why));
        }
        if at(toleration, &["tolerationSeconds"]).is_some() && text(toleration, &["effect"]) != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            out.push(Problem::invalid(format!("{here}.effect"), &toleration["effect"], why));
        }
    }
}

fn spreading(spec: &Value, path: &str, out: &mut Vec<Problem>) {
    for (index, constraint) in list(spec, &["topologySpreadConstraints"]).iter().enumerate() {
        let here = format!("{path}.topologySpreadConstraints[{index}]");
        if int(constraint, &["maxSkew"]) <= 0 {
            out.push(Problem::invalid(format!("{here}.maxSkew"), &constraint["maxSkew"], "must be greater than zero"));
        }
        if text(constraint, &["topologyKey"]).is_empty() {
            out.push(Problem::required(format!("{here}.topologyKey"), "can not be empty"));
        }
        one_of(constraint, "whenUnsatisfiable", &here, &["DoNotSchedule", "ScheduleAnyway"], out);
    }
}

const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
    tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What may change in a pod that exists.
pub(super) fn check_update(old: &Value, new: &Value, out: &mut Vec<Problem>) {
    let comparable = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for field in ["containers", "initContainers"] {
            let containers = spec.get_mut(field).and_then(Value::as_array_mut);
            containers.into_iter().flatten().for_each(|container| drop(remove(container, &["image"])));
        }
        remove(&mut spec, &["activeDeadlineSeconds"]);
        remove(&mut spec, &["tolerations"]);
        spec
    };
    if comparable(old) != comparable(new) {
        out.push(Problem::forbidden("spec", FIXED));
    }
    let kept = list(new, &["spec", "tolerations"]);
    if list(old, &["spec", "tolerations"]).iter().any(|toleration| !kept.contains(toleration)) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        out.push(Problem::forbidden("spec.tolerations", why));
    }
}
