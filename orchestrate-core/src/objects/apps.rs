//! Deployments and ReplicaSets (group `apps/v1`).
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use super::int_or_string::IntOrString;
use super::meta::{Condition, ObjectMeta};
use super::pod::PodTemplateSpec;
use super::selector::LabelSelector;
use super::wire::{wire, words};

wire! {
    /// Replicas of a template, rolled over step by step when the template changes.
    Deployment {
        metadata: ObjectMeta,
        spec: DeploymentSpec,
        status: DeploymentStatus,
    }
    DeploymentSpec {
        replicas: Option<i32>,
        selector: LabelSelector,
        template: PodTemplateSpec,
        strategy: DeploymentStrategy,
        min_ready_seconds: i32,
        revision_history_limit: Option<i32>,
        paused: bool,
        progress_deadline_seconds: Option<i32>,
    }
    DeploymentStrategy {
        #[serde(rename = "type")]
        kind: Option<StrategyKind>,
        rolling_update: Option<RollingUpdate>,
    }
    RollingUpdate {
        max_unavailable: Option<IntOrString>,
        max_surge: Option<IntOrString>,
    }
    DeploymentStatus {
        observed_generation: i64,
        replicas: i32,
        updated_replicas: i32,
        ready_replicas: i32,
        available_replicas: i32,
        unavailable_replicas: i32,
        terminating_replicas: Option<i32>,
        conditions: Vec<Condition>,
        collision_count: Option<i32>,
    }
    /// A number of pods of one template.
    ReplicaSet {
        metadata: ObjectMeta,
        spec: ReplicaSetSpec,
        status: ReplicaSetStatus,
    }
    ReplicaSetSpec {
        replicas: Option<i32>,
        min_ready_seconds: i32,
        selector: LabelSelector,
        template: PodTemplateSpec,
    }
    ReplicaSetStatus {
        fully_labeled_replicas: i32,
        ready_replicas: i32,
        available_replicas: i32,
        terminating_replicas: Option<i32>,
        observed_generation: i64,
        conditions: Vec<Condition>,
    } + always {
        replicas: i32,
    }
}

words! {
    StrategyKind { RollingUpdate = "RollingUpdate", Recreate = "Recreate" }
}

impl Deployment {
    /// Wanted replicas, 1 by default.
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }
}

impl ReplicaSet {
    /// Wanted replicas, 1 by default.
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }
}
