//! Pretended nodes over the real engine: orchestrate-core's fake kubelets, driven in virtual time.

use orchestrate_core::Time;
use orchestrate_core::controllers::Policy;
use orchestrate_core::sim::{Behaviour, FakeKubelet};
use serde_json::Value;

use crate::control::ControlPlane;
use crate::resource::kind;
use crate::time::Millis;
use crate::value::{at, list, text};
use crate::{ApiServer, Config, PatchKind, Request};

/// A cluster whose time is a number.
pub(super) struct Sim {
    api: ApiServer,
    control: ControlPlane,
    now: Millis,
    nodes: Vec<FakeKubelet>,
    pub(super) log: String,
}

impl Sim {
    pub(super) fn new(seed: u64, nodes: usize) -> Self {
        let start = 1_700_000_000_000;
        let nodes = (1..=nodes)
            .map(|index| FakeKubelet::new(&format!("node-{index}"), 4000, 4 << 30, Behaviour::default(), seed));
        Self {
            api: ApiServer::new(Config { seed, start, ..Config::default() }),
            control: ControlPlane::new(Policy { node_grace: 20_000, ..Policy::default() }),
            now: start,
            nodes: nodes.collect(),
            log: String::new(),
        }
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
        self.nodes.iter_mut().filter(|kubelet| kubelet.name == node).for_each(FakeKubelet::power_off);
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

    /// Brings this moment to rest, then jumps to the next one at which anything is due.
    fn advance(&mut self, end: Millis) {
        let mut wakes = vec![end];
        loop {
            let before = self.api.revision();
            let stepped = self.control.step(&mut self.api, self.now);
            assert!(!stepped.restless, "restless:\n{}", self.log);
            stepped.done.iter().for_each(|done| self.log.push_str(&format!("{} {done}\n", self.now)));
            wakes.extend(stepped.wake);
            for node in &mut self.nodes {
                self.control.observe(&self.api);
                let plan = node.sync(self.control.world(), Time(self.now));
                wakes.extend(plan.wake.map(|at| at.0));
                for action in plan.actions {
                    let refused = self.control.act(&mut self.api, self.now, &action).err();
                    let line = crate::control::Done { action, refused };
                    self.log.push_str(&format!("{} {}: {line}\n", self.now, node.name));
                }
            }
            if self.api.revision() == before {
                break;
            }
        }
        self.now = wakes.into_iter().filter(|at| *at > self.now).min().unwrap_or(end);
    }
}

fn is_ready(pod: &Value) -> bool {
    at(pod, &["metadata", "deletionTimestamp"]).is_none()
        && list(pod, &["status", "conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}
