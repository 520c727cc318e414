//! Which pod goes first when a ReplicaSet shrinks: upstream's order, from the least to the most worth keeping.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use crate::Time;
use crate::objects::{Pod, PodPhase, condition};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Sorts so that the pods to be deleted first come first. `related` are the active pods of all sibling sets.
pub(super) fn deletion_order(pods: &mut [&Pod], related: &[&Pod], now: Time) {
    let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related {
        *on_node.entry(&pod.spec.node_name).or_default() += 1;
    }
    let doubled = |p: &Pod| on_node.get(p.spec.node_name.as_str()).copied().unwrap_or_default();
    pods.sort_by(|a, b| {
        let key = |p: &Pod| {
            let unassigned = p.spec.node_name.is_empty();
            (Reverse(unassigned), phase(p), p.is_ready(), cost(p), Reverse(doubled(p)))
        };
        key(a)
            .cmp(&key(b))
            .then_with(|| {
                if a.is_ready() && b.is_ready() {
                    younger(ready_since(a), ready_since(b), a, b, now)
                } else {
                    Ordering::Equal
                }
            })
            .then_with(|| restarts(b).cmp(&restarts(a)))
            .then_with(|| younger(a.metadata.creation_timestamp, b.metadata.creation_timestamp, a, b, now))
            .then_with(|| a.metadata.name.cmp(&b.metadata.name))
    });
}

const fn phase_rank(phase: PodPhase) -> u8 {
    match phase {
        PodPhase::Pending => 0,
        PodPhase::Unknown => 1,
        PodPhase::Running | PodPhase::Succeeded | PodPhase::Failed => 2,
    }
}

fn phase(pod: &Pod) -> u8 {
    phase_rank(pod.status.phase())
}

fn cost(pod: &Pod) -> i32 {
    pod.metadata.annotations.get(DELETION_COST).and_then(|c| c.parse().ok()).unwrap_or_default()
}

fn ready_since(pod: &Pod) -> Option<Time> {
    condition(&pod.status.conditions, "Ready").and_then(|c| c.last_transition_time)
}

fn restarts(pod: &Pod) -> i32 {
    pod.status.container_statuses.iter().map(|c| c.restart_count).max().unwrap_or_default()
}

/// Younger first, but ages only count by their power of two; within one, the uid decides, as upstream.
fn younger(a: Option<Time>, b: Option<Time>, pod_a: &Pod, pod_b: &Pod, now: Time) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    let bucket = |t: Time| u128::try_from(now.since(t)).ok().filter(|ms| *ms > 0).map(|ms| (ms * 1_000_000).ilog2());
    bucket(a).cmp(&bucket(b)).then_with(|| pod_a.metadata.uid.cmp(&pod_b.metadata.uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Condition, ConditionStatus, ContainerStatus, ObjectMeta};

    fn pod(name: &str) -> Pod {
        let mut pod = Pod { metadata: ObjectMeta::named("d", name), ..Pod::default() };
        pod.metadata.uid = format!("uid-{name}");
        pod.spec.node_name = format!("node-of-{name}");
        pod.status.phase = Some(PodPhase::Running);
        pod.metadata.creation_timestamp = Some(Time::from_secs(1000));
        pod
    }

    fn ready(mut pod: Pod, since: i64) -> Pod {
        pod.status.conditions = vec![Condition::new("Ready", ConditionStatus::True, "", "", Time::from_secs(since))];
        pod
    }

    fn change(mut pod: Pod, change: impl Fn(&mut Pod)) -> Pod {
        change(&mut pod);
        pod
    }

    /// Each pair: the first is deleted before the second.
    #[test]
    fn first_to_go() {
        let now = Time::from_secs(100_000);
        let restarted = |n| {
            change(ready(pod("r"), 2000), |p| {
                p.status.container_statuses = vec![ContainerStatus { restart_count: n, ..Default::default() }];
            })
        };
        let cases = [
            ("unassigned", change(pod("z"), |p| p.spec.node_name.clear()), pod("a")),
            ("pending", change(pod("z"), |p| p.status.phase = Some(PodPhase::Pending)), pod("a")),
            ("unknown", change(pod("z"), |p| p.status.phase = Some(PodPhase::Unknown)), pod("a")),
            ("not ready", pod("z"), ready(pod("a"), 2000)),
            (
                "cheaper",
                change(ready(pod("z"), 2000), |p| {
                    drop(p.metadata.annotations.insert(DELETION_COST.into(), "-5".into()));
                }),
                ready(pod("a"), 2000),
            ),
            ("ready for less time", ready(pod("z"), 99_000), ready(pod("a"), 2000)),
            ("same power of two: lower uid", ready(pod("a"), 2000), ready(pod("z"), 2500)),
            ("more restarts", restarted(5), change(restarted(1), |p| p.metadata.name = "a".into())),
            ("newer", change(pod("z"), |p| p.metadata.creation_timestamp = Some(Time::from_secs(99_999))), pod("a")),
        ];
        for (what, first, second) in &cases {
            let mut pods = [second, first];
            deletion_order(&mut pods, &[], now);
            assert_eq!(pods[0].metadata.uid, first.metadata.uid, "{what}");
        }
    }

    #[test]
    fn copies_on_one_node_go_first() {
        let mut pods = [ready(pod("a"), 2000), ready(pod("b"), 2000), ready(pod("c"), 2000)];
        pods[1].spec.node_name = "n".into();
        pods[2].spec.node_name = "n".into();
        let related: Vec<&Pod> = pods.iter().collect();
        let mut order = related.clone();
        deletion_order(&mut order, &related, Time::from_secs(9000));
        assert_eq!(order[2].metadata.name, "a");
    }
}
