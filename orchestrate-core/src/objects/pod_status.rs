//! Pods: what was observed.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use super::meta::Condition;
use super::wire::{wire, words};
use crate::Time;

wire! {
    /// The state of a pod as its node reports it.
    PodStatus {
        observed_generation: i64,
        phase: Option<PodPhase>,
        conditions: Vec<Condition>,
        message: String,
        reason: String,
        nominated_node_name: String,
        #[serde(rename = "hostIP")]
        host_ip: String,
        #[serde(rename = "hostIPs")]
        host_ips: Vec<Ip>,
        #[serde(rename = "podIP")]
        pod_ip: String,
        #[serde(rename = "podIPs")]
        pod_ips: Vec<Ip>,
        start_time: Option<Time>,
        init_container_statuses: Vec<ContainerStatus>,
        container_statuses: Vec<ContainerStatus>,
        qos_class: String,
    }
    Ip {
        ip: String,
    }
    /// The state of one container.
    ContainerStatus {
        state: ContainerState,
        last_state: ContainerState,
        #[serde(rename = "containerID")]
        container_id: String,
        started: Option<bool>,
    } + always {
        name: String,
        ready: bool,
        restart_count: i32,
        image: String,
        #[serde(rename = "imageID")]
        image_id: String,
    }
    /// One of the three is set; none means waiting.
    ContainerState {
        waiting: Option<StateWaiting>,
        running: Option<StateRunning>,
        terminated: Option<StateTerminated>,
    }
    StateWaiting {
        reason: String,
        message: String,
    }
    StateRunning {
        started_at: Option<Time>,
    }
    StateTerminated {
        signal: i32,
        reason: String,
        message: String,
        started_at: Option<Time>,
        finished_at: Option<Time>,
        #[serde(rename = "containerID")]
        container_id: String,
    } + always {
        exit_code: i32,
    }
}

words! {
    /// Where a pod is in its life.
    PodPhase {
        Pending = "Pending",
        Running = "Running",
        Succeeded = "Succeeded",
        Failed = "Failed",
        Unknown = "Unknown",
    }
}

impl PodStatus {
    /// The phase, `Pending` until someone says otherwise.
    pub fn phase(&self) -> PodPhase {
        self.phase.unwrap_or(PodPhase::Pending)
    }
}

impl ContainerState {
    /// A state of waiting with its reason.
    pub fn waiting(reason: &str, message: &str) -> Self {
        let waiting = StateWaiting { reason: reason.into(), message: message.into(), ..StateWaiting::default() };
        Self { waiting: Some(waiting), ..Self::default() }
    }
}
