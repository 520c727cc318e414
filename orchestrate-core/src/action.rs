//! Everything that this crate can ask of the world, as values.
//!
//! A driver's `match` is complete by construction: the enum is deliberately exhaustive. Each change of an existing
//! object carries the uid (and where it matters the resourceVersion) it was decided on, so that a stale decision fails
//! as a conflict instead of hitting a successor; the driver may drop it, the next round decides again.

use std::fmt;

use serde_json::Value;

use crate::Time;
use crate::objects::{Key, Object, ObjectReference};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create the object (its name may be left to the API server by `generateName`).
    Create {
        /// The new object.
        object: Object,
    },
    /// Apply a JSON merge patch to an object, outside its status.
    Patch {
        /// Which object.
        on: Target,
        /// The merge patch.
        patch: Value,
    },
    /// Replace the field `status` of an object.
    UpdateStatus {
        /// Which object.
        on: Target,
        /// The whole new status.
        status: Value,
    },
    /// Ask for deletion.
    Delete {
        /// Which object.
        on: Target,
        /// Seconds of grace; none means the object's own.
        grace: Option<i64>,
        /// What becomes of its dependents.
        propagation: Propagation,
    },
    /// Bind a pod to a node.
    Bind {
        /// The pod.
        on: Target,
        /// The node.
        node: String,
    },
    /// Tell people.
    Event(Note),
}

/// The object that an action means, as it was when the decision was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its key.
    pub key: Key,
    /// Its uid: a precondition.
    pub uid: String,
    /// Its resourceVersion, where the decision depends on the whole object: a precondition.
    pub resource_version: Option<String>,
}

/// What becomes of an object's dependents when it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards by the garbage collector.
    Background,
    /// They are deleted first; the object waits with the finalizer `foregroundDeletion`.
    Foreground,
    /// They stay and lose their owner.
    Orphan,
}

/// Something worth telling people; the driver makes an Event of it and counts repetitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The object it is about.
    pub about: ObjectReference,
    /// Whether it is trouble.
    pub warning: bool,
    /// One word in CamelCase.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// Who says it, such as `replicaset-controller`.
    pub component: String,
}

/// What is to be done now, and when to look again at the latest even if nothing changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In the order in which they should be carried out.
    pub actions: Vec<Action>,
    /// The next point in time that matters.
    pub wake: Option<Time>,
}

impl Plan {
    /// Asks to be woken at `at` at the latest.
    pub fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }

    /// Takes over another plan.
    pub fn merge(&mut self, other: Self) {
        self.actions.extend(other.actions);
        if let Some(at) = other.wake {
            self.wake_at(at);
        }
    }
}

impl Target {
    /// Means an object by key and uid only.
    pub fn loose(key: Key, uid: &str) -> Self {
        Self { key, uid: uid.into(), resource_version: None }
    }
}

impl Propagation {
    /// The word in `propagationPolicy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { object } => {
                write!(f, "create {}", object.key())?;
                if object.meta().name.is_empty() {
                    write!(f, "{}*", object.meta().generate_name)?;
                }
                Ok(())
            }
            Self::Patch { on, patch } => write!(f, "patch {}: {patch}", on.key),
            Self::UpdateStatus { on, status } => write!(f, "status of {}: {status}", on.key),
            Self::Delete { on, grace, propagation } => {
                write!(f, "delete {} ({}", on.key, propagation.as_str())?;
                if let Some(grace) = grace {
                    write!(f, ", grace {grace} s")?;
                }
                f.write_str(")")
            }
            Self::Bind { on, node } => write!(f, "bind {} to {node}", on.key),
            Self::Event(note) => write!(f, "event {note}"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "Warning" } else { "Normal" };
        write!(f, "{kind} {} {}/{}: {}", self.reason, self.about.kind, self.about.name, self.message)
    }
}
