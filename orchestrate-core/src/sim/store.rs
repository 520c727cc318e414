//! A store for simulations: carries actions out on a world with the API server's rules, without its surface.
//!
//! Rules kept: uid and resourceVersion preconditions, generation counts changes of the spec only, status and spec are
//! apart, finalizers and grace periods delay deletion. Validation, defaults and watches are absent (see `apiserver`).

use std::fmt;

use serde_json::Value;

use crate::action::{Action, Note, Propagation, Target};
use crate::objects::{Condition, ConditionStatus, Event, Key, Kind, Object, ObjectMeta, Pod, set_condition};
use crate::time::Time;
use crate::world::{Change, World};

/// Why an action was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such object (any more).
    NotFound,
    /// The name is taken.
    Exists,
    /// The object is not the one, or not the version, that the decision was about.
    Conflict,
    /// The change does not leave a valid object.
    Invalid(String),
}

/// The world and the counters of its API.
#[derive(Debug, Clone, Default)]
pub struct Store {
    /// The objects.
    pub world: World,
    version: u64,
    uids: u64,
}

impl Store {
    /// Creates an object as a user would.
    ///
    /// # Errors
    /// `Exists`.
    pub fn create(&mut self, mut object: Object, now: Time) -> Result<Key, Refusal> {
        self.uids += 1;
        let meta = object.meta_mut();
        if meta.name.is_empty() {
            meta.name = format!("{}{:05}", meta.generate_name, self.uids);
        }
        meta.uid = format!("00000000-0000-4000-8000-{:012x}", self.uids);
        meta.creation_timestamp = Some(now.whole());
        meta.generation = 1;
        let key = object.key();
        if self.world.meta(&key).is_some() {
            return Err(Refusal::Exists);
        }
        self.set(object);
        Ok(key)
    }

    /// Carries out one action.
    ///
    /// # Errors
    /// The refusal; nothing has changed then.
    pub fn apply(&mut self, action: &Action, now: Time) -> Result<(), Refusal> {
        match action {
            Action::Create { object } => self.create(object.clone(), now).map(drop),
            Action::Patch { on, patch } => self.change(on, |json| merge(json, patch)),
            Action::UpdateStatus { on, status } => self.change(on, |json| json["status"] = status.clone()),
            Action::Delete { on, grace, propagation } => self.delete(on, *grace, *propagation, now),
            Action::Bind { on, node } => self.bind(on, node, now),
            Action::Event(note) => self.record(note, now),
        }
    }

    /// A number that grows with every change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    fn set(&mut self, mut object: Object) {
        self.version += 1;
        object.meta_mut().resource_version = self.version.to_string();
        self.world.apply(Change::Set(object));
    }

    fn find(&self, on: &Target) -> Result<Object, Refusal> {
        let object = self.world.get(&on.key).ok_or(Refusal::NotFound)?;
        let meta = object.meta();
        let stale = on.resource_version.as_ref().is_some_and(|v| *v != meta.resource_version);
        if meta.uid != on.uid || stale { Err(Refusal::Conflict) } else { Ok(object) }
    }

    fn change(&mut self, on: &Target, change: impl FnOnce(&mut Value)) -> Result<(), Refusal> {
        let old = self.find(on)?;
        let before = old.to_json();
        let mut json = before.clone();
        change(&mut json);
        if json == before {
            return Ok(());
        }
        let spec_changed = json.get("spec") != before.get("spec");
        let mut object = Object::from_json(json).map_err(|e| Refusal::Invalid(e.to_string()))?;
        object.meta_mut().generation += i64::from(spec_changed);
        let done = object.meta().is_deleting() && is_released(&object) && object.kind() != Kind::Pod;
        if done {
            self.remove(&on.key);
        } else {
            self.set(object);
        }
        Ok(())
    }

    fn remove(&mut self, key: &Key) {
        self.version += 1;
        self.world.apply(Change::Remove(key.clone()));
    }

    fn delete(&mut self, on: &Target, grace: Option<i64>, how: Propagation, now: Time) -> Result<(), Refusal> {
        let mut object = self.find(on)?;
        let finalizer = match how {
            Propagation::Background => None,
            Propagation::Foreground => Some("foregroundDeletion"),
            Propagation::Orphan => Some("orphan"),
        };
        let seconds = match &object {
            Object::Pod(pod) if needs_grace(pod) => grace.unwrap_or(pod.spec.grace_seconds()),
            _ => 0,
        };
        let meta = object.meta_mut();
        meta.finalizers.extend(
            finalizer.map(String::from).filter(|f| !meta.finalizers.contains(f)).into_iter().collect::<Vec<_>>(),
        );
        if seconds == 0 && is_released(&object) {
            self.remove(&on.key);
            return Ok(());
        }
        let meta = object.meta_mut();
        if meta.deletion_timestamp.is_none() {
            meta.deletion_timestamp = Some(now.whole().plus_secs(seconds));
            meta.deletion_grace_period_seconds = Some(seconds);
            if let Object::Namespace(namespace) = &mut object {
                namespace.status.phase = "Terminating".into();
            }
            self.set(object);
        }
        Ok(())
    }

    fn bind(&mut self, on: &Target, node: &str, now: Time) -> Result<(), Refusal> {
        let Object::Pod(mut pod) = self.find(on)? else { return Err(Refusal::NotFound) };
        if !pod.spec.node_name.is_empty() || pod.metadata.is_deleting() {
            return Err(Refusal::Conflict);
        }
        pod.spec.node_name = node.into();
        let scheduled = Condition::new("PodScheduled", ConditionStatus::True, "", "", now);
        set_condition(&mut pod.status.conditions, scheduled);
        self.set(Object::Pod(pod));
        Ok(())
    }

    /// Writes a note down as an Event; a repetition only counts up.
    fn record(&mut self, note: &Note, now: Time) -> Result<(), Refusal> {
        let text = format!("{}/{}/{}", note.about.uid, note.reason, note.message);
        let hash = crate::controllers::fnv32a(text.as_bytes());
        let namespace = if note.about.namespace.is_empty() { "default" } else { &note.about.namespace };
        let name = format!("{}.{hash:08x}", note.about.name);
        if let Some(event) = self.world.events.get(namespace, &name) {
            let mut event = event.clone();
            event.count += 1;
            event.last_timestamp = Some(now.whole());
            self.set(event.into());
            return Ok(());
        }
        let event = Event {
            metadata: ObjectMeta::named(namespace, &name),
            involved_object: note.about.clone(),
            reason: note.reason.clone(),
            message: note.message.clone(),
            kind: if note.warning { "Warning" } else { "Normal" }.into(),
            count: 1,
            first_timestamp: Some(now.whole()),
            last_timestamp: Some(now.whole()),
            reporting_component: note.component.clone(),
            ..Event::default()
        };
        self.create(event.into(), now).map(drop)
    }
}

/// Says whether nothing holds the object back any more.
fn is_released(object: &Object) -> bool {
    let namespace_busy = matches!(object, Object::Namespace(n) if !n.spec.finalizers.is_empty());
    object.meta().finalizers.is_empty() && !namespace_busy
}

/// A pod without a node, or one that has ended, needs no time to stop.
fn needs_grace(pod: &Pod) -> bool {
    !pod.spec.node_name.is_empty() && !pod.is_finished()
}

/// A JSON merge patch (RFC 7396).
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = into else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), change);
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::Exists => f.write_str("already exists"),
            Self::Conflict => f.write_str("conflict"),
            Self::Invalid(why) => write!(f, "invalid: {why}"),
        }
    }
}
