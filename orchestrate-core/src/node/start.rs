//! Starting and restarting a container: back-off, then the image, then the run.

use super::NodeAction;
use super::backoff::{Backoff, spell};
use super::facts::Image;
use super::machine::{Machine, Turn};
use crate::Time;
use crate::objects::{Container, PullPolicy};

impl Machine {
    /// Starts again after a failure at `failed`, when the back-off allows.
    pub(super) fn restart<'a>(&mut self, turn: &mut Turn<'a>, container: &'a Container, attempt: u32, failed: Time) {
        let policy = self.policy.clone();
        let memory = self.recall(&container.name);
        if memory.crash.delay() == 0 && attempt > 1 {
            // A new agent: earlier crashes are only known by their number.
            memory.crash = Backoff::after(attempt - 1, failed, &policy);
        }
        let again = memory.crash.until(failed, &policy);
        if turn.now >= again {
            return self.start(turn, container, attempt, Some(failed));
        }
        turn.wake_at(again);
        let name = &container.name;
        if turn.waiting.contains_key(name.as_str()) {
            return;
        }
        let (delay, meta) = (spell(memory.crash.delay()), &turn.pod.metadata);
        let whose = format!("{}_{}({})", meta.name, meta.namespace, meta.uid);
        let message = format!("back-off {delay} restarting failed container={name} pod={whose}");
        turn.waiting.insert(name, ("CrashLoopBackOff".into(), message));
        let text = format!("Back-off restarting failed container {name} in pod {whose}");
        self.tell(turn, (name, attempt), true, ("back-off", "BackOff"), text);
    }

    /// Starts a container as soon as its image is here.
    pub(super) fn start<'a>(
        &mut self,
        turn: &mut Turn<'a>,
        container: &'a Container,
        attempt: u32,
        failed: Option<Time>,
    ) {
        let name = &container.name;
        if !self.image_is_here(turn, container, attempt) {
            return;
        }
        let (now, policy) = (turn.now, self.policy.clone());
        let memory = self.recall(name);
        memory.pull = Backoff::default();
        if let Some(failed) = failed {
            memory.crash.tried(failed, now, &policy);
        }
        turn.act(NodeAction::Start { container: name.clone(), attempt });
    }

    fn image_is_here<'a>(&mut self, turn: &mut Turn<'a>, container: &'a Container, attempt: u32) -> bool {
        let (image, name) = (&container.image, &container.name);
        let pull_policy = container.pull_policy();
        let fact = turn.facts.images.get(image).cloned().unwrap_or_default();
        let wanted = self.recall(name).pull_wanted.filter(|(a, _)| *a == attempt).map(|(_, at)| at);
        match fact {
            Image::Present { at, .. } => {
                let fresh = pull_policy != PullPolicy::Always || wanted.is_some_and(|w| at >= w);
                if fresh {
                    let text = match wanted {
                        Some(_) => format!("Successfully pulled image \"{image}\""),
                        None => format!("Container image \"{image}\" already present on machine"),
                    };
                    self.tell(turn, (name, attempt), false, ("pulled", "Pulled"), text);
                    return true;
                }
                self.pull(turn, container, attempt);
            }
            Image::Pulling => {
                // Someone else may have asked for it; what arrives from now on is fresh enough.
                let now = turn.now;
                self.recall(name).pull_wanted = Some((attempt, wanted.unwrap_or(now)));
            }
            Image::Absent if pull_policy == PullPolicy::Never => {
                let message = format!("Container image \"{image}\" is not present with pull policy of Never");
                self.tell(turn, (name, attempt), true, ("never", "ErrImageNeverPull"), message.clone());
                turn.waiting.insert(name, ("ErrImageNeverPull".into(), message));
            }
            Image::Absent => self.pull(turn, container, attempt),
            Image::Failed { message, at } => self.pull_failed(turn, container, attempt, (&message, at)),
        }
        false
    }

    fn pull<'a>(&mut self, turn: &mut Turn<'a>, container: &'a Container, attempt: u32) {
        let image = &container.image;
        let now = turn.now;
        self.recall(&container.name).pull_wanted = Some((attempt, now));
        let asked = |a: &NodeAction| matches!(a, NodeAction::Pull { image: i } if i == image);
        if !turn.step.actions.iter().any(asked) {
            turn.act(NodeAction::Pull { image: image.clone() });
        }
        let text = format!("Pulling image \"{image}\"");
        self.tell(turn, (&container.name, attempt), false, ("pulling", "Pulling"), text);
    }

    fn pull_failed<'a>(
        &mut self,
        turn: &mut Turn<'a>,
        container: &'a Container,
        attempt: u32,
        (why, at): (&str, Time),
    ) {
        let (image, name, policy) = (&container.image, &container.name, self.policy.clone());
        // Unlike a crash, the first failed pull is waited for.
        let memory = self.recall(name);
        if memory.pull.delay() == 0 {
            memory.pull.tried(at, at, &policy);
        }
        let again = memory.pull.until(at, &policy);
        if turn.now >= again {
            memory.pull.tried(at, turn.now, &policy);
            return self.pull(turn, container, attempt);
        }
        turn.wake_at(again);
        if turn.now < at + policy.error_shown {
            turn.wake_at(at + policy.error_shown);
            let text = format!("Failed to pull image \"{image}\": {why}");
            self.tell(turn, (name, attempt), true, ("pull-failed", "Failed"), text.clone());
            self.tell(turn, (name, attempt), true, ("err-pull", "Failed"), "Error: ErrImagePull".into());
            turn.waiting.insert(name, ("ErrImagePull".into(), why.into()));
        } else {
            let text = format!("Back-off pulling image \"{image}\"");
            self.tell(turn, (name, attempt), false, ("pull-back-off", "BackOff"), text.clone());
            self.tell(turn, (name, attempt), true, ("err-back-off", "Failed"), "Error: ImagePullBackOff".into());
            turn.waiting.insert(name, ("ImagePullBackOff".into(), format!("{text}: {why}")));
        }
    }
}
