//! A node that runs nothing: pods are said to run, and commands run on the host itself.

use std::io::Read;
use std::process::{Command, Stdio};

use apiserver::listener::{Delegate, Exit, Session, SharedApi};
use apiserver::{PatchKind, PodCall, PodVerb, Request, Status, named};
use serde_json::{Value, json};

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the engine is told the time; here is who tells it")]
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

fn send(api: &SharedApi, request: &Request) {
    api.handle(request).into_result().unwrap_or_else(|status| panic!("{}: {status}", request.path));
}

/// Registers the node.
pub(crate) fn add_node(api: &SharedApi) {
    let capacity = json!({ "cpu": "4", "memory": "4Gi", "pods": "110" });
    let time = apiserver::time::rfc3339(now());
    let condition = json!({ "type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": time,
        "lastTransitionTime": time });
    let node = json!({ "metadata": { "name": "node-1" }, "status": { "capacity": capacity, "allocatable": capacity,
        "conditions": [condition] } });
    send(api, &Request::post("/api/v1/nodes", node));
}

/// The node's sign of life.
pub(crate) fn add_lease(api: &SharedApi) {
    let lease = json!({ "metadata": { "name": "node-1" }, "spec": { "holderIdentity": "node-1",
        "renewTime": apiserver::time::rfc3339_micro(now()) } });
    send(api, &Request::post("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease));
}

/// Creates a pod with one container.
pub(crate) fn create_pod(api: &SharedApi, name: &str) {
    let probe = json!({ "httpGet": { "path": "/health", "port": 8080 }, "periodSeconds": 3 });
    let pod = json!({ "metadata": { "name": name, "labels": { "b": "2", "a": "1" },
            "annotations": { "note": "two\nlines", "short": "one" } },
        "spec": { "nodeSelector": { "kubernetes.io/os": "linux" },
            "volumes": [{ "name": "shared" }, { "name": "config", "configMap": { "name": "c" } }],
            "tolerations": [{ "key": "x", "value": "y", "effect": "NoSchedule" }, { "operator": "Exists", "effect": "NoExecute" }],
            "initContainers": [{ "name": "init", "image": "i", "command": ["true"] }],
            "containers": [{ "name": "app", "image": "x", "args": ["-v", "a\nb"], "livenessProbe": probe,
                "ports": [{ "containerPort": 80 }, { "containerPort": 81, "protocol": "UDP" }],
                "resources": { "limits": { "cpu": "1", "memory": "64Mi" }, "requests": { "cpu": "100m" } },
                "env": [{ "name": "A", "value": "b" }, { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
                    { "name": "S", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }],
                "volumeMounts": [{ "name": "shared", "mountPath": "/s" }, { "name": "config", "mountPath": "/c", "readOnly": true }] },
            { "name": "side", "image": "y", "readinessProbe": { "exec": { "command": ["test", "-f", "x"] } } }] } });
    send(api, &Request::post("/api/v1/namespaces/default/pods", pod));
}

/// Places pods and says that they run, or lets them go.
pub(crate) fn run_pods(api: &SharedApi) {
    let Some(pods) = named("pods") else { return };
    let time = apiserver::time::rfc3339(now());
    for pod in api.with(|api, _| api.objects(pods, "")) {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        let path = pods.object(&text("/metadata/namespace"), &text("/metadata/name"));
        if text("/spec/nodeName").is_empty() {
            let binding = json!({ "target": { "kind": "Node", "name": "node-1" } });
            send(api, &Request::post(format!("{path}/binding"), binding));
        }
        if !text("/metadata/deletionTimestamp").is_empty() {
            send(api, &Request::delete(path).query("gracePeriodSeconds", "0"));
        } else if text("/status/phase") != "Running" {
            let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": time });
            let status = json!({ "status": { "phase": "Running", "podIP": "10.0.0.9", "podIPs": [{ "ip": "10.0.0.9" }],
                "conditions": (["Initialized", "Ready", "ContainersReady", "PodScheduled"]).map(condition),
                "containerStatuses": [{ "name": "app", "ready": true, "restartCount": 0, "image": "", "imageID": "",
                    "state": { "running": { "startedAt": time } } }] } });
            send(api, &Request::patch(format!("{path}/status"), PatchKind::Merge, status));
        }
    }
}

/// Commands run on the host, logs are made up.
pub(crate) struct HostPods;

impl Delegate for HostPods {
    fn log(&self, call: &PodCall) -> Result<Box<dyn Read + Send>, Status> {
        let text = format!("hello from {}\n", call.container);
        Ok(Box::new(std::io::Cursor::new(text.into_bytes())))
    }

    fn exec(&self, call: &PodCall) -> Result<Session, Status> {
        let PodVerb::Exec(options) = &call.verb else { return Err(Status::not_implemented("attach")) };
        let mut command = Command::new(&options.command[0]);
        command.args(&options.command[1..]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if options.stdin { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().map_err(Status::internal)?;
        Ok(Session {
            stdin: child.stdin.take().map(|stdin| Box::new(stdin) as Box<_>),
            stdout: child.stdout.take().map(|stdout| Box::new(stdout) as Box<_>),
            stderr: child.stderr.take().map(|stderr| Box::new(stderr) as Box<_>),
            resize: None,
            wait: Box::new(move || child.wait().ok().and_then(|s| s.code()).map_or(Exit::Lost, Exit::Code)),
        })
    }
}
