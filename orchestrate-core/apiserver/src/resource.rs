//! The resources this server knows, as one table: names, scope, subresources, rules.
//!
//! Whatever differs between kinds and can be said in a word is said here; code that asks "is this a
//! pod?" exists only where upstream has code for that kind too (defaults, validation, columns).

/// One resource: a row of the table.
#[derive(Debug)]
pub struct Resource {
    /// Row number of the resource under which objects are stored.
    pub(crate) store: usize,
    /// API group, empty for core.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// Kind of one object.
    pub kind: &'static str,
    /// Name in paths.
    pub plural: &'static str,
    /// Name of one, as people type it.
    pub singular: &'static str,
    /// Abbreviations that people type.
    pub short: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Type of one object in the schema table.
    pub schema: &'static str,
    /// Subresources below an object.
    pub subresources: &'static [&'static str],
    /// Groups of kinds that `kubectl get` accepts.
    pub categories: &'static [&'static str],
    /// Whether `metadata.generation` counts changes of the spec.
    pub(crate) generation: bool,
    /// How an object's name must look.
    pub(crate) naming: Naming,
    /// Fields that a field selector may name, besides name and namespace.
    pub(crate) fields: &'static [&'static str],
}

/// Rules for object names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Lower-case words joined by dots, at most 253 bytes.
    Subdomain,
    /// One lower-case word, at most 63 bytes.
    Label,
    /// One lower-case word that starts with a letter (Services).
    Label1035,
}

impl Resource {
    /// `deployments.apps`, `pods`.
    #[must_use]
    pub fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `apps/v1`, `v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The path of the collection in `namespace` (of all namespaces when empty).
    #[must_use]
    pub fn collection(&self, namespace: &str) -> String {
        let base = match self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        match namespace {
            "" => format!("{base}/{}", self.plural),
            namespace => format!("{base}/namespaces/{namespace}/{}", self.plural),
        }
    }

    /// The path of one object.
    #[must_use]
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(if self.namespaced { namespace } else { "" }))
    }

    pub(crate) fn has(&self, subresource: &str) -> bool {
        self.subresources.contains(&subresource)
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

const BASE: Resource = Resource {
    store: 0,
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short: &[],
    namespaced: true,
    schema: "",
    subresources: &[],
    categories: &[],
    generation: false,
    naming: Naming::Subdomain,
    fields: &[],
};

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];

/// Every resource, in the order of discovery.
pub static RESOURCES: [Resource; 14] = [
    Resource {
        store: 0,
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short: &["cm"],
        schema: "core.v1.ConfigMap",
        ..BASE
    },
    Resource {
        store: 1,
        kind: "Event",
        plural: "events",
        singular: "event",
        short: &["ev"],
        schema: "core.v1.Event",
        fields: EVENT_FIELDS,
        ..BASE
    },
    Resource {
        store: 2,
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short: &["ns"],
        namespaced: false,
        schema: "core.v1.Namespace",
        subresources: &["finalize", "status"],
        naming: Naming::Label,
        fields: &["status.phase"],
        ..BASE
    },
    Resource {
        store: 3,
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short: &["no"],
        namespaced: false,
        schema: "core.v1.Node",
        subresources: &["status"],
        fields: &["spec.unschedulable"],
        ..BASE
    },
    Resource {
        store: 4,
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short: &["po"],
        schema: "core.v1.Pod",
        subresources: &["attach", "binding", "eviction", "exec", "log", "portforward", "status"],
        categories: &["all"],
        fields: POD_FIELDS,
        ..BASE
    },
    Resource {
        store: 5,
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        schema: "core.v1.Secret",
        fields: &["type"],
        ..BASE
    },
    Resource {
        store: 6,
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short: &["sa"],
        schema: "core.v1.ServiceAccount",
        ..BASE
    },
    Resource {
        store: 7,
        kind: "Service",
        plural: "services",
        singular: "service",
        short: &["svc"],
        schema: "core.v1.Service",
        subresources: &["status"],
        categories: &["all"],
        naming: Naming::Label1035,
        fields: &["spec.clusterIP", "spec.type"],
        ..BASE
    },
    Resource {
        store: 8,
        group: "apps",
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short: &["deploy"],
        schema: "apps.v1.Deployment",
        subresources: &["scale", "status"],
        categories: &["all"],
        generation: true,
        ..BASE
    },
    Resource {
        store: 9,
        group: "apps",
        kind: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short: &["rs"],
        schema: "apps.v1.ReplicaSet",
        subresources: &["scale", "status"],
        categories: &["all"],
        generation: true,
        fields: &["status.replicas"],
        ..BASE
    },
    Resource {
        store: 10,
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        schema: "coordination.v1.Lease",
        ..BASE
    },
    Resource {
        store: 11,
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        schema: "discovery.v1.EndpointSlice",
        generation: true,
        ..BASE
    },
    Resource {
        store: 1,
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        singular: "event",
        short: &["ev"],
        schema: "events.v1.Event",
        fields: &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingController",
            "type",
        ],
        ..BASE
    },
    Resource {
        store: 13,
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        short: &["pdb"],
        schema: "policy.v1.PodDisruptionBudget",
        subresources: &["status"],
        generation: true,
        ..BASE
    },
];

/// The resource of a group, version and plural name.
#[must_use]
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The resource of an object's `apiVersion` and `kind`.
#[must_use]
pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.kind == kind)
}

/// The resource that a person means: plural, singular, abbreviation, with or without a group.
#[must_use]
pub fn named(word: &str) -> Option<&'static Resource> {
    let word = word.to_ascii_lowercase();
    let (name, group) = word.split_once('.').map_or((word.as_str(), None), |(n, g)| (n, Some(g)));
    RESOURCES.iter().find(|r| {
        group.is_none_or(|g| r.group == g) && (r.plural == name || r.singular == name || r.short.contains(&name))
    })
}

/// A row by the name of its kind; for kinds that the code itself names.
pub(crate) fn kind(kind: &str) -> &'static Resource {
    RESOURCES.iter().find(|r| r.kind == kind).unwrap_or(&RESOURCES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_their_place() {
        for (index, row) in RESOURCES.iter().enumerate() {
            assert!(row.store == index || (row.group == "events.k8s.io" && row.store == 1), "{}", row.plural);
            assert!(crate::schema::type_of(row.schema).is_some(), "{} has no schema", row.plural);
        }
    }

    #[test]
    fn people_may_abbreviate() {
        assert_eq!(named("deploy").map(|r| r.kind), Some("Deployment"));
        assert_eq!(named("Deployments.apps").map(|r| r.kind), Some("Deployment"));
        assert_eq!(named("ev").map(|r| r.group), Some(""));
        assert!(named("unicorns").is_none());
    }
}
