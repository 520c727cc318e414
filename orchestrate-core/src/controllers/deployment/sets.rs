//! Which ReplicaSet belongs to the current template, how it is made, and how revisions are counted.

use serde_json::{Map, Value, json};

use super::arithmetic::{max_surge, new_set_size};
use super::{COMPONENT, DESIRED, HASH, MAX, REVISION, REVISION_HISTORY, Rollout};
use crate::action::Action;
use crate::controllers::names::template_hash;
use crate::controllers::{note, target};
use crate::objects::{
    Condition, ConditionStatus, Deployment, Object, ObjectMeta, PodTemplateSpec, ReplicaSet, ReplicaSetSpec, Resource,
    condition,
};

/// Annotations that stay with the object they are on.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// The oldest ReplicaSet whose template equals the Deployment's, the hash label aside.
pub(super) fn position_of_new(d: &Deployment, sets: &[ReplicaSet]) -> Option<usize> {
    let plain = |template: &PodTemplateSpec| {
        let mut template = template.clone();
        template.metadata.labels.remove(HASH);
        template
    };
    let wanted = plain(&d.spec.template);
    sets.iter().position(|s| plain(&s.spec.template) == wanted)
}

pub(super) fn revision(meta: &ObjectMeta) -> i64 {
    meta.annotations.get(REVISION).and_then(|r| r.parse().ok()).unwrap_or_default()
}

impl Rollout<'_> {
    /// Brings revision and annotations of the new ReplicaSet up to date; makes it if there is none and `create`.
    pub(super) fn sync_revision(&mut self, create: bool) {
        let next = self.old.iter().map(|s| revision(&s.metadata)).max().unwrap_or_default() + 1;
        if let Some(mut set) = self.new.take() {
            self.update_new(&mut set, next);
            self.adopt_revision(&set);
            if self.progressing().is_none() {
                let message = format!("Found new replica set \"{}\"", set.metadata.name);
                self.set_progressing(ConditionStatus::True, "FoundNewReplicaSet", &message);
            }
            self.new = Some(set);
        } else if create {
            self.create_new(next);
        }
    }

    fn update_new(&mut self, set: &mut ReplicaSet, next: i64) {
        let mut changes = self.copied_annotations(set);
        let had = revision(&set.metadata);
        if had < next {
            changes.insert(REVISION.into(), next.to_string());
            if had > 0 {
                let history = set.metadata.annotations.get(REVISION_HISTORY);
                let history = history.map_or_else(|| had.to_string(), |h| format!("{h},{had}"));
                changes.insert(REVISION_HISTORY.into(), history);
            }
        }
        let min_ready = self.deployment.spec.min_ready_seconds;
        if changes.is_empty() && set.spec.min_ready_seconds == min_ready {
            return;
        }
        let mut patch = Map::new();
        if set.spec.min_ready_seconds != min_ready {
            patch.insert("spec".into(), json!({ "minReadySeconds": min_ready }));
        }
        if !changes.is_empty() {
            patch.insert("metadata".into(), json!({ "annotations": changes }));
        }
        set.metadata.annotations.extend(changes);
        set.spec.min_ready_seconds = min_ready;
        self.plan.actions.push(Action::Patch { on: target(set), patch: Value::Object(patch) });
    }

    /// Annotations of the Deployment that its new set should have and has not.
    fn copied_annotations(&self, set: &ReplicaSet) -> std::collections::BTreeMap<String, String> {
        let theirs = &set.metadata.annotations;
        let ours = self.deployment.metadata.annotations.iter();
        ours.filter(|(k, v)| !NOT_COPIED.contains(&k.as_str()) && theirs.get(*k) != Some(*v))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// The Deployment's revision is that of its new set.
    fn adopt_revision(&mut self, set: &ReplicaSet) {
        if let Some(revision) = set.metadata.annotations.get(REVISION) {
            self.deployment.metadata.annotations.insert(REVISION.into(), revision.clone());
        }
    }

    fn create_new(&mut self, revision: i64) {
        let d = &self.deployment;
        let hash = template_hash(&d.spec.template, d.status.collision_count);
        let name = format!("{}-{hash}", d.metadata.name);
        if self.world.replica_sets.get(&d.metadata.namespace, &name).is_some() {
            // Another template has this hash: count the collision and try again in the next pass.
            *self.deployment.status.collision_count.get_or_insert_default() += 1;
            return;
        }
        let mut set = ReplicaSet { metadata: ObjectMeta::named(&d.metadata.namespace, &name), ..Default::default() };
        let mut template = d.spec.template.clone();
        template.metadata.labels.insert(HASH.into(), hash.clone());
        let mut selector = d.spec.selector.clone();
        selector.match_labels.insert(HASH.into(), hash);
        set.metadata.labels.clone_from(&template.metadata.labels);
        set.metadata.owner_references = vec![d.owner_reference()];
        set.metadata.annotations = self.copied_annotations(&set);
        set.metadata.annotations.insert(REVISION.into(), revision.to_string());
        set.metadata.annotations.insert(DESIRED.into(), d.replicas().to_string());
        set.metadata.annotations.insert(MAX.into(), (d.replicas() + max_surge(d)).to_string());
        let size = new_set_size(d, self.total(), 0);
        set.spec = ReplicaSetSpec {
            replicas: Some(size),
            min_ready_seconds: d.spec.min_ready_seconds,
            selector,
            template,
            ..Default::default()
        };
        self.plan.actions.push(Action::Create { object: Object::from(set.clone()) });
        if size > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {size}");
            self.plan.actions.push(note(&self.deployment, COMPONENT, false, "ScalingReplicaSet", message));
        }
        self.adopt_revision(&set);
        self.set_progressing(
            ConditionStatus::True,
            "NewReplicaSetCreated",
            &format!("Created new replica set \"{name}\""),
        );
        self.new = Some(set);
    }

    pub(super) fn progressing(&self) -> Option<&Condition> {
        condition(&self.deployment.status.conditions, "Progressing")
    }
}
