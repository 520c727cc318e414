//! Fake nodes over the real engine: they heartbeat, start pods after a while and end them.

use std::collections::{BTreeMap, BTreeSet};

use orchestrate_core::controllers::Policy;
use serde_json::{Value, json};

use crate::control::ControlPlane;
use crate::random::Random;
use crate::resource::kind;
use crate::time::{Millis, rfc3339, rfc3339_micro};
use crate::value::{at, list, text};
use crate::{ApiServer, Config, PatchKind, Request};

const BEAT: Millis = 5000;

/// A cluster whose time is a number.
pub(super) struct Sim {
    api: ApiServer,
    control: ControlPlane,
    now: Millis,
    random: Random,
    alive: BTreeSet<String>,
    next_beat: Millis,
    /// By uid: when the pod will be ready, or gone.
    due: BTreeMap<(String, bool), Millis>,
    pub(super) log: String,
}

impl Sim {
    pub(super) fn new(seed: u64, nodes: usize) -> Self {
        let start = 1_700_000_000_000;
        let api = ApiServer::new(Config { seed, start, ..Config::default() });
        let mut sim = Self {
            api,
            control: ControlPlane::new(Policy { node_grace: 20_000, ..Policy::default() }),
            now: start,
            random: Random::new(seed),
            alive: BTreeSet::new(),
            next_beat: start,
            due: BTreeMap::new(),
            log: String::new(),
        };
        for index in 1..=nodes {
            let name = format!("node-{index}");
            let capacity = json!({ "cpu": "4", "memory": "4Gi", "pods": "110" });
            sim.post(
                "/api/v1/nodes",
                json!({ "metadata": { "name": name }, "status": {
                "capacity": capacity, "allocatable": capacity,
                "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady",
                    "lastHeartbeatTime": rfc3339(start), "lastTransitionTime": rfc3339(start) }] } }),
            );
            let lease = json!({ "metadata": { "name": name }, "spec": { "holderIdentity": name } });
            sim.post("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease);
            sim.alive.insert(name);
        }
        sim
    }

    fn send(&mut self, request: &Request) -> Value {
        let result = self.api.handle(self.now, request).into_result();
        result.unwrap_or_else(|status| panic!("{} {}: {status}", request.path, request.content_type))
    }

    pub(super) fn post(&mut self, path: &str, body: Value) {
        self.send(&Request::post(path, body));
    }

    pub(super) fn patch(&mut self, path: &str, body: Value) {
        self.send(&Request::patch(path, PatchKind::Strategic, body));
    }

    pub(super) fn delete(&mut self, path: &str) {
        self.send(&Request::delete(path));
    }

    pub(super) fn get(&mut self, path: &str) -> Value {
        self.send(&Request::get(path))
    }

    pub(super) fn missing(&mut self, path: &str) -> bool {
        self.api.handle(self.now, &Request::get(path)).into_result().is_err_and(|status| status.code == 404)
    }

    pub(super) fn pods(&self) -> Vec<Value> {
        self.api.objects(kind("Pod"), "").iter().map(|pod| Value::clone(pod)).collect()
    }

    fn count(&self, keep: impl Fn(&Value) -> bool) -> usize {
        self.api.objects(kind("Pod"), "").iter().filter(|pod| keep(pod)).count()
    }

    /// Pods that are ready and not on their way out.
    pub(super) fn ready(&self) -> usize {
        self.count(is_ready)
    }

    pub(super) fn ready_elsewhere(&self, node: &str) -> usize {
        self.count(|pod| is_ready(pod) && text(pod, &["spec", "nodeName"]) != node)
    }

    pub(super) fn active(&self) -> usize {
        self.count(|pod| at(pod, &["metadata", "deletionTimestamp"]).is_none())
    }

    pub(super) fn endpoints(&self) -> usize {
        let slices = self.api.objects(kind("EndpointSlice"), "default");
        let ready = |e: &&Value| at(e, &["conditions", "ready"]) == Some(&Value::Bool(true));
        slices.iter().map(|slice| list(slice, &["endpoints"]).iter().filter(ready).count()).sum()
    }

    pub(super) fn switch_off(&mut self, node: &str) {
        self.alive.remove(node);
    }

    pub(super) fn run_for(&mut self, span: Millis) {
        let end = self.now + span;
        while self.now < end {
            self.advance(end);
        }
    }

    pub(super) fn run_until(&mut self, span: Millis, done: impl Fn(&Self) -> bool) {
        self.run_watching(span, done, |_| {});
    }

    pub(super) fn run_watching(&mut self, span: Millis, done: impl Fn(&Self) -> bool, check: impl Fn(&Self)) {
        let end = self.now + span;
        while !done(self) {
            assert!(self.now < end, "not done in time:\n{}", self.log);
            self.advance(end);
            check(self);
        }
    }

    /// Does what is due now, then jumps to the next moment at which anything is.
    fn advance(&mut self, end: Millis) {
        self.nodes();
        let stepped = self.control.step(&mut self.api, self.now);
        assert!(!stepped.restless, "restless:\n{}", self.log);
        for done in &stepped.done {
            self.log.push_str(&format!("{} {done}\n", self.now));
        }
        self.nodes();
        let pods = self.due.values().copied();
        let next = pods.chain(stepped.wake).chain([self.next_beat, end]).filter(|at| *at > self.now).min();
        self.now = next.unwrap_or(end);
    }

    fn nodes(&mut self) {
        if self.now >= self.next_beat {
            self.next_beat = self.now + BEAT;
            for node in self.alive.clone() {
                let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}");
                let beat = json!({ "spec": { "renewTime": rfc3339_micro(self.now) } });
                self.send(&Request::patch(path, PatchKind::Merge, beat));
            }
        }
        self.place();
        for pod in self.pods() {
            if self.alive.contains(text(&pod, &["spec", "nodeName"])) {
                self.pod(&pod);
            }
        }
        let pods: BTreeSet<String> = self.pods().iter().map(|pod| text(pod, &["metadata", "uid"]).to_owned()).collect();
        self.due.retain(|(uid, _), _| pods.contains(uid));
    }

    /// Stands in for the scheduler.
    fn place(&mut self) {
        for pod in self.pods() {
            let waiting = text(&pod, &["spec", "nodeName"]).is_empty();
            let nodes = self.api.objects(kind("Node"), "");
            let fit = nodes.iter().filter(|node| list(node, &["spec", "taints"]).is_empty());
            let load = |name: &str| self.count(|p| text(p, &["spec", "nodeName"]) == name);
            let best = fit.map(|node| text(node, &["metadata", "name"])).min_by_key(|name| load(name));
            let (true, Some(node)) = (waiting, best) else { continue };
            let path = kind("Pod").object(text(&pod, &["metadata", "namespace"]), text(&pod, &["metadata", "name"]));
            let binding = json!({ "target": { "kind": "Node", "name": node } });
            self.send(&Request::post(format!("{path}/binding"), binding));
        }
    }

    fn pod(&mut self, pod: &Value) {
        let leaving = at(pod, &["metadata", "deletionTimestamp"]).is_some();
        if !leaving && is_ready(pod) {
            return;
        }
        let key = (text(pod, &["metadata", "uid"]).to_owned(), leaving);
        let delay = 200 + self.random.below(2000) as Millis;
        let due = *self.due.entry(key.clone()).or_insert(self.now + delay);
        if self.now < due {
            return;
        }
        self.due.remove(&key);
        let path = kind("Pod").object(text(pod, &["metadata", "namespace"]), text(pod, &["metadata", "name"]));
        if leaving {
            self.send(&Request::delete(path).query("gracePeriodSeconds", "0"));
            return;
        }
        let (ip, now) = (format!("10.0.{}.{}", self.random.below(250), self.random.below(250)), rfc3339(self.now));
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": now });
        let status = json!({ "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "startTime": now,
            "conditions": (["Initialized", "Ready", "ContainersReady", "PodScheduled"]).map(condition),
            "containerStatuses": [{ "name": "app", "ready": true, "restartCount": 0, "image": "", "imageID": "",
                "state": { "running": { "startedAt": now } } }] } });
        self.send(&Request::patch(format!("{path}/status"), PatchKind::Merge, status));
    }
}

fn is_ready(pod: &Value) -> bool {
    at(pod, &["metadata", "deletionTimestamp"]).is_none()
        && list(pod, &["status", "conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}
