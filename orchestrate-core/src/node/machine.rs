//! The step: which part of its life a pod is in, and what each container needs next.

use std::collections::{BTreeMap, BTreeSet};

use super::backoff::Backoff;
use super::facts::{Exit, Facts, Run, RunState, Sandbox};
use super::probes::Probes;
use super::{NodeAction, NodePolicy, Step};
use crate::Time;
use crate::action::Note;
use crate::objects::{Container, ContainerStatus, Pod, PodPhase, Resource, RestartPolicy};

/// What an agent remembers of one pod between steps.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    pub(super) policy: NodePolicy,
    pub(super) memory: BTreeMap<String, Memory>,
    pub(super) sandbox_backoff: Backoff,
    pub(super) first_seen: Option<Time>,
}

/// What is remembered of one container.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    pub(super) crash: Backoff,
    pub(super) pull: Backoff,
    /// When a pull was wanted for the next attempt.
    pub(super) pull_wanted: Option<(u32, Time)>,
    pub(super) probes: Probes,
    /// Which events were sent, for which attempt.
    told: (u32, BTreeSet<&'static str>),
}

/// One step while it is being thought through.
pub(super) struct Turn<'a> {
    pub(super) pod: &'a Pod,
    pub(super) facts: &'a Facts,
    pub(super) now: Time,
    pub(super) step: Step,
    /// Why containers wait, by name.
    pub(super) waiting: BTreeMap<&'a str, (String, String)>,
}

/// The part that a container plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs to completion before the main containers.
    Init,
    /// Starts among the init containers and stays.
    Sidecar,
    /// One of `spec.containers`.
    Main,
}

/// Where the whole pod stands.
pub(super) enum Verdict {
    /// Containers have to be driven.
    Live,
    /// Everything has ended for good, or has to end.
    Over { phase: PodPhase, reason: &'static str, message: &'static str },
}

impl Turn<'_> {
    pub(super) fn wake_at(&mut self, at: Time) {
        self.step.wake = Some(self.step.wake.map_or(at, |w| w.min(at)));
    }

    pub(super) fn act(&mut self, action: NodeAction) {
        self.step.actions.push(action);
    }
}

pub(super) fn role(pod: &Pod, container: &Container) -> Role {
    if pod.spec.containers.iter().any(|c| c.name == container.name) {
        Role::Main
    } else if container.restart_policy == Some(RestartPolicy::Always) {
        Role::Sidecar
    } else {
        Role::Init
    }
}

/// Says whether a container that ended like this is started again.
pub(super) fn restarts(pod: &Pod, role: Role, exit: &Exit) -> bool {
    match (role, pod.spec.restart_policy()) {
        (Role::Sidecar, _) | (Role::Main, RestartPolicy::Always) => true,
        (_, RestartPolicy::Never) => false,
        (Role::Init, _) | (Role::Main, RestartPolicy::OnFailure) => exit.code != 0,
    }
}

