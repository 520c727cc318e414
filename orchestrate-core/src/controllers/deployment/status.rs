//! What a Deployment reports: counts, availability, progress.

use serde_json::json;

use super::arithmetic::max_unavailable;
use super::{REVISION, Rollout};
use crate::action::{Action, Plan};
use crate::controllers::{json as to_json, target};
use crate::objects::{Condition, ConditionStatus, Deployment, DeploymentStatus, ReplicaSetStatus, condition};

/// Says whether the whole Deployment runs the current template and is available.
pub(super) fn is_complete(d: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = d.replicas();
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= d.metadata.generation
}

/// Says whether more is updated, ready or available, or less is old, than before.
fn has_progressed(before: &DeploymentStatus, now: &DeploymentStatus) -> bool {
    let old = |s: &DeploymentStatus| s.replicas - s.updated_replicas;
    now.updated_replicas > before.updated_replicas
        || old(now) < old(before)
        || now.ready_replicas > before.ready_replicas
        || now.available_replicas > before.available_replicas
}

/// Puts a condition in place unless it says the same already; keeps the transition time while the status stays.
fn put(conditions: &mut Vec<Condition>, mut new: Condition) {
    if let Some(old) = condition(conditions, &new.kind) {
        if old.status == new.status && old.reason == new.reason {
            return;
        }
        if old.status == new.status {
            new.last_transition_time = old.last_transition_time;
        }
    }
    conditions.retain(|c| c.kind != new.kind);
    conditions.push(new);
}

impl Rollout<'_> {
    fn condition(&self, kind: &str, status: ConditionStatus, reason: &str, message: &str) -> Condition {
        let new = Condition::new(kind, status, reason, message, self.now);
        Condition { last_update_time: new.last_transition_time, ..new }
    }

    const fn deadline(&self) -> Option<i32> {
        // The API server's default is 600; the largest number means none, as upstream.
        match self.deployment.spec.progress_deadline_seconds {
            None => Some(600),
            Some(i32::MAX) => None,
            Some(seconds) => Some(seconds),
        }
    }

    pub(super) fn set_progressing(&mut self, status: ConditionStatus, reason: &str, message: &str) {
        if self.deadline().is_some() {
            let new = self.condition("Progressing", status, reason, message);
            put(&mut self.deployment.status.conditions, new);
        }
    }

    /// A pause and its end are progress conditions, so that the deadline does not run meanwhile.
    pub(super) fn note_pause(&mut self) {
        let reason = self.progressing().map(|c| c.reason.clone()).unwrap_or_default();
        if reason == "ProgressDeadlineExceeded" {
            return;
        }
        match (self.deployment.spec.paused, reason == "DeploymentPaused") {
            (true, false) => {
                self.set_progressing(ConditionStatus::Unknown, "DeploymentPaused", "Deployment is paused");
            }
            (false, true) => {
                self.set_progressing(ConditionStatus::Unknown, "DeploymentResumed", "Deployment is resumed");
            }
            _ => {}
        }
    }

    /// Counts, and whether enough is available.
    pub(super) fn sync_status(&mut self) {
        let sum = |of: fn(&ReplicaSetStatus) -> i32| self.all().map(|s| of(&s.status)).sum::<i32>();
        let (replicas, available) = (sum(|s| s.replicas), sum(|s| s.available_replicas));
        let (ready, terminating) = (sum(|s| s.ready_replicas), sum(|s| s.terminating_replicas.unwrap_or_default()));
        let enough = available >= self.deployment.replicas() - max_unavailable(&self.deployment);
        let new = if enough {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        let new = self.condition("Available", enough.into(), new.0, new.1);
        let updated = self.new.as_ref().map_or(0, |s| s.status.replicas);
        let status = &mut self.deployment.status;
        status.observed_generation = self.deployment.metadata.generation;
        status.replicas = replicas;
        status.updated_replicas = updated;
        status.ready_replicas = ready;
        status.available_replicas = available;
        status.unavailable_replicas = (replicas - available).max(0);
        status.terminating_replicas = Some(terminating);
        put(&mut status.conditions, new);
    }

    /// Counts, and whether the rollout is done, on its way or stuck.
    pub(super) fn sync_rollout_status(&mut self) {
        let before = self.deployment.status.clone();
        self.sync_status();
        let Some(deadline) = self.deadline() else {
            self.deployment.status.conditions.retain(|c| c.kind != "Progressing");
            return;
        };
        let status = &self.deployment.status;
        let reason = self.progressing().map(|c| c.reason.clone()).unwrap_or_default();
        let done_before = status.replicas == status.updated_replicas && reason == "NewReplicaSetAvailable";
        if done_before {
            return;
        }
        let subject = match &self.new {
            Some(set) => format!("ReplicaSet \"{}\"", set.metadata.name),
            None => format!("Deployment \"{}\"", self.deployment.metadata.name),
        };
        if is_complete(&self.deployment, status) {
            let message = format!("{subject} has successfully progressed.");
            self.set_progressing(ConditionStatus::True, "NewReplicaSetAvailable", &message);
        } else if has_progressed(&before, status) {
            let mut new = self.condition(
                "Progressing",
                ConditionStatus::True,
                "ReplicaSetUpdated",
                &format!("{subject} is progressing."),
            );
            if let Some(old) = self.progressing().filter(|c| c.status == ConditionStatus::True) {
                new.last_transition_time = old.last_transition_time;
            }
            let conditions = &mut self.deployment.status.conditions;
            conditions.retain(|c| c.kind != "Progressing");
            conditions.push(new);
        } else {
            self.check_deadline(deadline, &reason, &subject);
        }
    }

    fn check_deadline(&mut self, deadline: i32, reason: &str, subject: &str) {
        if matches!(reason, "NewReplicaSetAvailable" | "ProgressDeadlineExceeded") {
            return;
        }
        let Some(since) = self.progressing().and_then(|c| c.last_update_time) else { return };
        let end = since.plus_secs(deadline.into());
        if self.now > end {
            let message = format!("{subject} has timed out progressing.");
            self.set_progressing(ConditionStatus::False, "ProgressDeadlineExceeded", &message);
        } else {
            self.plan.wake_at(end + 1);
        }
    }

    /// Turns what changed on the Deployment itself into actions.
    pub(super) fn finish(mut self, observed: &Deployment) -> Plan {
        let revision = self.deployment.metadata.annotations.get(REVISION);
        if revision != observed.metadata.annotations.get(REVISION) {
            let patch = json!({ "metadata": { "annotations": { REVISION: revision } } });
            self.plan.actions.push(Action::Patch { on: target(observed), patch });
        }
        if self.deployment.status != observed.status {
            let status = to_json(&self.deployment.status);
            self.plan.actions.push(Action::UpdateStatus { on: target(observed), status });
        }
        self.plan
    }
}
