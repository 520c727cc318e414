//! Kinds, keys and the enum over all objects: the one table of what exists.

use std::fmt;

use serde_json::Value;

use super::{
    ConfigMap, Deployment, EndpointSlice, Event, Lease, Namespace, Node, ObjectMeta, ObjectReference, OwnerReference,
    Pod, ReplicaSet, Secret, Service,
};
use crate::Error;

/// Namespace (empty for cluster-wide kinds) and name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The namespace, or nothing.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// Kind, namespace and name of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// Namespace and name.
    pub name: Name,
}

/// A type of object.
pub trait Resource: Clone + PartialEq + Into<Object> {
    /// Its kind.
    const KIND: Kind;
    /// Its metadata.
    fn meta(&self) -> &ObjectMeta;
    /// Its metadata, to be changed.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    /// Takes it out of the enum.
    fn from_object(object: Object) -> Option<Self>;

    /// Its key.
    fn key(&self) -> Key {
        Key::new(Self::KIND, &self.meta().namespace, &self.meta().name)
    }

    /// Makes the owner reference with which it claims what it manages.
    fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: Self::KIND.api_version().into(),
            kind: Self::KIND.as_str().into(),
            name: self.meta().name.clone(),
            uid: self.meta().uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
            ..OwnerReference::default()
        }
    }

    /// Makes a reference to it, as events hold.
    fn reference(&self) -> ObjectReference {
        let meta = self.meta();
        ObjectReference {
            api_version: Self::KIND.api_version().into(),
            kind: Self::KIND.as_str().into(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            ..ObjectReference::default()
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $version:literal $plural:literal $namespaced:literal;)*) => {
        /// The kinds that exist here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $(#[doc = concat!("`", stringify!($kind), "` of `", $version, "`.")] $kind),* }

        /// Any object.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Object { $(#[doc = concat!("A `", stringify!($kind), "`.")] $kind(Box<$kind>)),* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name in the field `kind`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind)),* }
            }

            /// Group and version as in the field `apiVersion`.
            pub const fn api_version(self) -> &'static str {
                match self { $(Self::$kind => $version),* }
            }

            /// The name in request paths.
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural),* }
            }

            /// Says whether objects of the kind live in a namespace.
            pub const fn is_namespaced(self) -> bool {
                match self { $(Self::$kind => $namespaced),* }
            }
        }

        impl Object {
            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind),* }
            }

            /// Its metadata.
            pub const fn meta(&self) -> &ObjectMeta {
                match self { $(Self::$kind(o) => &o.metadata),* }
            }

            /// Its metadata, to be changed.
            pub const fn meta_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Self::$kind(o) => &mut o.metadata),* }
            }

            fn body(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$kind(o) => serde_json::to_value(o)),* }
            }

            fn decode(kind: Kind, body: Value) -> Result<Self, serde_json::Error> {
                Ok(match kind { $(Kind::$kind => Self::$kind(serde_json::from_value(body)?)),* })
            }
        }

        $(
            impl From<$kind> for Object {
                fn from(object: $kind) -> Self {
                    Self::$kind(Box::new(object))
                }
            }

            impl Resource for $kind {
                const KIND: Kind = Kind::$kind;
                fn meta(&self) -> &ObjectMeta {
                    &self.metadata
                }
                fn meta_mut(&mut self) -> &mut ObjectMeta {
                    &mut self.metadata
                }
                fn from_object(object: Object) -> Option<Self> {
                    if let Object::$kind(o) = object { Some(*o) } else { None }
                }
            }
        )*
    };
}

kinds! {
    Namespace "v1" "namespaces" false;
    Node "v1" "nodes" false;
    Lease "coordination.k8s.io/v1" "leases" true;
    ConfigMap "v1" "configmaps" true;
    Secret "v1" "secrets" true;
    Deployment "apps/v1" "deployments" true;
    ReplicaSet "apps/v1" "replicasets" true;
    Pod "v1" "pods" true;
    Service "v1" "services" true;
    EndpointSlice "discovery.k8s.io/v1" "endpointslices" true;
    Event "v1" "events" true;
}

impl Kind {
    /// Finds a kind by the fields `apiVersion` and `kind`.
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.api_version() == api_version && k.as_str() == kind)
    }
}

impl Object {
    /// Its key.
    pub fn key(&self) -> Key {
        Key::new(self.kind(), &self.meta().namespace, &self.meta().name)
    }

    /// Its JSON with `apiVersion` and `kind` in front.
    pub fn to_json(&self) -> Value {
        let mut out = serde_json::Map::new();
        out.insert("apiVersion".into(), self.kind().api_version().into());
        out.insert("kind".into(), self.kind().as_str().into());
        // Every type here has text keys and finite numbers, so this cannot fail; a failure would only lose the body.
        if let Ok(Value::Object(body)) = self.body() {
            out.extend(body);
        }
        Value::Object(out)
    }

    /// Reads an object from its JSON.
    ///
    /// # Errors
    /// `UnknownKind` or `Malformed`.
    pub fn from_json(mut json: Value) -> Result<Self, Error> {
        let mut take = |field: &str| match json.as_object_mut().and_then(|o| o.shift_remove(field)) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (api_version, kind) = (take("apiVersion"), take("kind"));
        let Some(known) = Kind::find(&api_version, &kind) else {
            return Err(Error::UnknownKind { api_version, kind });
        };
        let at = |path: &str| json.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let subject = format!("{}/{}", at("/metadata/namespace"), at("/metadata/name"));
        Self::decode(known, json).map_err(|source| Error::Malformed { subject, kind: known.as_str(), source })
    }
}

impl Name {
    /// Makes a name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl Key {
    /// Makes a key.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, name: Name::new(namespace, name) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
