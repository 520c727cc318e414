//! Probes: when each is due, what its results add up to, and what follows.

use super::NodeAction;
use super::facts::{Outcome, ProbeKind, ProbeResult, Run};
use super::machine::{Machine, Turn};
use crate::Time;
use crate::objects::{Container, Probe};

/// How long after its timeout a result may still arrive before the probe is sent again.
const LOST_AFTER: i64 = 10;

/// The probes of one container's current run.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    attempt: Option<u32>,
    startup: Worker,
    liveness: Worker,
    readiness: Worker,
}

#[derive(Debug, Clone, Default)]
struct Worker {
    sent: u64,
    sent_at: Option<Time>,
    in_flight: bool,
    last: Option<bool>,
    in_a_row: i64,
    /// What the results add up to; none until a threshold was reached.
    verdict: Option<bool>,
}

impl Probes {
    /// A new run starts with a clean slate.
    pub(super) fn follow(&mut self, run: &Run) {
        if self.attempt != Some(run.attempt) {
            *self = Self { attempt: Some(run.attempt), ..Self::default() };
        }
    }

    const fn worker(&mut self, kind: ProbeKind) -> &mut Worker {
        match kind {
            ProbeKind::Startup => &mut self.startup,
            ProbeKind::Liveness => &mut self.liveness,
            ProbeKind::Readiness => &mut self.readiness,
        }
    }
}

impl Worker {
    fn take(&mut self, probe: &Probe, success: bool) {
        self.in_flight = false;
        self.in_a_row = if self.last == Some(success) { self.in_a_row + 1 } else { 1 };
        self.last = Some(success);
        let threshold = if success { probe.successes() } else { probe.failures() };
        if self.in_a_row >= threshold {
            self.verdict = Some(success);
        }
    }

    /// When the probe is due next.
    fn due(&self, probe: &Probe, since: Time) -> Time {
        match self.sent_at {
            None => since.plus_secs(probe.initial_delay_seconds.into()),
            Some(at) if self.in_flight => at.plus_secs(probe.timeout() + LOST_AFTER),
            Some(at) => at.plus_secs(probe.period()),
        }
    }
}

fn probe_of(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    }
}

impl Machine {
    pub(super) fn probe_result(&mut self, turn: &mut Turn<'_>, result: &ProbeResult) {
        let pod = turn.pod;
        let mut all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
        let Some(container) = all.find(|c| c.name == result.container) else { return };
        let Some(probe) = probe_of(container, result.kind) else { return };
        let worker = self.recall(&container.name).probes.worker(result.kind);
        if !worker.in_flight || worker.sent != result.number {
            return;
        }
        worker.take(probe, result.outcome == Outcome::Success);
        if let Outcome::Failure(why) = &result.outcome {
            let message = format!("{} probe failed: {why}", result.kind.as_str());
            self.say(turn, true, "Unhealthy", message);
        }
    }

    /// Says whether the container runs and its startup probe, if any, has succeeded.
    pub(super) fn is_started(&self, container: &Container, run: &Run) -> bool {
        let passed = || self.memory.get(&container.name).and_then(|m| m.probes.startup.verdict) == Some(true);
        run.running_since().is_some() && (container.startup_probe.is_none() || passed())
    }

    /// Says whether the container may receive requests.
    pub(super) fn is_ready(&self, container: &Container, run: &Run) -> bool {
        let passed = || self.memory.get(&container.name).and_then(|m| m.probes.readiness.verdict) == Some(true);
        self.is_started(container, run) && (container.readiness_probe.is_none() || passed())
    }

    /// Sends the probes that are due and acts on verdicts, for a container that runs since `since`.
    pub(super) fn watch(&mut self, turn: &mut Turn<'_>, container: &Container, run: &Run, since: Time) {
        let started = self.is_started(container, run);
        let kinds: &[ProbeKind] =
            if started { &[ProbeKind::Liveness, ProbeKind::Readiness] } else { &[ProbeKind::Startup] };
        for kind in kinds {
            let Some(probe) = probe_of(container, *kind) else { continue };
            let now = turn.now;
            let worker = self.recall(&container.name).probes.worker(*kind);
            if *kind != ProbeKind::Readiness && worker.verdict == Some(false) {
                let what = if *kind == ProbeKind::Startup { "startup" } else { "liveness" };
                self.kill_unhealthy(turn, container, probe, what);
                continue;
            }
            let due = worker.due(probe, since);
            if now < due {
                turn.wake_at(due);
                continue;
            }
            if worker.in_flight {
                worker.take(probe, false);
            }
            worker.sent += 1;
            worker.sent_at = Some(now);
            worker.in_flight = true;
            let number = worker.sent;
            let again = worker.due(probe, since);
            turn.act(NodeAction::Probe {
                container: container.name.clone(),
                kind: *kind,
                probe: probe.clone(),
                number,
            });
            turn.wake_at(again);
        }
    }
}