impl Machine {
    /// Starts to look after a pod.
    pub fn new(policy: NodePolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Decides what to do now.
    pub fn step(&mut self, pod: &Pod, facts: &Facts, now: Time) -> Step {
        self.first_seen.get_or_insert(pod.status.start_time.unwrap_or(now));
        let mut turn = Turn { pod, facts, now, step: Step::default(), waiting: BTreeMap::new() };
        for result in &facts.probes {
            self.probe_result(&mut turn, result);
        }
        self.follow_runs(&mut turn);
        let verdict = self.verdict(&mut turn);
        let stopping = pod.metadata.is_deleting() || matches!(verdict, Verdict::Over { .. });
        if stopping {
            self.stop(&mut turn);
        } else if self.sandbox_is_ready(&mut turn) {
            self.drive_containers(&mut turn);
        }
        self.report(&mut turn, &verdict);
        turn.step
    }

    pub(super) fn recall(&mut self, container: &str) -> &mut Memory {
        self.memory.entry(container.into()).or_default()
    }

    /// Sends an event once for each attempt of a container.
    pub(super) fn tell(
        &mut self,
        turn: &mut Turn<'_>,
        (container, attempt): (&str, u32),
        warning: bool,
        (key, reason): (&'static str, &str),
        message: String,
    ) {
        let memory = self.recall(container);
        if attempt > memory.told.0 {
            memory.told = (attempt, BTreeSet::new());
        }
        if attempt == memory.told.0 && memory.told.1.insert(key) {
            self.say(turn, warning, reason, message);
        }
    }

    pub(super) fn say(&self, turn: &mut Turn<'_>, warning: bool, reason: &str, message: String) {
        let note =
            Note { about: turn.pod.reference(), warning, reason: reason.into(), message, component: "kubelet".into() };
        turn.act(NodeAction::Event(note));
    }

    /// Notices what runs have become since the last step.
    fn follow_runs(&mut self, turn: &mut Turn<'_>) {
        let facts = turn.facts;
        for (name, run) in &facts.containers {
            let known = |s: &ContainerStatus| s.container_id == run.id && s.state.running.is_some();
            let known = turn.pod.status.container_statuses.iter().any(known);
            if run.running_since().is_some() && !known {
                self.tell(
                    turn,
                    (name, run.attempt),
                    false,
                    ("created", "Created"),
                    format!("Created container: {name}"),
                );
                self.tell(
                    turn,
                    (name, run.attempt),
                    false,
                    ("started", "Started"),
                    format!("Started container {name}"),
                );
            }
            if let RunState::Failed { reason, message, .. } = &run.state {
                let text = if message.is_empty() { format!("Error: {reason}") } else { format!("Error: {message}") };
                self.tell(turn, (name, run.attempt), true, ("failed", "Failed"), text);
            }
            self.recall(name).probes.follow(run);
        }
    }

    fn verdict(&self, turn: &mut Turn<'_>) -> Verdict {
        let pod = turn.pod;
        if let Some(phase) = pod.status.phase.filter(|_| pod.is_finished()) {
            return Verdict::Over { phase, reason: "", message: "" };
        }
        if let (Some(seconds), Some(start)) = (pod.spec.active_deadline_seconds, self.first_seen) {
            let end = start.plus_secs(seconds);
            if turn.now >= end {
                let message = "Pod was active on the node longer than the specified deadline";
                return Verdict::Over { phase: PodPhase::Failed, reason: "DeadlineExceeded", message };
            }
            turn.wake_at(end);
        }
        let ended = |c: &Container| {
            let exit = turn.facts.containers.get(&c.name).and_then(Run::exit)?;
            (!restarts(pod, role(pod, c), exit)).then_some(exit.code)
        };
        let init_failed = pod.spec.init_containers.iter().filter_map(ended).any(|code| code != 0);
        if init_failed {
            return Verdict::Over { phase: PodPhase::Failed, reason: "", message: "" };
        }
        let any_end = |c: &Container| turn.facts.containers.get(&c.name).and_then(Run::exit).map(|e| e.code);
        let deleting = pod.metadata.is_deleting();
        let end = |c: &Container| if deleting { any_end(c) } else { ended(c) };
        let ends: Option<Vec<i32>> = pod.spec.containers.iter().map(end).collect();
        match ends {
            Some(codes) if !codes.is_empty() => {
                let good = codes.iter().all(|code| *code == 0);
                let phase = if good { PodPhase::Succeeded } else { PodPhase::Failed };
                Verdict::Over { phase, reason: "", message: "" }
            }
            _ => Verdict::Live,
        }
    }

    fn sandbox_is_ready(&mut self, turn: &mut Turn<'_>) -> bool {
        match &turn.facts.sandbox {
            Sandbox::Ready { .. } => return true,
            Sandbox::Absent => turn.act(NodeAction::EnsureSandbox),
            Sandbox::Failed { message, at } => {
                let again = self.sandbox_backoff.until(*at, &self.policy).max(*at + 1000);
                let text = format!("Failed to create pod sandbox: {message}");
                let attempt = at.0.unsigned_abs() as u32;
                self.tell(turn, ("", attempt), true, ("sandbox", "FailedCreatePodSandBox"), text);
                if turn.now >= again {
                    self.sandbox_backoff.tried(*at, turn.now, &self.policy);
                    turn.act(NodeAction::EnsureSandbox);
                } else {
                    turn.wake_at(again);
                }
            }
            Sandbox::Starting | Sandbox::Stopping => {}
        }
        false
    }

    /// Init containers one after the other, sidecars among them; then all main containers.
    fn drive_containers(&mut self, turn: &mut Turn<'_>) {
        let pod = turn.pod;
        let begun = pod.spec.containers.iter().any(|c| turn.facts.containers.contains_key(&c.name));
        for container in &pod.spec.init_containers {
            let role = role(pod, container);
            if begun && role == Role::Init {
                continue;
            }
            self.drive(turn, container, role);
            let run = turn.facts.containers.get(&container.name);
            let passed = match role {
                Role::Sidecar => run.is_some_and(|r| self.is_started(container, r)),
                _ => run.and_then(Run::exit).is_some_and(|e| e.code == 0),
            };
            if !passed && !begun {
                return;
            }
        }
        for container in &pod.spec.containers {
            self.drive(turn, container, Role::Main);
        }
    }

    fn drive<'a>(&mut self, turn: &mut Turn<'a>, container: &'a Container, role: Role) {
        let Some(run) = turn.facts.containers.get(&container.name) else {
            return self.start(turn, container, 0, None);
        };
        match &run.state {
            RunState::Running { since } => self.watch(turn, container, run, *since),
            RunState::Exited(exit) if restarts(turn.pod, role, exit) => {
                self.restart(turn, container, run.attempt + 1, exit.finished);
            }
            RunState::Starting | RunState::Exited(_) => {}
            RunState::Failed { reason, message, at } => {
                // What never existed is not a restart, and keeps its reason while it waits.
                let existed = matches!(reason.as_str(), "RunContainerError" | "PostStartHookError");
                let why = (reason.clone(), message.clone());
                if !existed {
                    turn.waiting.insert(&container.name, why.clone());
                }
                self.restart(turn, container, run.attempt + u32::from(existed), *at);
                turn.waiting.entry(&container.name).or_insert(why);
            }
        }
    }
}
