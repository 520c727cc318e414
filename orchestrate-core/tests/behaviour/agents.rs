//! A node agent that was restarted takes up where things stand.

use orchestrate_core::node::{Exit, Facts, Image, Machine, NodeAction, NodePolicy, Run, RunState, Sandbox, Step};
use orchestrate_core::objects::*;
use orchestrate_core::{Resource, Time};
use serde_json::json;

fn pod() -> Pod {
    let json = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "app:1", "lifecycle": {"preStop": {"exec": {"command": ["bye"]}}}}]}});
    Pod::from_object(Object::from_json(json).unwrap()).unwrap()
}

fn facts(attempt: u32, state: RunState) -> Facts {
    let run = Run { attempt, id: "x".into(), image_id: "i".into(), state, stopping: None, previous: None };
    Facts {
        sandbox: Sandbox::Ready { ip: "10.0.0.1".into() },
        containers: [("app".into(), run)].into(),
        images: [("app:1".into(), Image::Present { id: "i".into(), at: Time(0) })].into(),
        ..Facts::default()
    }
}

fn started(step: &Step) -> bool {
    step.actions.iter().any(|a| matches!(a, NodeAction::Start { .. }))
}

#[test]
fn a_running_container_is_adopted_without_a_word() {
    let mut pod = pod();
    let running = facts(3, RunState::Running { since: Time::from_secs(50) });
    let first = Machine::new(NodePolicy::default()).step(&pod, &running, Time::from_secs(100));
    assert!(!started(&first));
    pod.status = first.status;
    assert_eq!((pod.status.container_statuses[0].restart_count, pod.is_ready()), (3, true));
    let again = Machine::new(NodePolicy::default()).step(&pod, &running, Time::from_secs(200));
    assert!(again.actions.is_empty(), "{:?}", again.actions);
    assert_eq!(again.status, pod.status);
}

#[test]
fn earlier_crashes_are_remembered_by_their_number() {
    let finished = Time::from_secs(100);
    let exit =
        Exit { code: 1, signal: None, oom: true, started: Time(0), finished, message: "m".into(), id: "x".into() };
    let crashed = facts(3, RunState::Exited(exit));
    let mut machine = Machine::new(NodePolicy::default());
    let step = machine.step(&pod(), &crashed, finished);
    assert!(!started(&step));
    // 10, 20, then 40 seconds.
    assert_eq!(step.wake, Some(finished.plus_secs(40)));
    let last = step.status.container_statuses[0].last_state.terminated.clone().unwrap();
    assert_eq!((last.reason.as_str(), last.message.as_str()), ("OOMKilled", "m"));
    assert!(started(&machine.step(&pod(), &crashed, finished.plus_secs(40))));
}

#[test]
fn a_kill_runs_the_hook_and_is_repeated_only_with_less_grace() {
    let mut pod = pod();
    pod.metadata.deletion_timestamp = Some(Time::from_secs(130));
    pod.metadata.deletion_grace_period_seconds = Some(30);
    let mut running = facts(0, RunState::Running { since: Time::from_secs(50) });
    let mut machine = Machine::new(NodePolicy::default());
    let kills = |step: &Step| -> Vec<(i64, bool)> {
        let kill = |a: &NodeAction| match a {
            NodeAction::Kill { grace, pre_stop, .. } => Some((*grace, pre_stop.is_some())),
            _ => None,
        };
        step.actions.iter().filter_map(kill).collect()
    };
    assert_eq!(kills(&machine.step(&pod, &running, Time::from_secs(100))), [(30, true)]);
    let since = Time::from_secs(100);
    running.containers.get_mut("app").unwrap().stopping = Some(orchestrate_core::node::Stopping { since, grace: 30 });
    assert_eq!(kills(&machine.step(&pod, &running, Time::from_secs(101))), []);
    pod.metadata.deletion_grace_period_seconds = Some(0);
    assert_eq!(kills(&machine.step(&pod, &running, Time::from_secs(102))), [(0, false)]);
}

#[test]
fn two_containers_of_one_image_ask_for_one_pull() {
    let mut pod = pod();
    let mut second = pod.spec.containers[0].clone();
    second.name = "side".into();
    pod.spec.containers.push(second);
    let facts = Facts { sandbox: Sandbox::Ready { ip: String::new() }, ..Facts::default() };
    let step = Machine::new(NodePolicy::default()).step(&pod, &facts, Time(0));
    assert_eq!(step.actions.iter().filter(|a| matches!(a, NodeAction::Pull { .. })).count(), 1);
}
