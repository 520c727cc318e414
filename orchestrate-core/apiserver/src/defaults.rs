//! What a field means when nobody set it, written into the object, as upstream's defaulting does.
//!
//! Plain constants are rows of a table; what depends on other fields is a function below.

use serde_json::{Value, json};

use crate::resource::Resource;
use crate::value::{at, flag, list, object, place, set, text};

/// Path and value, for objects of a kind.
type Row = (&'static [&'static str], fn() -> Value);

const POD_SPEC: [Row; 6] = [
    (&["restartPolicy"], || "Always".into()),
    (&["terminationGracePeriodSeconds"], || 30.into()),
    (&["dnsPolicy"], || "ClusterFirst".into()),
    (&["securityContext"], || json!({})),
    (&["schedulerName"], || "default-scheduler".into()),
    (&["enableServiceLinks"], || true.into()),
];

const CONTAINER: [Row; 3] = [
    (&["terminationMessagePath"], || "/dev/termination-log".into()),
    (&["terminationMessagePolicy"], || "File".into()),
    (&["resources"], || json!({})),
];

const PROBE: [Row; 4] = [
    (&["timeoutSeconds"], || 1.into()),
    (&["periodSeconds"], || 10.into()),
    (&["successThreshold"], || 1.into()),
    (&["failureThreshold"], || 3.into()),
];

const DEPLOYMENT: [Row; 4] = [
    (&["spec", "replicas"], || 1.into()),
    (&["spec", "strategy", "type"], || "RollingUpdate".into()),
    (&["spec", "revisionHistoryLimit"], || 10.into()),
    (&["spec", "progressDeadlineSeconds"], || 600.into()),
];

const SERVICE: [Row; 5] = [
    (&["spec", "type"], || "ClusterIP".into()),
    (&["spec", "sessionAffinity"], || "None".into()),
    (&["spec", "internalTrafficPolicy"], || "Cluster".into()),
    (&["spec", "ipFamilies"], || json!(["IPv4"])),
    (&["spec", "ipFamilyPolicy"], || "SingleStack".into()),
];

fn fill(value: &mut Value, rows: &[Row]) {
    for (path, make) in rows {
        let place = place(value, path);
        if place.is_null() {
            *place = make();
        }
    }
}

/// Fills in what a stored object always has; doing it twice changes nothing more.
pub(crate) fn apply(resource: &Resource, value: &mut Value) {
    match resource.kind {
        "Pod" => pod_spec(place(value, &["spec"])),
        "Deployment" => deployment(value),
        "ReplicaSet" => {
            fill(value, &[(&["spec", "replicas"], || 1.into())]);
            template(value);
        }
        "Service" => service(value),
        "Secret" => {
            secret_text(value);
            fill(value, &[(&["type"], || "Opaque".into())]);
        }
        "Namespace" => {
            let name = text(value, &["metadata", "name"]).to_owned();
            set(value, &["metadata", "labels", "kubernetes.io/metadata.name"], name);
        }
        "EndpointSlice" => endpoint_slice(value),
        _ => {}
    }
}

/// What only a new object gets: its first status and what admission adds.
pub(crate) fn on_create(resource: &Resource, value: &mut Value) {
    match resource.kind {
        "Pod" => {
            set(value, &["status"], json!({ "phase": "Pending", "qosClass": quality(value) }));
            tolerations(value);
        }
        "Namespace" => {
            set(value, &["spec", "finalizers"], json!(["kubernetes"]));
            set(value, &["status"], json!({ "phase": "Active" }));
        }
        "Deployment" => set(value, &["status"], json!({})),
        "ReplicaSet" => set(value, &["status"], json!({ "replicas": 0 })),
        "Service" => set(value, &["status"], json!({ "loadBalancer": {} })),
        _ => {}
    }
}

fn deployment(value: &mut Value) {
    fill(value, &DEPLOYMENT);
    if text(value, &["spec", "strategy", "type"]) == "RollingUpdate" {
        fill(
            value,
            &[
                (&["spec", "strategy", "rollingUpdate", "maxUnavailable"], || "25%".into()),
                (&["spec", "strategy", "rollingUpdate", "maxSurge"], || "25%".into()),
            ],
        );
    }
    template(value);
}

fn template(value: &mut Value) {
    if at(value, &["spec", "template"]).is_some() {
        pod_spec(place(value, &["spec", "template", "spec"]));
    }
}

