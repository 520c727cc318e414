//! What every object has: names, labels, owners, life-cycle marks; and conditions.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use std::collections::BTreeMap;

use super::wire::{wire, words};
use crate::Time;

/// String pairs: labels, annotations, selectors.
pub type Labels = BTreeMap<String, String>;

wire! {
    /// Name, identity, owners and life-cycle marks of an object.
    ObjectMeta {
        name: String,
        generate_name: String,
        namespace: String,
        self_link: String,
        uid: String,
        resource_version: String,
        generation: i64,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        deletion_grace_period_seconds: Option<i64>,
        labels: Labels,
        annotations: Labels,
        owner_references: Vec<OwnerReference>,
        finalizers: Vec<String>,
    }
    /// An object that this one belongs to; the one with `controller: true` manages it.
    OwnerReference {
        controller: Option<bool>,
        block_owner_deletion: Option<bool>,
    } + always {
        api_version: String,
        kind: String,
        name: String,
        uid: String,
    }
    /// A pointer to another object.
    ObjectReference {
        kind: String,
        namespace: String,
        name: String,
        uid: String,
        api_version: String,
        resource_version: String,
        field_path: String,
    }
    /// One observed aspect of an object's state.
    Condition {
        last_heartbeat_time: Option<Time>,
        last_probe_time: Option<Time>,
        last_update_time: Option<Time>,
        last_transition_time: Option<Time>,
        observed_generation: i64,
        reason: String,
        message: String,
    } + always {
        #[serde(rename = "type")]
        kind: String,
        status: ConditionStatus,
    }
}

words! {
    /// Whether a condition holds.
    #[derive(Default)]
    ConditionStatus {
        True = "True",
        False = "False",
        #[default]
        Unknown = "Unknown",
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl Condition {
    /// Makes a condition that changed at `now`.
    pub fn new(kind: &str, status: ConditionStatus, reason: &str, message: &str, now: Time) -> Self {
        Self {
            kind: kind.into(),
            status,
            reason: reason.into(),
            message: message.into(),
            last_transition_time: Some(now.whole()),
            ..Self::default()
        }
    }
}

/// Finds a condition by type.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.kind == kind)
}

/// Says whether a condition of this type is present and `True`.
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|c| c.status == ConditionStatus::True)
}

/// Puts a condition in its place; keeps the transition time while the status is unchanged.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|c| c.kind == new.kind) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time;
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

impl ObjectMeta {
    /// Makes the metadata of a namespaced object.
    pub fn named(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into(), ..Self::default() }
    }

    /// The owner that manages this object, if any.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|o| o.controller == Some(true))
    }

    /// Says whether deletion was asked for.
    pub const fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// When it was created, or the beginning of time.
    pub fn created(&self) -> Time {
        self.creation_timestamp.unwrap_or_default()
    }
}
