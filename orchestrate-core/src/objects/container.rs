//! Containers as a pod describes them: command, environment, resources, probes, hooks, security.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use std::collections::BTreeMap;

use super::int_or_string::IntOrString;
use super::quantity::Quantity;
use super::wire::{wire, words};

/// Amounts by resource name (`cpu`, `memory`, `pods`…).
pub type Resources = BTreeMap<String, Quantity>;

wire! {
    /// One container of a pod.
    Container {
        image: String,
        command: Vec<String>,
        args: Vec<String>,
        working_dir: String,
        ports: Vec<ContainerPort>,
        env_from: Vec<EnvFromSource>,
        env: Vec<EnvVar>,
        resources: ResourceRequirements,
        volume_mounts: Vec<VolumeMount>,
        restart_policy: Option<RestartPolicy>,
        liveness_probe: Option<Probe>,
        readiness_probe: Option<Probe>,
        startup_probe: Option<Probe>,
        lifecycle: Option<Lifecycle>,
        termination_message_path: String,
        termination_message_policy: String,
        image_pull_policy: Option<PullPolicy>,
        security_context: Option<SecurityContext>,
        stdin: bool,
        stdin_once: bool,
        tty: bool,
    } + always {
        name: String,
    }
    /// A port that a container listens on.
    ContainerPort {
        name: String,
        host_port: i32,
        protocol: Option<Protocol>,
        #[serde(rename = "hostIP")]
        host_ip: String,
    } + always {
        container_port: i32,
    }
    /// One environment variable: a value, or where to take it from.
    EnvVar {
        value: String,
        value_from: Option<EnvVarSource>,
    } + always {
        name: String,
    }
    EnvVarSource {
        field_ref: Option<FieldSelector>,
        resource_field_ref: Option<ResourceFieldSelector>,
        config_map_key_ref: Option<KeySelector>,
        secret_key_ref: Option<KeySelector>,
    }
    /// Every pair of a ConfigMap or Secret as variables.
    EnvFromSource {
        prefix: String,
        config_map_ref: Option<LocalReference>,
        secret_ref: Option<LocalReference>,
    }
    LocalReference {
        name: String,
        optional: Option<bool>,
    }
    /// A field of the pod itself, by path.
    FieldSelector {
        api_version: String,
    } + always {
        field_path: String,
    }
    ResourceFieldSelector {
        container_name: String,
        divisor: Option<Quantity>,
    } + always {
        resource: String,
    }
    /// One key of a ConfigMap or Secret.
    KeySelector {
        name: String,
        optional: Option<bool>,
    } + always {
        key: String,
    }
    /// What a container asks for and what it may use at most.
    ResourceRequirements {
        limits: Resources,
        requests: Resources,
    }
    VolumeMount {
        read_only: bool,
        sub_path: String,
        sub_path_expr: String,
        mount_propagation: String,
    } + always {
        name: String,
        mount_path: String,
    }
    /// A periodic check of a container.
    Probe {
        exec: Option<ExecAction>,
        http_get: Option<HttpGetAction>,
        tcp_socket: Option<TcpSocketAction>,
        grpc: Option<GrpcAction>,
        initial_delay_seconds: i32,
        timeout_seconds: i32,
        period_seconds: i32,
        success_threshold: i32,
        failure_threshold: i32,
        termination_grace_period_seconds: Option<i64>,
    }
    ExecAction {
        command: Vec<String>,
    }
    HttpGetAction {
        path: String,
        host: String,
        scheme: String,
        http_headers: Vec<HttpHeader>,
    } + always {
        port: IntOrString,
    }
    HttpHeader {} + always {
        name: String,
        value: String,
    }
    TcpSocketAction {
        host: String,
    } + always {
        port: IntOrString,
    }
    GrpcAction {
        service: Option<String>,
    } + always {
        port: i32,
    }
    SleepAction {} + always {
        seconds: i64,
    }
    /// What happens after the start and before the stop of a container.
    Lifecycle {
        post_start: Option<LifecycleHandler>,
        pre_stop: Option<LifecycleHandler>,
        stop_signal: Option<String>,
    }
    LifecycleHandler {
        exec: Option<ExecAction>,
        http_get: Option<HttpGetAction>,
        tcp_socket: Option<TcpSocketAction>,
        sleep: Option<SleepAction>,
    }
    SecurityContext {
        capabilities: Option<Capabilities>,
        privileged: Option<bool>,
        run_as_user: Option<i64>,
        run_as_group: Option<i64>,
        run_as_non_root: Option<bool>,
        read_only_root_filesystem: Option<bool>,
        allow_privilege_escalation: Option<bool>,
    }
    Capabilities {
        add: Vec<String>,
        drop: Vec<String>,
    }
}

words! {
    /// What happens when a container ends.
    RestartPolicy { Always = "Always", OnFailure = "OnFailure", Never = "Never" }
    PullPolicy { Always = "Always", IfNotPresent = "IfNotPresent", Never = "Never" }
    Protocol { Tcp = "TCP", Udp = "UDP", Sctp = "SCTP" }
}

impl Container {
    /// The pull policy, with upstream's default: `Always` for the tag `latest` or none, else `IfNotPresent`.
    pub fn pull_policy(&self) -> PullPolicy {
        let name = self.image.rsplit('/').next().unwrap_or_default();
        let latest = !name.contains('@') && name.rsplit_once(':').is_none_or(|(_, tag)| tag == "latest");
        self.image_pull_policy.unwrap_or(if latest { PullPolicy::Always } else { PullPolicy::IfNotPresent })
    }

    /// Finds a port by name.
    pub fn port_named(&self, name: &str) -> Option<&ContainerPort> {
        self.ports.iter().find(|p| p.name == name)
    }
}

impl ContainerPort {
    /// The protocol, TCP unless said otherwise.
    pub fn protocol(&self) -> Protocol {
        self.protocol.unwrap_or(Protocol::Tcp)
    }
}

impl Probe {
    /// Seconds between checks, 10 by default.
    pub const fn period(&self) -> i64 {
        or_default(self.period_seconds, 10)
    }

    /// Seconds until a check counts as failed, 1 by default.
    pub const fn timeout(&self) -> i64 {
        or_default(self.timeout_seconds, 1)
    }

    /// Failures in a row until the probe fails, 3 by default.
    pub const fn failures(&self) -> i64 {
        or_default(self.failure_threshold, 3)
    }

    /// Successes in a row until the probe succeeds, 1 by default.
    pub const fn successes(&self) -> i64 {
        or_default(self.success_threshold, 1)
    }
}

const fn or_default(value: i32, default: i64) -> i64 {
    if value > 0 { value as i64 } else { default }
}
