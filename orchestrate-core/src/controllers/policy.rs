//! Every knob of the controllers, with upstream's defaults. Mechanism has none of its own.

use std::collections::BTreeSet;

use crate::net::Networks;
use crate::time::Millis;

/// The controllers that exist; each can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Rolls Deployments out over ReplicaSets.
    Deployment,
    /// Keeps the number of pods of a ReplicaSet.
    ReplicaSet,
    /// Lists the pods behind each Service.
    EndpointSlice,
    /// Marks and taints nodes that are silent or unwell.
    NodeLifecycle,
    /// Deletes pods that do not tolerate a `NoExecute` taint.
    TaintEviction,
    /// Removes pods whose node is gone.
    PodGc,
    /// Deletes what no owner holds any more.
    GarbageCollector,
    /// Empties namespaces that are being deleted.
    Namespace,
    /// Gives nodes their pod networks and load balancers their addresses, from `Policy::networks`.
    Addresses,
}

/// The knobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which controllers run.
    pub controllers: BTreeSet<Controller>,
    /// How long a node may be silent before its state counts as unknown (upstream: 50 s since 1.32).
    pub node_grace: Millis,
    /// How many pods one pass creates or deletes for one ReplicaSet at most.
    pub burst_replicas: usize,
    /// How many endpoints one slice holds at most.
    pub endpoints_per_slice: usize,
    /// The ranges to give out; none means that somebody else does.
    pub networks: Option<Networks>,
}

impl Default for Policy {
    fn default() -> Self {
        use Controller as C;
        let controllers = [
            C::Deployment,
            C::ReplicaSet,
            C::EndpointSlice,
            C::NodeLifecycle,
            C::TaintEviction,
            C::PodGc,
            C::GarbageCollector,
            C::Namespace,
            C::Addresses,
        ];
        Self {
            controllers: controllers.into(),
            node_grace: 50_000,
            burst_replicas: 500,
            endpoints_per_slice: 100,
            networks: None,
        }
    }
}
