//! Deployments: one ReplicaSet per template, rolled over within the allowed surge and unavailability.
//!
//! `sync` is upstream's flow in upstream's order. The pieces: `arithmetic` (numbers), `sets` (which ReplicaSet is the
//! new one, revisions), `roll` (rolling update, recreation, clean-up), `scale` (proportional scaling), `status`
//! (counts and conditions). A rollback is a change of the template back to an old one; there is nothing special to it.

pub(super) mod arithmetic;
mod roll;
mod scale;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use super::claim::claim;
use super::note;
use crate::action::Plan;
use crate::objects::{Deployment, ReplicaSet};
use crate::{Time, World};

const COMPONENT: &str = "deployment-controller";
const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";

pub(super) fn reconcile(world: &World, now: Time) -> Plan {
    let mut plan = Plan::default();
    for deployment in world.deployments.iter() {
        plan.merge(sync(world, deployment, now));
    }
    plan
}

/// One Deployment while it is being decided about: copies that the steps change as they ask for changes.
struct Rollout<'a> {
    world: &'a World,
    now: Time,
    /// The Deployment; its status and annotations are changed as the pass goes on.
    deployment: Deployment,
    /// The ReplicaSet of the current template.
    new: Option<ReplicaSet>,
    /// All others, oldest first.
    old: Vec<ReplicaSet>,
    plan: Plan,
}

fn sync(world: &World, observed: &Deployment, now: Time) -> Plan {
    let mut plan = Plan::default();
    if observed.spec.selector.is_empty() {
        let message = "This deployment is selecting all pods. A non-empty selector is required.";
        plan.actions.push(note(observed, COMPONENT, true, "SelectingAll", message.into()));
        return plan;
    }
    let sets = world.replica_sets.in_namespace(&observed.metadata.namespace);
    let mut mine: Vec<ReplicaSet> =
        sets.filter(|s| claim(observed, &observed.spec.selector, *s, &mut plan.actions)).cloned().collect();
    mine.sort_by(|a, b| (a.metadata.created(), &a.metadata.name).cmp(&(b.metadata.created(), &b.metadata.name)));
    let new = sets::position_of_new(observed, &mine).map(|at| mine.remove(at));
    let mut rollout = Rollout { world, now, deployment: observed.clone(), new, old: mine, plan };
    rollout.run();
    rollout.finish(observed)
}

impl Rollout<'_> {
    fn run(&mut self) {
        if self.deployment.metadata.is_deleting() {
            return self.sync_status();
        }
        self.note_pause();
        self.sync_revision(false);
        if self.deployment.spec.paused || self.is_scaling() {
            self.scale();
            if self.deployment.spec.paused {
                self.clean_up();
            }
            return self.sync_status();
        }
        if arithmetic::is_rolling(&self.deployment) {
            self.roll();
        } else {
            self.recreate();
        }
        self.sync_rollout_status();
    }

    /// All ReplicaSets, the new one last.
    fn all(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.old.iter().chain(&self.new)
    }

    fn total(&self) -> i32 {
        self.all().map(ReplicaSet::replicas).sum()
    }
}
