//! Scaling: directly when one ReplicaSet is active, in proportion when a rollout is under way.

use serde_json::json;

use super::arithmetic::{is_rolling, max_surge, proportion};
use super::{COMPONENT, DESIRED, MAX, Rollout};
use crate::action::Action;
use crate::controllers::{note, target};
use crate::objects::{Deployment, ReplicaSet};

fn annotated(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.metadata.annotations.get(key).and_then(|v| v.parse().ok())
}

/// Says whether the new set alone carries the whole Deployment.
fn is_saturated(d: &Deployment, set: &ReplicaSet) -> bool {
    let wanted = d.replicas();
    set.replicas() == wanted && annotated(set, DESIRED) == Some(wanted) && set.status.available_replicas == wanted
}

impl Rollout<'_> {
    /// Says whether the wanted number changed since the active sets were last sized.
    pub(super) fn is_scaling(&self) -> bool {
        let wanted = self.deployment.replicas();
        self.all().filter(|s| s.replicas() > 0).any(|s| annotated(s, DESIRED).is_some_and(|n| n != wanted))
    }

    pub(super) fn scale(&mut self) {
        let wanted = self.deployment.replicas();
        let active: Vec<String> = self.all().filter(|s| s.replicas() > 0).map(|s| s.metadata.name.clone()).collect();
        let only = match active.as_slice() {
            [] => self.new.as_ref().or(self.old.last()).map(|s| s.metadata.name.clone()),
            [one] => Some(one.clone()),
            _ => None,
        };
        if let Some(name) = only {
            return self.resize(&name, wanted);
        }
        if active.is_empty() {
            return;
        }
        if self.new.as_ref().is_some_and(|s| is_saturated(&self.deployment, s)) {
            let old: Vec<String> =
                self.old.iter().filter(|s| s.replicas() > 0).map(|s| s.metadata.name.clone()).collect();
            for name in old {
                self.resize(&name, 0);
            }
        } else if is_rolling(&self.deployment) {
            self.scale_in_proportion();
        }
    }

    fn scale_in_proportion(&mut self) {
        let d = &self.deployment;
        let mut sets: Vec<ReplicaSet> = self.all().filter(|s| s.replicas() > 0).cloned().collect();
        let allowed = if d.replicas() > 0 { d.replicas() + max_surge(d) } else { 0 };
        let to_add = allowed - sets.iter().map(ReplicaSet::replicas).sum::<i32>();
        // Larger first; of equals the newer grows first and the older shrinks first.
        sets.sort_by(|a, b| {
            let age = (a.metadata.created(), &a.metadata.name).cmp(&(b.metadata.created(), &b.metadata.name));
            b.replicas().cmp(&a.replicas()).then(if to_add > 0 { age.reverse() } else { age })
        });
        let mut added = 0;
        let mut sizes = Vec::new();
        for set in &sets {
            let before = annotated(set, MAX).unwrap_or(d.status.replicas);
            let part = proportion(set, d, before, to_add, added);
            added += part;
            sizes.push((set.metadata.name.clone(), set.replicas() + part));
        }
        if let Some((_, size)) = sizes.first_mut() {
            *size = (*size + to_add - added).max(0);
        }
        for (name, size) in sizes {
            self.resize(&name, size);
        }
    }

    /// Gives a set its size and notes what the size was made for; says so if the size changes.
    pub(super) fn resize(&mut self, name: &str, size: i32) {
        let (desired, max) = (self.deployment.replicas(), self.deployment.replicas() + max_surge(&self.deployment));
        let Some(set) = self.old.iter_mut().chain(&mut self.new).find(|s| s.metadata.name == name) else { return };
        let was = set.replicas();
        let noted = annotated(set, DESIRED) == Some(desired) && annotated(set, MAX) == Some(max);
        if was == size && noted {
            return;
        }
        let marks = json!({ DESIRED: desired.to_string(), MAX: max.to_string() });
        let patch = json!({ "metadata": { "annotations": marks }, "spec": { "replicas": size } });
        let on = target(set);
        set.spec.replicas = Some(size);
        set.metadata.annotations.insert(DESIRED.into(), desired.to_string());
        set.metadata.annotations.insert(MAX.into(), max.to_string());
        self.plan.actions.push(Action::Patch { on, patch });
        if was != size {
            let way = if size > was { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {name} from {was} to {size}");
            self.plan.actions.push(note(&self.deployment, COMPONENT, false, "ScalingReplicaSet", message));
        }
    }
}
