//! Pods and pod templates.

use serde_json::Value;

use super::Tabs;
use super::common::{annotations, controller, labels, moment, plain, tolerations};
use super::container::containers;
use crate::time::{Millis, human_duration, parse_rfc3339};
use crate::value::{at, flag, int, list, text};

pub(super) fn pod(tabs: &mut Tabs, pod: &Value, now: Millis) {
    head(tabs, pod, now);
    let statuses = |field: &str| list(pod, &["status", field]);
    let init = list(pod, &["spec", "initContainers"]);
    if !init.is_empty() {
        containers(tabs, "Init Containers", init, statuses("initContainerStatuses"), pod, false);
    }
    let own = list(pod, &["spec", "containers"]);
    containers(tabs, "Containers", own, statuses("containerStatuses"), pod, false);
    let conditions = list(pod, &["status", "conditions"]);
    if !conditions.is_empty() {
        tabs.write("Conditions:\n  Type\tStatus\n");
    }
    for condition in conditions {
        tabs.line(1, &format!("{} \t{} ", text(condition, &["type"]), text(condition, &["status"])));
    }
    volumes(tabs, list(pod, &["spec", "volumes"]), false);
    tabs.pair(0, "QoS Class", text(pod, &["status", "qosClass"]));
    labels(tabs, "Node-Selectors", at(pod, &["spec", "nodeSelector"]));
    tolerations(tabs, "Tolerations", list(pod, &["spec", "tolerations"]));
}

fn head(tabs: &mut Tabs, pod: &Value, now: Millis) {
    let (meta, status) =
        (|field: &'static str| text(pod, &["metadata", field]), |f: &'static str| text(pod, &["status", f]));
    tabs.pair(0, "Name", meta("name"));
    tabs.pair(0, "Namespace", meta("namespace"));
    if let Some(priority) = at(pod, &["spec", "priority"]) {
        tabs.pair(0, "Priority", priority);
    }
    let account = text(pod, &["spec", "serviceAccountName"]);
    if !account.is_empty() {
        tabs.pair(0, "Service Account", account);
    }
    match text(pod, &["spec", "nodeName"]) {
        "" => tabs.pair(0, "Node", "<none>"),
        node => tabs.pair(0, "Node", format!("{node}/{}", status("hostIP"))),
    }
    if at(pod, &["status", "startTime"]).is_some() {
        tabs.pair(0, "Start Time", moment(pod, &["status", "startTime"]));
    }
    labels(tabs, "Labels", at(pod, &["metadata", "labels"]));
    annotations(tabs, "Annotations", pod);
    match parse_rfc3339(meta("deletionTimestamp")) {
        Some(deleted) if !matches!(status("phase"), "Failed" | "Succeeded") => {
            tabs.pair(0, "Status", format!("Terminating (lasts {})", human_duration(now - deleted)));
            let grace = int(pod, &["metadata", "deletionGracePeriodSeconds"]);
            tabs.pair(0, "Termination Grace Period", format!("{grace}s"));
        }
        _ => tabs.pair(0, "Status", status("phase")),
    }
    for (title, field) in [("Reason", "reason"), ("Message", "message")] {
        if !status(field).is_empty() {
            tabs.pair(0, title, status(field));
        }
    }
    tabs.pair(0, "IP", status("podIP"));
    let addresses = list(pod, &["status", "podIPs"]);
    tabs.line(0, if addresses.is_empty() { "IPs:\t<none>" } else { "IPs:" });
    for address in addresses {
        tabs.pair(1, "IP", text(address, &["ip"]));
    }
    controller(tabs, pod);
}

/// A pod template, inside the description of what makes pods from it.
pub(super) fn template(tabs: &mut Tabs, template: &Value) {
    tabs.line(0, "Pod Template:");
    labels(tabs, "  Labels", at(template, &["metadata", "labels"]));
    if at(template, &["metadata", "annotations"]).and_then(Value::as_object).is_some_and(|map| !map.is_empty()) {
        annotations(tabs, "  Annotations", template);
    }
    let account = text(template, &["spec", "serviceAccountName"]);
    if !account.is_empty() {
        tabs.pair(1, "Service Account", account);
    }
    let init = list(template, &["spec", "initContainers"]);
    if !init.is_empty() {
        containers(tabs, "Init Containers", init, &[], &Value::Null, true);
    }
    containers(tabs, "Containers", list(template, &["spec", "containers"]), &[], &Value::Null, true);
    volumes(tabs, list(template, &["spec", "volumes"]), true);
    labels(tabs, "  Node-Selectors", at(template, &["spec", "nodeSelector"]));
    tolerations(tabs, "  Tolerations", list(template, &["spec", "tolerations"]));
}

fn volumes(tabs: &mut Tabs, all: &[Value], inside: bool) {
    let space = if inside { "  " } else { "" };
    tabs.line(0, &format!("{space}Volumes:{}", if all.is_empty() { "\t<none>" } else { "" }));
    for volume in all {
        tabs.line(1, &format!("{}{}:", if inside { " " } else { "" }, text(volume, &["name"])));
        let part = |path: &[&str]| plain(at(volume, path));
        let optional = |source: &str| flag(volume, &[source, "optional"]);
        let lines: Vec<(&str, String)> = if at(volume, &["hostPath"]).is_some() {
            vec![
                ("Type", "HostPath (bare host directory volume)".to_owned()),
                ("Path", part(&["hostPath", "path"])),
                ("HostPathType", part(&["hostPath", "type"])),
            ]
        } else if at(volume, &["emptyDir"]).is_some() {
            let limit = part(&["emptyDir", "sizeLimit"]);
            vec![
                ("Type", "EmptyDir (a temporary directory that shares a pod's lifetime)".to_owned()),
                ("Medium", part(&["emptyDir", "medium"])),
                ("SizeLimit", if limit.is_empty() { "<unset>".to_owned() } else { limit }),
            ]
        } else if at(volume, &["secret"]).is_some() {
            vec![
                ("Type", "Secret (a volume populated by a Secret)".to_owned()),
                ("SecretName", part(&["secret", "secretName"])),
                ("Optional", optional("secret").to_string()),
            ]
        } else if at(volume, &["configMap"]).is_some() {
            vec![
                ("Type", "ConfigMap (a volume populated by a ConfigMap)".to_owned()),
                ("Name", part(&["configMap", "name"])),
                ("Optional", optional("configMap").to_string()),
            ]
        } else {
            tabs.line(1, "<unknown>");
            Vec::new()
        };
        lines.into_iter().for_each(|(title, value)| tabs.pair(2, title, value));
    }
}
