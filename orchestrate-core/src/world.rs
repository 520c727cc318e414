//! The world: every object that decisions are made from, with the indexes they need.
//!
//! Whoever owns the loop feeds it with changes (from watches, or directly) and hands it to pure functions by
//! reference. It holds no history and decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::{
    ConfigMap, Deployment, EndpointSlice, Event, Key, Kind, Lease, Name, Namespace, Node, Object, ObjectMeta, Pod,
    ReplicaSet, Resource, Secret, Service,
};

/// One change to the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The object is now this.
    Set(Object),
    /// The object is gone.
    Remove(Key),
}

/// All objects of one kind, by namespace and name.
#[derive(Debug, Clone)]
pub struct Table<T>(BTreeMap<Name, T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Resource> Table<T> {
    /// One object by namespace and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.0.get(&Name::new(namespace, name))
    }

    /// One object by its name.
    pub fn find(&self, name: &Name) -> Option<&T> {
        self.0.get(name)
    }

    /// All objects in order of namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    /// The objects of one namespace.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a T> {
        let start = Name::new(namespace, "");
        self.0.range(start..).take_while(move |(n, _)| n.namespace == namespace).map(|(_, o)| o)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Every object, by kind, and indexes over them.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Namespaces.
    pub namespaces: Table<Namespace>,
    /// Nodes.
    pub nodes: Table<Node>,
    /// Leases.
    pub leases: Table<Lease>,
    /// ConfigMaps.
    pub config_maps: Table<ConfigMap>,
    /// Secrets.
    pub secrets: Table<Secret>,
    /// Deployments.
    pub deployments: Table<Deployment>,
    /// ReplicaSets.
    pub replica_sets: Table<ReplicaSet>,
    /// Pods.
    pub pods: Table<Pod>,
    /// Services.
    pub services: Table<Service>,
    /// EndpointSlices.
    pub endpoint_slices: Table<EndpointSlice>,
    /// Events.
    pub events: Table<Event>,
    by_uid: BTreeMap<String, Key>,
    by_owner: BTreeMap<String, BTreeSet<Key>>,
    by_node: BTreeMap<String, BTreeSet<Name>>,
    deleting: BTreeSet<Key>,
}

macro_rules! each_table {
    ($world:expr, $kind:expr, $table:ident => $body:expr) => {
        match $kind {
            Kind::Namespace => {
                let $table = &$world.namespaces;
                $body
            }
            Kind::Node => {
                let $table = &$world.nodes;
                $body
            }
            Kind::Lease => {
                let $table = &$world.leases;
                $body
            }
            Kind::ConfigMap => {
                let $table = &$world.config_maps;
                $body
            }
            Kind::Secret => {
                let $table = &$world.secrets;
                $body
            }
            Kind::Deployment => {
                let $table = &$world.deployments;
                $body
            }
            Kind::ReplicaSet => {
                let $table = &$world.replica_sets;
                $body
            }
            Kind::Pod => {
                let $table = &$world.pods;
                $body
            }
            Kind::Service => {
                let $table = &$world.services;
                $body
            }
            Kind::EndpointSlice => {
                let $table = &$world.endpoint_slices;
                $body
            }
            Kind::Event => {
                let $table = &$world.events;
                $body
            }
        }
    };
}

