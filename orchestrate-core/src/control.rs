//! The control plane's mind: all controllers and the scheduler, as one decision over one world.
//!
//! Whoever owns the loop owns time: a real API server's loop under a wall clock and the simulation under virtual time
//! call the same function.

use crate::action::Plan;
use crate::controllers::{Policy, reconcile};
use crate::schedule::{QueuePolicy, Scheduler};
use crate::{Time, World};

/// Controllers and scheduler, with the little that they remember.
#[derive(Debug, Clone, Default)]
pub struct Control {
    policy: Policy,
    scheduler: Option<Scheduler>,
}

impl Control {
    /// Sets it up; without a queue, somebody else schedules.
    pub fn new(policy: Policy, queue: Option<QueuePolicy>) -> Self {
        Self { policy, scheduler: queue.map(Scheduler::new) }
    }

    /// Schedules with these knobs from now on, or not at all.
    pub fn schedule_with(&mut self, queue: Option<QueuePolicy>) {
        self.scheduler = queue.map(Scheduler::new);
    }

    /// One pass: what should be done now, and when to look again. Carry it out, and call again until nothing is left.
    pub fn decide(&mut self, world: &World, now: Time) -> Plan {
        let mut plan = reconcile(world, &self.policy, now);
        if let Some(scheduler) = &mut self.scheduler {
            plan.merge(scheduler.step(world, now));
        }
        plan
    }
}