fn pod_spec(spec: &mut Value) {
    fill(spec, &POD_SPEC);
    let host_network = flag(spec, &["hostNetwork"]);
    for lists in ["initContainers", "containers"] {
        let containers = spec.get_mut(lists).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(|c| container(c, host_network));
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        volume_source(volume);
    }
    if let Some(account) = at(spec, &["serviceAccountName"]).cloned() {
        set(spec, &["serviceAccount"], account);
    }
}

fn container(value: &mut Value, host_network: bool) {
    fill(value, &CONTAINER);
    if at(value, &["imagePullPolicy"]).is_none() {
        let image = text(value, &["image"]);
        let last = image.rsplit('/').next().unwrap_or("");
        let moving = !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
        set(value, &["imagePullPolicy"], if moving { "Always" } else { "IfNotPresent" });
    }
    for port in value.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        fill(port, &[(&["protocol"], || "TCP".into())]);
        if host_network && at(port, &["hostPort"]).is_none() {
            let number = port["containerPort"].clone();
            set(port, &["hostPort"], number);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = value.get_mut(probe) {
            fill(probe, &PROBE);
            http_get(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = value.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook)) {
            http_get(hook);
        }
    }
    for item in value.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(field) = item.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef")) {
            fill(field, &[(&["apiVersion"], || "v1".into())]);
        }
    }
    requests_from_limits(value);
}

fn http_get(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet") {
        fill(get, &[(&["path"], || "/".into()), (&["scheme"], || "HTTP".into())]);
    }
}

/// A limit without a request is also the request.
fn requests_from_limits(container: &mut Value) {
    let Some(limits) = at(container, &["resources", "limits"]).and_then(Value::as_object).cloned() else { return };
    let requests = object(place(container, &["resources", "requests"]));
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
}

fn volume_source(volume: &mut Value) {
    let Some(map) = volume.as_object() else { return };
    if map.len() < 2 {
        set(volume, &["emptyDir"], json!({}));
    }
    for (source, mode) in [("configMap", 420), ("secret", 420), ("projected", 420), ("downwardAPI", 420)] {
        if let Some(source) = volume.get_mut(source)
            && at(source, &["defaultMode"]).is_none()
        {
            set(source, &["defaultMode"], mode);
        }
    }
    if let Some(host) = volume.get_mut("hostPath") {
        fill(host, &[(&["type"], || "".into())]);
    }
}

fn service(value: &mut Value) {
    fill(value, &SERVICE);
    let kind = text(value, &["spec", "type"]).to_owned();
    if kind == "ExternalName" {
        for field in ["internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy"] {
            crate::value::remove(value, &["spec", field]);
        }
    }
    if kind == "NodePort" || kind == "LoadBalancer" {
        fill(value, &[(&["spec", "externalTrafficPolicy"], || "Cluster".into())]);
    }
    if kind == "LoadBalancer" {
        fill(value, &[(&["spec", "allocateLoadBalancerNodePorts"], || true.into())]);
    }
    let ports = value.get_mut("spec").and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        fill(port, &[(&["protocol"], || "TCP".into())]);
        if at(port, &["targetPort"]).is_none() {
            let number = port["port"].clone();
            set(port, &["targetPort"], number);
        }
    }
}

/// `stringData` is write-only: it ends up in `data`.
fn secret_text(value: &mut Value) {
    let Some(Value::Object(plain)) = crate::value::remove(value, &["stringData"]) else { return };
    let data = object(place(value, &["data"]));
    for (key, text) in plain {
        data.insert(key, crate::base64::encode(text.as_str().unwrap_or("").as_bytes()).into());
    }
}

fn endpoint_slice(value: &mut Value) {
    for port in value.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        fill(port, &[(&["protocol"], || "TCP".into()), (&["name"], || "".into())]);
    }
}

/// Every pod tolerates a node that is away for five minutes, unless it says otherwise.
fn tolerations(pod: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = list(pod, &["spec", "tolerations"]).iter().any(|toleration| {
            let (own, effect) = (text(toleration, &["key"]), text(toleration, &["effect"]));
            (own == key || own.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if covered {
            continue;
        }
        let added = json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 });
        match place(pod, &["spec", "tolerations"]) {
            Value::Array(all) => all.push(added),
            other => *other = json!([added]),
        }
    }
}

/// The quality-of-service class, from requests and limits.
fn quality(pod: &Value) -> &'static str {
    let containers = list(pod, &["spec", "containers"]).iter().chain(list(pod, &["spec", "initContainers"]));
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        for resource in ["cpu", "memory"] {
            let request = at(container, &["resources", "requests", resource]);
            let limit = at(container, &["resources", "limits", resource]);
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
