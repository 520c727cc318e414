//! A world with controllers and an obedient node: pods are bound at once and run unless their image says `broken`.

use orchestrate_core::controllers::{Policy, reconcile};
use orchestrate_core::objects::*;
use orchestrate_core::sim::Store;
use orchestrate_core::{Action, Kind, Resource, Time};
use serde_json::json;

pub(crate) struct Lab {
    pub(crate) store: Store,
    pub(crate) now: Time,
    pub(crate) policy: Policy,
    /// Whether pods get a node and start.
    pub(crate) kubelet: bool,
    /// Called after every pass.
    pub(crate) check: fn(&Store),
    bound: usize,
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

pub(crate) fn deployment(name: &str, replicas: i32) -> Deployment {
    let json = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 8080, "name": "http"}]}]},
            },
        },
    });
    Deployment::from_object(Object::from_json(json).unwrap()).unwrap()
}

pub(crate) fn node(name: &str, now: Time) -> Node {
    let mut node = Node { metadata: ObjectMeta::named("", name), ..Node::default() };
    let mut ready = Condition::new("Ready", ConditionStatus::True, "KubeletReady", "", now);
    ready.last_heartbeat_time = Some(now);
    node.status.conditions = vec![ready];
    node
}

impl Lab {
    pub(crate) fn new() -> Self {
        let now = Time::from_secs(1_000_000);
        let mut lab =
            Self { store: Store::default(), now, policy: Policy::default(), kubelet: true, check: |_| {}, bound: 0 };
        for name in ["n1", "n2", "n3"] {
            lab.create(node(name, now));
        }
        lab
    }

    pub(crate) fn create<T: Resource>(&mut self, object: T) -> Key {
        self.store.create(object.into(), self.now).unwrap()
    }

    /// Changes an object's spec or metadata as a user would.
    pub(crate) fn patch(&mut self, key: &Key, patch: serde_json::Value) {
        let on = orchestrate_core::action::Target::loose(key.clone(), &self.store.world.meta(key).unwrap().uid);
        self.store.apply(&Action::Patch { on, patch }, self.now).unwrap();
    }

    pub(crate) fn set_status(&mut self, key: &Key, status: serde_json::Value) {
        let on = orchestrate_core::action::Target::loose(key.clone(), &self.store.world.meta(key).unwrap().uid);
        self.store.apply(&Action::UpdateStatus { on, status }, self.now).unwrap();
    }

    pub(crate) fn delete(&mut self, key: &Key, propagation: orchestrate_core::action::Propagation) {
        let on = orchestrate_core::action::Target::loose(key.clone(), &self.store.world.meta(key).unwrap().uid);
        self.store.apply(&Action::Delete { on, grace: None, propagation }, self.now).unwrap();
    }

    pub(crate) fn set_image(&mut self, key: &Key, image: &str) {
        let containers = json!([{"name": "app", "image": image, "ports": [{"containerPort": 8080, "name": "http"}]}]);
        self.patch(key, json!({"spec": {"template": {"spec": {"containers": containers}}}}));
    }

    /// Passes until nothing changes any more.
    pub(crate) fn settle(&mut self) -> Vec<Action> {
        let mut all = Vec::new();
        for _ in 0..300 {
            let plan = reconcile(&self.store.world, &self.policy, self.now);
            for action in &plan.actions {
                self.store.apply(action, self.now).unwrap_or_else(|e| panic!("{action}: {e}"));
            }
            (self.check)(&self.store);
            let worked = self.kubelet && self.run_pods();
            if plan.actions.is_empty() && !worked {
                return all;
            }
            all.extend(plan.actions);
        }
        panic!("no fixpoint; last: {:#?}", all.iter().rev().take(5).map(ToString::to_string).collect::<Vec<_>>());
    }

    /// Lets `seconds` pass.
    pub(crate) fn pass(&mut self, seconds: i64) -> Vec<Action> {
        self.now = self.now.plus_secs(seconds);
        self.settle()
    }

    fn run_pods(&mut self) -> bool {
        let pods: Vec<Pod> = self.store.world.pods.iter().cloned().collect();
        let mut worked = false;
        for pod in pods {
            let target = orchestrate_core::action::Target::loose(pod.key(), &pod.metadata.uid);
            let action = if pod.metadata.is_deleting() {
                let propagation = orchestrate_core::action::Propagation::Background;
                Action::Delete { on: target, grace: Some(0), propagation }
            } else if pod.spec.node_name.is_empty() {
                self.bound += 1;
                Action::Bind { on: target, node: format!("n{}", self.bound % 3 + 1) }
            } else if pod.status.phase.is_none() {
                let ready = !pod.spec.containers[0].image.contains("broken");
                let mut status = pod.status.clone();
                status.phase = Some(PodPhase::Running);
                status.pod_ip = format!("10.0.0.{}", pod.metadata.resource_version);
                let new = Condition::new("Ready", ready.into(), "", "", self.now);
                set_condition(&mut status.conditions, new);
                Action::UpdateStatus { on: target, status: serde_json::to_value(status).unwrap() }
            } else {
                continue;
            };
            self.store.apply(&action, self.now).unwrap();
            worked = true;
        }
        worked
    }

    pub(crate) fn deployment(&self, name: &str) -> &Deployment {
        self.store.world.deployments.get("default", name).unwrap()
    }

    /// Sizes of all ReplicaSets by revision.
    pub(crate) fn sizes(&self) -> Vec<(String, i32)> {
        let revision = |s: &ReplicaSet| s.metadata.annotations["deployment.kubernetes.io/revision"].clone();
        let mut sizes: Vec<_> = self.store.world.replica_sets.iter().map(|s| (revision(s), s.replicas())).collect();
        sizes.sort();
        sizes
    }

    pub(crate) fn condition(&self, deployment: &str, kind: &str) -> (ConditionStatus, String) {
        let c = condition(&self.deployment(deployment).status.conditions, kind).unwrap();
        (c.status, c.reason.clone())
    }

    pub(crate) fn pods(&self) -> Vec<&Pod> {
        self.store.world.pods.iter().collect()
    }

    pub(crate) fn exists(&self, key: &Key) -> bool {
        self.store.world.meta(key).is_some()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.store.world.keys(kind).len()
    }
}
