//! The control plane as a loop without a clock: change log → world → decisions → requests.
//!
//! [`ControlPlane::step`] brings everything that the controllers and the scheduler have to decide to
//! rest at one moment, and says when to look again. The caller owns time: a cluster calls it when
//! the bell rings or the wake is due, a simulation jumps from wake to wake. Decisions are made in
//! `orchestrate_core`; here they only become ordinary requests, so that a stale one fails as a
//! conflict like anybody's.

mod act;
mod events;
#[cfg(test)]
mod tests;

use orchestrate_core::action::Note;
use orchestrate_core::control::Control;
use orchestrate_core::controllers::Policy;
use orchestrate_core::schedule::QueuePolicy;
use orchestrate_core::{Action, Change, Key, Kind, Object, Time, World};
use serde_json::Value;

use crate::resource::Resource;
use crate::time::Millis;
use crate::{ApiServer, ChangeKind, Status};

/// Rounds at one moment after which the loop must be chasing its own tail.
const MAX_ROUNDS: usize = 2000;
/// How long after a refused action the same decision is tried again.
const RETRY_AFTER: Millis = 1000;

/// Everything that decides on behalf of a cluster.
#[derive(Debug)]
pub struct ControlPlane {
    world: World,
    control: Control,
    seen: Option<u64>,
    events: events::Recorder,
}

/// One decision that was carried out, or refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// What was decided.
    pub action: Action,
    /// The refusal, if the server would not have it.
    pub refused: Option<Status>,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.action.fmt(f)?;
        match &self.refused {
            Some(status) => write!(f, " (refused: {status})"),
            None => Ok(()),
        }
    }
}

/// What one step did.
#[derive(Debug, Default)]
pub struct Stepped {
    /// Every decision in order.
    pub done: Vec<Done>,
    /// Step again at this moment at the latest.
    pub wake: Option<Millis>,
    /// The decisions did not come to rest: some controller works against another or itself.
    pub restless: bool,
}

impl ControlPlane {
    /// A control plane with these knobs, and a scheduler with upstream's.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let control = Control::new(policy, Some(QueuePolicy::default()));
        Self { world: World::default(), control, seen: None, events: events::Recorder::default() }
    }

    /// Schedules with these knobs, or not at all.
    #[must_use]
    pub fn with_scheduler(mut self, policy: Option<QueuePolicy>) -> Self {
        self.control.schedule_with(policy);
        self
    }

    /// The world as the last step left it.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Makes an Event of what somebody outside of the loop has to say, such as a node's agent; the same said again only
    /// counts up.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn record(&mut self, api: &mut ApiServer, now: Millis, note: &Note) -> Result<(), Status> {
        self.events.record(api, now, note)
    }

    /// Decides and acts until there is nothing more to do at this moment.
    pub fn step(&mut self, api: &mut ApiServer, now: Millis) -> Stepped {
        let mut out = Stepped::default();
        for _ in 0..MAX_ROUNDS {
            self.observe(api);
            let plan = self.decide(now);
            out.wake = plan.wake.map(|at| at.0);
            let mut progress = false;
            let mut refused = false;
            for action in plan.actions {
                let result = self.act(api, now, &action);
                let counts = !matches!(action, Action::Event(_));
                progress |= counts && result.is_ok();
                refused |= counts && result.is_err();
                out.done.push(Done { action, refused: result.err() });
            }
            if !progress {
                if refused {
                    let retry = now + RETRY_AFTER;
                    out.wake = Some(out.wake.map_or(retry, |wake| wake.min(retry)));
                }
                self.observe(api);
                return out;
            }
        }
        out.restless = true;
        out.wake = Some(now + RETRY_AFTER);
        out
    }

    fn decide(&mut self, now: Millis) -> orchestrate_core::Plan {
        self.control.decide(&self.world, Time(now))
    }

    /// Brings the world up to the store.
    pub fn observe(&mut self, api: &ApiServer) {
        let changes = self.seen.and_then(|seen| api.changes_since(seen));
        match changes {
            Some(changes) => {
                for change in changes {
                    let removed = change.kind == ChangeKind::Deleted;
                    self.world.extend(read(change.resource, &change.object, removed));
                }
            }
            None => self.start_over(api),
        }
        self.seen = Some(api.revision());
    }

    /// Builds the world from nothing, at the beginning or after falling off the log.
    fn start_over(&mut self, api: &ApiServer) {
        self.world = World::default();
        for (index, resource) in crate::RESOURCES.iter().enumerate() {
            if resource.store == index {
                let objects = api.objects(resource, "");
                self.world.extend(objects.iter().filter_map(|object| read(resource, object, false)));
            }
        }
    }
}

/// A stored object as a change of the world; nothing for kinds that no decision reads.
fn read(resource: &Resource, object: &Value, removed: bool) -> Option<Change> {
    let kind = Kind::find(&resource.api_version(), resource.kind)?;
    if removed {
        let metadata = &object["metadata"];
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or("");
        return Some(Change::Remove(Key::new(kind, text("namespace"), text("name"))));
    }
    // What the schema let in has the shape that the world reads; what has not cannot be decided upon.
    Object::from_json(object.clone()).ok().map(Change::Set)
}
