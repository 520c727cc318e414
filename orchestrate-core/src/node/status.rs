//! The status that a node reports: states of containers, phase, conditions.

use super::facts::{Exit, Run, RunState, Sandbox};
use super::machine::{Machine, Role, Turn, Verdict, restarts, role};
use crate::objects::{
    Condition, ConditionStatus, Container, ContainerState, ContainerStatus, Ip, Pod, PodPhase, PodStatus, Quantity,
    Resources, StateRunning, StateTerminated, holds, set_condition,
};

impl Machine {
    pub(super) fn report(&self, turn: &mut Turn<'_>, verdict: &Verdict) {
        let pod = turn.pod;
        let mut status = pod.status.clone();
        status.observed_generation = pod.metadata.generation;
        status.host_ip.clone_from(&turn.facts.host_ip);
        status.host_ips = ips(&status.host_ip);
        if let Sandbox::Ready { ip } = &turn.facts.sandbox {
            status.pod_ip.clone_from(ip);
        }
        status.pod_ips = ips(&status.pod_ip);
        status.start_time = self.first_seen.map(crate::Time::whole);
        status.qos_class = qos_class(pod).into();
        let waiting = if pod.spec.init_containers.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        let init = pod.spec.init_containers.iter().map(|c| self.container(turn, c, "PodInitializing"));
        status.init_container_statuses = init.collect();
        status.container_statuses = pod.spec.containers.iter().map(|c| self.container(turn, c, waiting)).collect();
        if let Verdict::Over { phase, reason, message } = verdict {
            status.phase = Some(*phase);
            if !reason.is_empty() {
                status.reason = (*reason).into();
                status.message = (*message).into();
            }
        } else {
            status.phase = Some(phase(turn, &status));
        }
        conditions(turn, &mut status);
        turn.step.status = status;
    }

    fn container(&self, turn: &Turn<'_>, container: &Container, default_reason: &str) -> ContainerStatus {
        let all = turn.pod.status.init_container_statuses.iter().chain(&turn.pod.status.container_statuses);
        let before = all.into_iter().find(|s| s.name == container.name);
        let mut status = ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone(),
            started: Some(false),
            ..ContainerStatus::default()
        };
        let reason = turn.waiting.get(container.name.as_str());
        let waiting = || match reason {
            Some((reason, message)) => ContainerState::waiting(reason, message),
            None => ContainerState::waiting(default_reason, ""),
        };
        let Some(run) = turn.facts.containers.get(&container.name) else {
            status.state = waiting();
            if let Some(before) = before {
                status.last_state = before.last_state.clone();
                status.restart_count = before.restart_count;
            }
            return status;
        };
        status.restart_count = i32::try_from(run.attempt).unwrap_or(i32::MAX);
        status.container_id.clone_from(&run.id);
        status.image_id.clone_from(&run.image_id);
        status.last_state = match (&run.previous, before) {
            (Some(exit), _) => terminated(exit),
            (None, Some(before)) if run.attempt > 0 => before.last_state.clone(),
            _ => ContainerState::default(),
        };
        match &run.state {
            RunState::Starting | RunState::Failed { .. } => status.state = waiting(),
            RunState::Running { since } => {
                let running = StateRunning { started_at: Some(since.whole()), ..StateRunning::default() };
                status.state = ContainerState { running: Some(running), ..ContainerState::default() };
                status.started = Some(self.is_started(container, run));
                status.ready = self.is_ready(container, run);
            }
            RunState::Exited(exit) => {
                let again = restarts(turn.pod, role(turn.pod, container), exit);
                if reason.is_some() && again {
                    status.state = waiting();
                    status.last_state = terminated(exit);
                } else {
                    status.state = terminated(exit);
                    status.ready = role(turn.pod, container) == Role::Init && exit.code == 0;
                }
            }
        }
        status
    }
}

fn ips(ip: &str) -> Vec<Ip> {
    if ip.is_empty() { Vec::new() } else { vec![Ip { ip: ip.into(), ..Ip::default() }] }
}

