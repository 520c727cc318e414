//! Objects by key, one revision counter, and a bounded log of what changed.
//!
//! Values are shared (`Arc`): a list, a watch event and the store hold the same tree. The log keeps
//! both sides of a change, so that an older state can be rebuilt for a paged list and a watcher sees
//! an object leave its selector. Absent on purpose: any rule about the content of objects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::resource::RESOURCES;
use crate::value::{set, text};

/// Where an object is: namespace (empty for cluster scope) and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of an object by its own metadata.
    pub(crate) fn of(object: &Value) -> Self {
        Self::new(text(object, &["metadata", "namespace"]), text(object, &["metadata", "name"]))
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It differs from before.
    Modified,
    /// It is gone.
    Deleted,
}

/// One entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) kind: ChangeKind,
    pub(crate) key: Key,
    /// The object after the change; for a deletion its last state, with the revision of the deletion.
    pub(crate) object: Arc<Value>,
    pub(crate) previous: Option<Arc<Value>>,
}

#[derive(Debug, Default)]
struct Table {
    objects: BTreeMap<Key, Arc<Value>>,
    log: VecDeque<Change>,
    /// Changes up to this revision are no longer in the log.
    forgotten: u64,
}

/// All objects of one cluster.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    tables: Vec<Table>,
    history: usize,
}

impl Store {
    /// An empty store that remembers `history` changes per resource.
    pub(crate) fn new(history: usize) -> Self {
        Self { revision: 1, tables: RESOURCES.iter().map(|_| Table::default()).collect(), history: history.max(1) }
    }

    /// The revision of the newest change.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn get(&self, table: usize, key: &Key) -> Option<&Arc<Value>> {
        self.tables[table].objects.get(key)
    }

    /// Objects in key order; those of one namespace, or of all when it is empty.
    pub(crate) fn list<'s>(&'s self, table: usize, namespace: &'s str) -> impl Iterator<Item = &'s Arc<Value>> {
        let start = Key::new(namespace, "");
        let rest = self.tables[table].objects.range(start..);
        rest.take_while(move |(key, _)| namespace.is_empty() || key.namespace == namespace).map(|(_, object)| object)
    }

    /// Writes the object and returns it with its new revision.
    pub(crate) fn put(&mut self, table: usize, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        let revision = self.revision;
        set(&mut object, &["metadata", "resourceVersion"], revision.to_string());
        let key = Key::of(&object);
        let object = Arc::new(object);
        let previous = self.tables[table].objects.insert(key.clone(), Arc::clone(&object));
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.record(table, Change { revision, kind, key, object: Arc::clone(&object), previous });
        object
    }

    /// Removes the object and returns its last state.
    pub(crate) fn remove(&mut self, table: usize, key: &Key) -> Option<Arc<Value>> {
        let previous = self.tables[table].objects.remove(key)?;
        self.revision += 1;
        let revision = self.revision;
        let mut last = Value::clone(&previous);
        set(&mut last, &["metadata", "resourceVersion"], revision.to_string());
        let object = Arc::new(last);
        let change = Change {
            revision,
            kind: ChangeKind::Deleted,
            key: key.clone(),
            object: Arc::clone(&object),
            previous: Some(previous),
        };
        self.record(table, change);
        Some(object)
    }

    fn record(&mut self, table: usize, change: Change) {
        let table = &mut self.tables[table];
        if table.log.len() == self.history
            && let Some(oldest) = table.log.pop_front()
        {
            table.forgotten = oldest.revision;
        }
        table.log.push_back(change);
    }

    /// Changes after `revision`, oldest first; `None` when some are forgotten.
    pub(crate) fn since(&self, table: usize, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        let table = &self.tables[table];
        let start = table.log.partition_point(|change| change.revision <= revision);
        (revision >= table.forgotten).then(|| table.log.range(start..))
    }

    /// The oldest revision from which a watch can start.
    pub(crate) fn oldest(&self, table: usize) -> u64 {
        self.tables[table].forgotten
    }

    /// The objects as they were at `revision`; `None` when that is forgotten.
    pub(crate) fn list_at(&self, table: usize, namespace: &str, revision: u64) -> Option<Vec<Arc<Value>>> {
        let changes: Vec<_> = self.since(table, revision)?.collect();
        let mut objects: BTreeMap<Key, Arc<Value>> =
            self.list(table, namespace).map(|object| (Key::of(object), Arc::clone(object))).collect();
        for change in changes.into_iter().rev() {
            if !namespace.is_empty() && change.key.namespace != namespace {
                continue;
            }
            match &change.previous {
                Some(previous) => objects.insert(change.key.clone(), Arc::clone(previous)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, data: i64) -> Value {
        json!({ "metadata": { "namespace": "a", "name": name }, "data": data })
    }

    #[test]
    fn older_states_can_be_rebuilt_until_forgotten() {
        let mut store = Store::new(3);
        store.put(0, object("x", 1));
        let then = store.revision();
        store.put(0, object("x", 2));
        store.put(0, object("y", 1));
        let seen = store.list_at(0, "a", then).expect("still kept");
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0]["data"], 1);
        store.remove(0, &Key::new("a", "x"));
        store.remove(0, &Key::new("a", "y"));
        assert!(store.list_at(0, "a", then).is_none());
        assert_eq!(store.list(0, "a").count(), 0);
    }

    #[test]
    fn a_namespace_is_not_a_prefix() {
        let mut store = Store::new(3);
        store.put(0, json!({ "metadata": { "namespace": "ab", "name": "x" } }));
        assert_eq!(store.list(0, "a").count(), 0);
        assert_eq!(store.list(0, "ab").count(), 1);
        assert_eq!(store.list(0, "").count(), 1);
    }
}
