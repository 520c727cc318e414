//! The end of a pod: main containers first, sidecars last in reverse order, then the sandbox.

use super::NodeAction;
use super::facts::{Run, Sandbox};
use super::machine::{Machine, Role, Turn, role};
use crate::objects::{Container, Probe};

/// What a sidecar gets at least, unless the pod's end is forced.
const SHORTEST_GRACE: i64 = 2;

impl Machine {
    /// Stops what still runs; says when nothing is left.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>) {
        let (pod, facts) = (turn.pod, turn.facts);
        let alive = |c: &&Container| facts.containers.get(&c.name).is_some_and(Run::is_alive);
        let all = || pod.spec.init_containers.iter().chain(&pod.spec.containers).filter(alive);
        let workers: Vec<&Container> = all().filter(|c| role(pod, c) != Role::Sidecar).collect();
        let last_sidecar = all().rfind(|c| role(pod, c) == Role::Sidecar);
        if !workers.is_empty() {
            let grace = self.grace(turn);
            for container in workers {
                self.kill(turn, container, grace, format!("Stopping container {}", container.name));
            }
        } else if let Some(sidecar) = last_sidecar {
            let grace = self.grace(turn);
            let left = pod.metadata.deletion_timestamp.map_or(grace, |end| end.since(turn.now) / 1000);
            let grace = if grace == 0 { 0 } else { left.clamp(SHORTEST_GRACE, grace.max(SHORTEST_GRACE)) };
            self.kill(turn, sidecar, grace, format!("Stopping container {}", sidecar.name));
        } else {
            match facts.sandbox {
                Sandbox::Ready { .. } => turn.act(NodeAction::RemoveSandbox),
                Sandbox::Absent | Sandbox::Failed { .. } => turn.step.finished = pod.metadata.is_deleting(),
                Sandbox::Starting | Sandbox::Stopping => {}
            }
        }
    }

    fn grace(&self, turn: &Turn<'_>) -> i64 {
        turn.pod.metadata.deletion_grace_period_seconds.unwrap_or(turn.pod.spec.grace_seconds()).max(0)
    }

    /// A container that its probe condemned.
    pub(super) fn kill_unhealthy(&mut self, turn: &mut Turn<'_>, container: &Container, probe: &Probe, what: &str) {
        let grace = probe.termination_grace_period_seconds.unwrap_or(turn.pod.spec.grace_seconds());
        let text = format!("Container {} failed {what} probe, will be restarted", container.name);
        self.kill(turn, container, grace, text);
    }

    /// Asks for a kill unless one with no more grace is under way.
    fn kill(&mut self, turn: &mut Turn<'_>, container: &Container, grace: i64, reason: String) {
        let Some(run) = turn.facts.containers.get(&container.name) else { return };
        if run.stopping.is_some_and(|s| s.grace <= grace) {
            return;
        }
        self.tell(turn, (&container.name, run.attempt), false, ("killing", "Killing"), reason.clone());
        turn.act(NodeAction::Kill {
            container: container.name.clone(),
            grace,
            reason,
            pre_stop: container.lifecycle.as_ref().and_then(|l| l.pre_stop.clone()).filter(|_| grace > 0),
        });
    }
}
