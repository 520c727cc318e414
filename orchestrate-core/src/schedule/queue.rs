//! The queue: which pods wait for a node, in which order they are tried, and when they are tried again.
//!
//! A pod that fits nowhere is tried again when nodes or pods have changed and its back-off is over, or after five
//! minutes in any case.

use std::collections::BTreeMap;

use super::snapshot::Snapshot;
use super::{Decision, Refusal, Tie, schedule};
use crate::action::{Action, Note, Plan, Target};
use crate::controllers::fnv64a;
use crate::objects::{Condition, ConditionStatus, Pod, Resource, condition, set_condition};
use crate::time::Millis;
use crate::{Time, World};

/// The knobs of the queue, with upstream's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePolicy {
    /// The name that pods ask for.
    pub name: String,
    /// The back-off after the first failure.
    pub backoff_start: Millis,
    /// The longest back-off.
    pub backoff_max: Millis,
    /// When a pod is tried again even if nothing changed.
    pub retry_after: Millis,
    /// Who wins among equal nodes.
    pub tie: Tie,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            name: "default-scheduler".into(),
            backoff_start: 1000,
            backoff_max: 10_000,
            retry_after: 300_000,
            tie: Tie::Seeded(0),
        }
    }
}

/// The scheduler with its memory of failures.
#[derive(Debug, Clone, Default)]
pub struct Scheduler {
    policy: QueuePolicy,
    /// By uid.
    failures: BTreeMap<String, Failure>,
}

#[derive(Debug, Clone)]
struct Failure {
    attempts: u32,
    at: Time,
    /// The state of the cluster that did not do.
    cluster: u64,
}

impl Scheduler {
    /// Makes a scheduler.
    pub const fn new(policy: QueuePolicy) -> Self {
        Self { policy, failures: BTreeMap::new() }
    }

    /// Tries every pod whose turn it is; asks to be woken for the others.
    pub fn step(&mut self, world: &World, now: Time) -> Plan {
        let mut plan = Plan::default();
        let mut pending: Vec<&Pod> = world.pods_on("").filter(|p| self.is_pending(p)).collect();
        let alive = |uid: &String| world.by_uid(uid).is_some();
        self.failures.retain(|uid, _| alive(uid));
        if pending.is_empty() {
            return plan;
        }
        let order = |p: &&Pod| {
            let priority = std::cmp::Reverse(p.spec.priority.unwrap_or_default());
            (priority, p.metadata.created(), p.metadata.namespace.clone(), p.metadata.name.clone())
        };
        pending.sort_by_key(order);
        let cluster = fingerprint(world);
        let mut snapshot: Option<Snapshot> = None;
        for pod in pending {
            if let Some(at) = self.not_before(pod, cluster, now) {
                plan.wake_at(at);
                continue;
            }
            let snapshot = snapshot.get_or_insert_with(|| Snapshot::of(world));
            match schedule(world, snapshot, pod, self.policy.tie) {
                Decision::Place { node, .. } => {
                    snapshot.assume(pod, &node);
                    self.failures.remove(&pod.metadata.uid);
                    bind(pod, node, &self.policy.name, &mut plan);
                }
                Decision::Refuse(refusal) => self.fail(pod, &refusal, cluster, now, &mut plan),
            }
        }
        plan
    }

    fn is_pending(&self, pod: &Pod) -> bool {
        let asked = &pod.spec.scheduler_name;
        let ours = asked.is_empty() || *asked == self.policy.name;
        ours && pod.is_active() && pod.spec.scheduling_gates.is_empty()
    }

    /// When a pod that failed may be tried again; none means now.
    fn not_before(&self, pod: &Pod, cluster: u64, now: Time) -> Option<Time> {
        let failure = self.failures.get(&pod.metadata.uid)?;
        let doubled = self.policy.backoff_start.saturating_mul(1 << (failure.attempts - 1).min(20));
        let backoff = failure.at + doubled.min(self.policy.backoff_max);
        let forced = failure.at + self.policy.retry_after;
        let at = if failure.cluster == cluster { forced } else { backoff };
        (now < at).then_some(at)
    }

    fn fail(&mut self, pod: &Pod, refusal: &Refusal, cluster: u64, now: Time, plan: &mut Plan) {
        let failure = self.failures.entry(pod.metadata.uid.clone());
        let failure = failure.or_insert(Failure { attempts: 0, at: now, cluster });
        *failure = Failure { attempts: failure.attempts + 1, at: now, cluster };
        plan.wake_at(now + self.policy.retry_after);
        let message = refusal.to_string();
        let before = condition(&pod.status.conditions, "PodScheduled");
        if before.is_none_or(|c| c.message != message || c.status != ConditionStatus::False) {
            let mut status = pod.status.clone();
            let new = Condition::new("PodScheduled", ConditionStatus::False, "Unschedulable", &message, now);
            set_condition(&mut status.conditions, new);
            let status = serde_json::to_value(status).unwrap_or_default();
            plan.actions.push(Action::UpdateStatus { on: Target::loose(pod.key(), &pod.metadata.uid), status });
        }
        plan.actions.push(say(pod, &self.policy.name, true, "FailedScheduling", message));
    }
}

fn bind(pod: &Pod, node: String, component: &str, plan: &mut Plan) {
    let meta = &pod.metadata;
    let message = format!("Successfully assigned {}/{} to {node}", meta.namespace, meta.name);
    plan.actions.push(Action::Bind { on: Target::loose(pod.key(), &meta.uid), node });
    plan.actions.push(say(pod, component, false, "Scheduled", message));
}

fn say(pod: &Pod, component: &str, warning: bool, reason: &str, message: String) -> Action {
    let (reason, component) = (reason.into(), component.into());
    Action::Event(Note { about: pod.reference(), warning, reason, message, component })
}

/// A number that changes with anything that could make room: nodes, and pods on them.
fn fingerprint(world: &World) -> u64 {
    let mut text = String::new();
    for node in world.nodes.iter() {
        let taints = node.spec.taints.iter().map(|t| format!("{}={}:{}", t.key, t.value, t.effect));
        let taints: Vec<String> = taints.collect();
        let amounts = node.status.allocatable.iter().map(|(k, v)| format!("{k}={v}"));
        let amounts: Vec<String> = amounts.collect();
        let labels = format!("{:?}", node.metadata.labels);
        text.push_str(&format!("{} {} {taints:?} {amounts:?} {labels}\n", node.metadata.uid, node.spec.unschedulable));
    }
    for pod in world.pods.iter().filter(|p| !p.spec.node_name.is_empty() && !p.is_finished()) {
        let deleting = u8::from(pod.metadata.is_deleting());
        text.push_str(&format!("{} {} {deleting}\n", pod.metadata.uid, pod.spec.node_name));
    }
    fnv64a(text.as_bytes())
}
