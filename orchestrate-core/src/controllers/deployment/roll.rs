//! The two strategies: rolling update and recreation; and the clean-up of old ReplicaSets.

use super::arithmetic::{max_unavailable, new_set_size};
use super::sets::revision;
use super::{Rollout, status};
use crate::action::{Action, Propagation};
use crate::controllers::target;
use crate::objects::ReplicaSet;

impl Rollout<'_> {
    /// First grow the new set as far as the surge allows, else shrink the old ones as far as availability allows.
    pub(super) fn roll(&mut self) {
        self.sync_revision(true);
        if self.grow_new() || self.shrink_old() {
            return;
        }
        if status::is_complete(&self.deployment, &self.deployment.status) {
            self.clean_up();
        }
    }

    /// Stop everything old, wait until it is gone, then start the new set.
    pub(super) fn recreate(&mut self) {
        let active: Vec<String> =
            self.old.iter().filter(|s| s.replicas() > 0).map(|s| s.metadata.name.clone()).collect();
        if !active.is_empty() {
            for name in active {
                self.resize(&name, 0);
            }
            return;
        }
        if self.old_pods_run() {
            return;
        }
        if self.new.is_none() {
            self.sync_revision(true);
        }
        self.grow_new();
        if status::is_complete(&self.deployment, &self.deployment.status) {
            self.clean_up();
        }
    }

    fn old_pods_run(&self) -> bool {
        self.old.iter().any(|s| self.world.pods_of(&s.metadata.uid).any(|p| !p.is_finished()))
    }

    pub(super) fn grow_new(&mut self) -> bool {
        let Some(new) = &self.new else { return false };
        let (name, size, wanted) = (new.metadata.name.clone(), new.replicas(), self.deployment.replicas());
        if size == wanted {
            return false;
        }
        let goal = if size > wanted { wanted } else { new_set_size(&self.deployment, self.total(), size) };
        if goal == size {
            return false;
        }
        self.resize(&name, goal);
        true
    }

    pub(super) fn shrink_old(&mut self) -> bool {
        let Some(new) = &self.new else { return false };
        if self.old.iter().all(|s| s.replicas() == 0) {
            return false;
        }
        let min_available = self.deployment.replicas() - max_unavailable(&self.deployment);
        let new_unavailable = new.replicas() - new.status.available_replicas;
        let most = self.total() - min_available - new_unavailable;
        if most <= 0 {
            return false;
        }
        let unhealthy = self.shrink_each(most, |s| (s.replicas() - s.status.available_replicas).max(0));
        // A status that lags behind its own spec counts pods that are about to go; upstream believes it and can fall
        // below the minimum.
        let available: i32 = self.all().map(|s| s.status.available_replicas.min(s.replicas())).sum();
        let spare = available - min_available;
        let healthy = spare > 0 && self.shrink_each(spare, ReplicaSet::replicas);
        unhealthy || healthy
    }

    /// Takes up to `most` pods away from the old sets, oldest first, from each at most what `from` says.
    pub(super) fn shrink_each(&mut self, most: i32, from: impl Fn(&ReplicaSet) -> i32) -> bool {
        let mut left = most;
        let steps: Vec<(String, i32)> = self
            .old
            .iter()
            .filter_map(|set| {
                let part = from(set).min(left);
                left -= part.max(0);
                (part > 0).then(|| (set.metadata.name.clone(), set.replicas() - part))
            })
            .collect();
        for (name, size) in &steps {
            self.resize(name, *size);
        }
        !steps.is_empty()
    }

    /// Deletes the oldest revisions beyond the history limit, if they are empty and settled.
    pub(super) fn clean_up(&mut self) {
        let limit = self.deployment.spec.revision_history_limit.unwrap_or(10).max(0);
        let mut old: Vec<&ReplicaSet> = self.old.iter().filter(|s| !s.metadata.is_deleting()).collect();
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        old.sort_by_key(|s| revision(&s.metadata));
        let settled = |s: &&ReplicaSet| {
            s.status.replicas == 0 && s.replicas() == 0 && s.metadata.generation <= s.status.observed_generation
        };
        for set in old.into_iter().take(surplus).filter(settled) {
            let on = target(set);
            self.plan.actions.push(Action::Delete { on, grace: None, propagation: Propagation::Background });
        }
    }
}
