//! Pods: what is wanted (the status is in `pod_status`).
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use super::container::{Container, Resources, RestartPolicy};
use super::meta::{Labels, ObjectMeta, holds};
use super::placement::{Affinity, Toleration, TopologySpreadConstraint};
use super::pod_status::{PodPhase, PodStatus};
use super::quantity::Quantity;
use super::volume::Volume;
use super::wire::wire;
use crate::Time;

wire! {
    /// A group of containers that share a node, a network and volumes.
    Pod {
        metadata: ObjectMeta,
        spec: PodSpec,
        status: PodStatus,
    }
    PodSpec {
        volumes: Vec<Volume>,
        init_containers: Vec<Container>,
        containers: Vec<Container>,
        restart_policy: Option<RestartPolicy>,
        termination_grace_period_seconds: Option<i64>,
        active_deadline_seconds: Option<i64>,
        dns_policy: String,
        node_selector: Labels,
        service_account_name: String,
        automount_service_account_token: Option<bool>,
        node_name: String,
        host_network: bool,
        #[serde(rename = "hostPID")]
        host_pid: bool,
        #[serde(rename = "hostIPC")]
        host_ipc: bool,
        share_process_namespace: Option<bool>,
        security_context: Option<PodSecurityContext>,
        hostname: String,
        subdomain: String,
        affinity: Option<Affinity>,
        scheduler_name: String,
        tolerations: Vec<Toleration>,
        host_aliases: Vec<HostAlias>,
        priority_class_name: String,
        priority: Option<i32>,
        enable_service_links: Option<bool>,
        readiness_gates: Vec<ReadinessGate>,
        preemption_policy: Option<String>,
        overhead: Resources,
        topology_spread_constraints: Vec<TopologySpreadConstraint>,
        scheduling_gates: Vec<SchedulingGate>,
    }
    PodSecurityContext {
        run_as_user: Option<i64>,
        run_as_group: Option<i64>,
        run_as_non_root: Option<bool>,
        supplemental_groups: Vec<i64>,
        fs_group: Option<i64>,
        sysctls: Vec<Sysctl>,
    }
    Sysctl {} + always {
        name: String,
        value: String,
    }
    HostAlias {
        ip: String,
        hostnames: Vec<String>,
    }
    ReadinessGate {} + always {
        condition_type: String,
    }
    SchedulingGate {} + always {
        name: String,
    }
    /// What a controller makes pods from.
    PodTemplateSpec {
        metadata: ObjectMeta,
        spec: PodSpec,
    }
}

impl PodSpec {
    /// The restart policy, `Always` by default.
    pub fn restart_policy(&self) -> RestartPolicy {
        self.restart_policy.unwrap_or(RestartPolicy::Always)
    }

    /// Seconds that containers get to stop, 30 by default.
    pub fn grace_seconds(&self) -> i64 {
        self.termination_grace_period_seconds.unwrap_or(30).max(0)
    }
}

impl Pod {
    /// Says whether the pod's condition `Ready` holds.
    pub fn is_ready(&self) -> bool {
        holds(&self.status.conditions, "Ready")
    }

    /// Says whether the pod has been ready for `min_ready_seconds` at `now`.
    pub fn is_available(&self, min_ready_seconds: i32, now: Time) -> bool {
        self.available_at(min_ready_seconds).is_some_and(|at| at <= now)
    }

    /// When the pod becomes available, if it stays ready.
    pub fn available_at(&self, min_ready_seconds: i32) -> Option<Time> {
        let ready = super::meta::condition(&self.status.conditions, "Ready")
            .filter(|c| c.status == super::ConditionStatus::True)?;
        if min_ready_seconds <= 0 {
            return Some(Time(i64::MIN));
        }
        Some(ready.last_transition_time?.plus_secs(min_ready_seconds.into()))
    }

    /// Says whether all containers have ended for good.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase, Some(PodPhase::Succeeded | PodPhase::Failed))
    }

    /// Says whether the pod counts for a controller: not finished and not being deleted.
    pub fn is_active(&self) -> bool {
        !self.is_finished() && !self.metadata.is_deleting()
    }

    /// What the scheduler sets aside for the pod of one resource: the larger of the sum of the containers and any
    /// one initialisation step (sidecars add to every step after them), and the overhead.
    pub fn request(&self, resource: &str) -> Quantity {
        let of = |c: &Container| {
            let resources = &c.resources;
            resources.requests.get(resource).or_else(|| resources.limits.get(resource)).copied().unwrap_or_default()
        };
        let mut sidecars = Quantity::default();
        let mut peak = Quantity::default();
        for c in &self.spec.init_containers {
            if c.restart_policy == Some(RestartPolicy::Always) {
                sidecars = sidecars.plus(of(c));
                peak = peak.max(sidecars);
            } else {
                peak = peak.max(sidecars.plus(of(c)));
            }
        }
        let main = self.spec.containers.iter().fold(sidecars, |sum, c| sum.plus(of(c)));
        main.max(peak).plus(self.spec.overhead.get(resource).copied().unwrap_or_default())
    }

    /// Every resource that any container asks for.
    pub fn requests(&self) -> Resources {
        let containers = self.spec.init_containers.iter().chain(&self.spec.containers);
        let names = containers.flat_map(|c| c.resources.requests.keys().chain(c.resources.limits.keys()));
        let all = names.chain(self.spec.overhead.keys());
        all.map(|name| (name.clone(), self.request(name))).collect()
    }
}