impl World {
    /// Applies one change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Set(object) => {
                let key = object.key();
                self.unindex(&key);
                self.index(&key, &object);
                self.insert(key.name, object);
            }
            Change::Remove(key) => {
                self.unindex(&key);
                self.remove(&key);
            }
        }
    }

    /// Applies many changes.
    pub fn extend(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.apply(change);
        }
    }

    /// The metadata of an object.
    pub fn meta(&self, key: &Key) -> Option<&ObjectMeta> {
        each_table!(self, key.kind, table => table.find(&key.name).map(Resource::meta))
    }

    /// An object by its key.
    pub fn get(&self, key: &Key) -> Option<Object> {
        each_table!(self, key.kind, table => table.find(&key.name).cloned().map(Into::into))
    }

    /// The keys of all objects of a kind.
    pub fn keys(&self, kind: Kind) -> Vec<Key> {
        each_table!(self, kind, table => table.0.keys().map(|name| Key { kind, name: name.clone() }).collect())
    }

    /// The keys of all objects in a namespace, kind by kind.
    pub fn keys_in(&self, namespace: &str) -> Vec<Key> {
        let kinds = Kind::ALL.iter().filter(|k| k.is_namespaced());
        kinds
            .flat_map(|kind| -> Vec<Key> {
                each_table!(self, kind, table => table.in_namespace(namespace).map(Resource::key).collect())
            })
            .collect()
    }

    /// The object that carries this uid.
    pub fn by_uid(&self, uid: &str) -> Option<&Key> {
        self.by_uid.get(uid)
    }

    /// The objects that name this uid as an owner.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.by_owner.get(uid).into_iter().flatten()
    }

    /// The objects whose deletion was asked for.
    pub fn deleting(&self) -> impl Iterator<Item = &Key> {
        self.deleting.iter()
    }

    /// Every uid that is named as an owner, with the objects that name it.
    pub fn owners(&self) -> impl Iterator<Item = (&str, &BTreeSet<Key>)> {
        self.by_owner.iter().map(|(uid, keys)| (uid.as_str(), keys))
    }

    /// The pods bound to a node; the empty name means none yet.
    pub fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Pod> {
        self.by_node.get(node).into_iter().flatten().filter_map(|name| self.pods.find(name))
    }

    /// The pods that a controller with this uid manages.
    pub fn pods_of<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Pod> {
        let pods = self.owned_by(uid).filter(|k| k.kind == Kind::Pod);
        pods.filter_map(|k| self.pods.find(&k.name))
            .filter(move |p| p.metadata.controller().is_some_and(|o| o.uid == uid))
    }

    fn index(&mut self, key: &Key, object: &Object) {
        let meta = object.meta();
        if meta.is_deleting() {
            self.deleting.insert(key.clone());
        }
        if !meta.uid.is_empty() {
            self.by_uid.insert(meta.uid.clone(), key.clone());
        }
        for owner in &meta.owner_references {
            self.by_owner.entry(owner.uid.clone()).or_default().insert(key.clone());
        }
        if let Object::Pod(pod) = object {
            self.by_node.entry(pod.spec.node_name.clone()).or_default().insert(key.name.clone());
        }
    }

    fn unindex(&mut self, key: &Key) {
        self.deleting.remove(key);
        let Some(meta) = self.meta(key) else { return };
        let uid = meta.uid.clone();
        let owners: Vec<String> = meta.owner_references.iter().map(|o| o.uid.clone()).collect();
        if self.by_uid.get(&uid) == Some(key) {
            self.by_uid.remove(&uid);
        }
        for owner in owners {
            forget(&mut self.by_owner, &owner, key);
        }
        if let Some(node) =
            self.pods.find(&key.name).filter(|_| key.kind == Kind::Pod).map(|p| p.spec.node_name.clone())
        {
            forget(&mut self.by_node, &node, &key.name);
        }
    }

    fn insert(&mut self, name: Name, object: Object) {
        match object {
            Object::Namespace(o) => drop(self.namespaces.0.insert(name, *o)),
            Object::Node(o) => drop(self.nodes.0.insert(name, *o)),
            Object::Lease(o) => drop(self.leases.0.insert(name, *o)),
            Object::ConfigMap(o) => drop(self.config_maps.0.insert(name, *o)),
            Object::Secret(o) => drop(self.secrets.0.insert(name, *o)),
            Object::Deployment(o) => drop(self.deployments.0.insert(name, *o)),
            Object::ReplicaSet(o) => drop(self.replica_sets.0.insert(name, *o)),
            Object::Pod(o) => drop(self.pods.0.insert(name, *o)),
            Object::Service(o) => drop(self.services.0.insert(name, *o)),
            Object::EndpointSlice(o) => drop(self.endpoint_slices.0.insert(name, *o)),
            Object::Event(o) => drop(self.events.0.insert(name, *o)),
        }
    }

    fn remove(&mut self, key: &Key) {
        match key.kind {
            Kind::Namespace => drop(self.namespaces.0.remove(&key.name)),
            Kind::Node => drop(self.nodes.0.remove(&key.name)),
            Kind::Lease => drop(self.leases.0.remove(&key.name)),
            Kind::ConfigMap => drop(self.config_maps.0.remove(&key.name)),
            Kind::Secret => drop(self.secrets.0.remove(&key.name)),
            Kind::Deployment => drop(self.deployments.0.remove(&key.name)),
            Kind::ReplicaSet => drop(self.replica_sets.0.remove(&key.name)),
            Kind::Pod => drop(self.pods.0.remove(&key.name)),
            Kind::Service => drop(self.services.0.remove(&key.name)),
            Kind::EndpointSlice => drop(self.endpoint_slices.0.remove(&key.name)),
            Kind::Event => drop(self.events.0.remove(&key.name)),
        }
    }
}

fn forget<T: Ord>(index: &mut BTreeMap<String, BTreeSet<T>>, at: &str, item: &T) {
    if let Some(set) = index.get_mut(at) {
        set.remove(item);
        if set.is_empty() {
            index.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_follow_changes() {
        let mut world = World::default();
        let owner = ReplicaSet {
            metadata: ObjectMeta { uid: "u1".into(), ..ObjectMeta::named("d", "rs") },
            ..Default::default()
        };
        let mut pod = Pod { metadata: ObjectMeta::named("d", "p"), ..Default::default() };
        pod.metadata.owner_references = vec![owner.owner_reference()];
        world.extend([Change::Set(owner.into()), Change::Set(pod.clone().into())]);
        assert_eq!(world.pods_of("u1").count(), 1);
        assert_eq!(world.pods_on("").count(), 1);
        pod.spec.node_name = "n1".into();
        world.apply(Change::Set(pod.clone().into()));
        assert_eq!((world.pods_on("").count(), world.pods_on("n1").count()), (0, 1));
        assert_eq!(world.keys_in("d").len(), 2);
        world.apply(Change::Remove(pod.key()));
        assert_eq!((world.pods_of("u1").count(), world.pods_on("n1").count(), world.pods.len()), (0, 0, 0));
        assert_eq!(world.by_uid("u1").unwrap().to_string(), "ReplicaSet d/rs");
    }
}