fn terminated(exit: &Exit) -> ContainerState {
    let reason = match exit {
        Exit { oom: true, .. } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        _ => "Error",
    };
    let state = StateTerminated {
        exit_code: exit.code,
        signal: exit.signal.unwrap_or_default(),
        reason: reason.into(),
        message: exit.message.clone(),
        started_at: Some(exit.started.whole()),
        finished_at: Some(exit.finished.whole()),
        container_id: exit.id.clone(),
        ..StateTerminated::default()
    };
    ContainerState { terminated: Some(state), ..ContainerState::default() }
}

/// Says whether the init containers have done their work (or the main ones would not run).
fn is_initialized(turn: &Turn<'_>) -> bool {
    let pod = turn.pod;
    let begun = pod.spec.containers.iter().any(|c| turn.facts.containers.contains_key(&c.name));
    begun
        || pod.spec.init_containers.iter().all(|c| match role(pod, c) {
            Role::Sidecar => turn.facts.containers.get(&c.name).is_some_and(|r| r.running_since().is_some()),
            _ => turn.facts.containers.get(&c.name).and_then(Run::exit).is_some_and(|e| e.code == 0),
        })
}

/// The phase of a pod that is not over.
fn phase(turn: &Turn<'_>, status: &PodStatus) -> PodPhase {
    if !is_initialized(turn) {
        return PodPhase::Pending;
    }
    // A container counts as begun once any run of it existed.
    let begun = |s: &ContainerStatus| {
        s.state.running.is_some() || s.state.terminated.is_some() || s.last_state.terminated.is_some()
    };
    if status.container_statuses.iter().all(begun) { PodPhase::Running } else { PodPhase::Pending }
}

fn conditions(turn: &Turn<'_>, status: &mut PodStatus) {
    let (pod, now) = (turn.pod, turn.now);
    let over = matches!(status.phase, Some(PodPhase::Succeeded | PodPhase::Failed));
    let done = if status.phase == Some(PodPhase::Failed) { "PodFailed" } else { "PodCompleted" };
    let unready: Vec<&str> = status.container_statuses.iter().filter(|s| !s.ready).map(|s| s.name.as_str()).collect();
    let ready = if over {
        (false, done, String::new())
    } else if unready.is_empty() {
        (true, "", String::new())
    } else {
        (false, "ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))
    };
    let initialized = if status.phase == Some(PodPhase::Succeeded) {
        (true, "PodCompleted", String::new())
    } else if is_initialized(turn) {
        (true, "", String::new())
    } else {
        let names: Vec<&str> =
            status.init_container_statuses.iter().filter(|s| !s.ready).map(|s| s.name.as_str()).collect();
        let message = format!("containers with incomplete status: [{}]", names.join(" "));
        (false, "ContainersNotInitialized", message)
    };
    let gates: Vec<&str> = pod
        .spec
        .readiness_gates
        .iter()
        .map(|g| g.condition_type.as_str())
        .filter(|kind| !holds(&pod.status.conditions, kind))
        .collect();
    let gated = if ready.0 && !gates.is_empty() {
        (
            false,
            "ReadinessGatesNotReady",
            format!("corresponding condition of pod readiness gate {gates:?} does not exist."),
        )
    } else {
        ready.clone()
    };
    let sandbox = matches!(turn.facts.sandbox, Sandbox::Ready { .. });
    for (kind, (holds, reason, message)) in [
        ("PodReadyToStartContainers", (sandbox, "", String::new())),
        ("Initialized", initialized),
        ("Ready", gated),
        ("ContainersReady", ready),
        ("PodScheduled", (true, "", String::new())),
    ] {
        let new = Condition::new(kind, ConditionStatus::from(holds), reason, &message, now);
        set_condition(&mut status.conditions, new);
    }
}

/// The quality of service that a pod's requests and limits give it.
pub fn qos_class(pod: &Pod) -> &'static str {
    let all: Vec<&Container> = pod.spec.init_containers.iter().chain(&pod.spec.containers).collect();
    let counted = ["cpu", "memory"];
    let empty = |r: &Resources| counted.iter().all(|k| r.get(*k).is_none_or(Quantity::is_zero));
    if all.iter().all(|c| empty(&c.resources.requests) && empty(&c.resources.limits)) {
        return "BestEffort";
    }
    let guaranteed = all.iter().all(|c| {
        counted.iter().all(|k| {
            let limit = c.resources.limits.get(*k).filter(|q| !q.is_zero());
            let request = c.resources.requests.get(*k).or(limit);
            limit.is_some() && request == limit
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}
