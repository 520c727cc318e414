//! The pod machine over a pretended executor: what a kubelet's users see.

use orchestrate_core::objects::*;
use orchestrate_core::sim::{Behaviour, FakeKubelet, Store};
use orchestrate_core::{Action, Resource, Time};
use serde_json::{Value, json};

struct Node {
    store: Store,
    kubelet: FakeKubelet,
    now: Time,
    next: Option<Time>,
}

impl Node {
    fn new() -> Self {
        let behaviour = Behaviour { latency: (10, 10), life: (1000, 1000), ..Behaviour::default() };
        let kubelet = FakeKubelet::new("n1", 4000, 1 << 30, behaviour, 1);
        Self { store: Store::default(), kubelet, now: Time::from_secs(1_000_000), next: None }
    }

    fn with(spec: &Value) -> Self {
        let mut node = Self::new();
        let mut json = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d"}, "spec": spec.clone()});
        json["spec"]["nodeName"] = "n1".into();
        node.store.create(Object::from_json(json).unwrap(), node.now).unwrap();
        node.settle();
        node
    }

    fn settle(&mut self) {
        for _ in 0..50 {
            let plan = self.kubelet.sync(&self.store.world, self.now);
            self.next = plan.wake;
            if plan.actions.is_empty() {
                return;
            }
            for action in &plan.actions {
                self.store.apply(action, self.now).unwrap();
            }
        }
        panic!("no fixpoint");
    }

    fn pass(&mut self, seconds: i64) {
        let end = self.now.plus_secs(seconds);
        while let Some(at) = self.next.filter(|at| *at <= end) {
            self.now = at;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn pod(&self) -> &Pod {
        self.store.world.pods.get("d", "p").unwrap()
    }

    fn status(&self, name: &str) -> &ContainerStatus {
        let status = &self.pod().status;
        status.init_container_statuses.iter().chain(&status.container_statuses).find(|s| s.name == name).unwrap()
    }

    fn waiting(&self, name: &str) -> &str {
        self.status(name).state.waiting.as_ref().map_or("", |w| &w.reason)
    }

    fn ready(&self) -> (ConditionStatus, &str) {
        let c = condition(&self.pod().status.conditions, "Ready").unwrap();
        (c.status, &c.reason)
    }

    fn events(&self) -> Vec<String> {
        let mut all: Vec<&Event> = self.store.world.events.iter().collect();
        all.sort_by_key(|e| e.metadata.uid.clone());
        all.iter().map(|e| format!("{} {}", e.reason, e.message)).collect()
    }

    fn delete(&mut self, grace: Option<i64>) {
        let on = orchestrate_core::action::Target::loose(self.pod().key(), &self.pod().metadata.uid);
        let propagation = orchestrate_core::action::Propagation::Background;
        self.store.apply(&Action::Delete { on, grace, propagation }, self.now).unwrap();
        self.settle();
    }
}

fn one(image: &str) -> Value {
    json!({"containers": [{"name": "app", "image": image}]})
}

#[test]
fn a_pod_runs() {
    let mut node = Node::with(&one("app:1"));
    assert_eq!(node.waiting("app"), "ContainerCreating");
    node.pass(1);
    let status = &node.pod().status;
    assert_eq!(status.phase, Some(PodPhase::Running));
    assert_eq!((node.status("app").ready, node.status("app").restart_count), (true, 0));
    assert!(!status.pod_ip.is_empty() && status.qos_class == "BestEffort");
    for kind in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        assert!(holds(&status.conditions, kind), "{kind}");
    }
    let expected = [
        "Pulling Pulling image \"app:1\"",
        "Pulled Successfully pulled image \"app:1\"",
        "Created Created container: app",
        "Started Started container app",
    ];
    assert_eq!(node.events(), expected);
    let version = node.pod().metadata.resource_version.clone();
    node.pass(600);
    assert_eq!(node.pod().metadata.resource_version, version, "a healthy pod causes no writes");
}

#[test]
fn a_crash_is_answered_with_growing_patience() {
    let mut node = Node::with(&one("crash"));
    node.pass(2);
    // The first restart is immediate.
    assert_eq!(node.status("app").restart_count, 1);
    node.pass(1);
    assert_eq!(node.waiting("app"), "CrashLoopBackOff");
    let message = &node.status("app").state.waiting.as_ref().unwrap().message;
    assert!(message.starts_with("back-off 10s restarting failed container=app pod=p_d("), "{message}");
    assert_eq!(node.status("app").last_state.terminated.as_ref().unwrap().exit_code, 1);
    assert_eq!(node.pod().status.phase, Some(PodPhase::Running));
    assert_eq!(node.ready(), (ConditionStatus::False, "ContainersNotReady"));
    node.pass(3600);
    // 10, 20, 40, 80, 160, then every 300 s.
    let restarts = node.status("app").restart_count;
    assert!((15..=18).contains(&restarts), "{restarts}");
}

#[test]
fn restart_policies_and_phases() {
    for (policy, image, phase, restarted) in [
        ("Never", "once", PodPhase::Succeeded, false),
        ("Never", "crash", PodPhase::Failed, false),
        ("OnFailure", "once", PodPhase::Succeeded, false),
        ("OnFailure", "crash", PodPhase::Running, true),
        ("Always", "once", PodPhase::Running, true),
    ] {
        let mut spec = one(image);
        spec["restartPolicy"] = policy.into();
        let mut node = Node::with(&spec);
        node.pass(4);
        assert_eq!(node.pod().status.phase, Some(phase), "{policy} {image}");
        assert_eq!(node.status("app").restart_count > 0, restarted, "{policy} {image}");
        if phase == PodPhase::Succeeded {
            assert_eq!(node.ready(), (ConditionStatus::False, "PodCompleted"));
            assert_eq!(node.status("app").state.terminated.as_ref().unwrap().reason, "Completed");
        }
    }
}

#[test]
fn an_image_that_cannot_be_pulled() {
    let mut node = Node::with(&one("missing:1"));
    node.pass(1);
    assert_eq!(node.waiting("app"), "ErrImagePull");
    node.pass(3);
    assert_eq!(node.waiting("app"), "ImagePullBackOff");
    assert_eq!(node.pod().status.phase, Some(PodPhase::Pending));
    let events = node.events();
    for want in [
        "Failed Failed to pull image \"missing:1\": missing:1: not found",
        "Failed Error: ErrImagePull",
        "BackOff Back-off pulling image \"missing:1\"",
        "Failed Error: ImagePullBackOff",
    ] {
        assert!(events.iter().any(|e| e == want), "{want} in {events:#?}");
    }
}

#[test]
fn pull_policy_never_needs_the_image_here() {
    let spec = json!({"containers": [{"name": "app", "image": "app:1", "imagePullPolicy": "Never"}]});
    let node = Node::with(&spec);
    let mut node = node;
    node.pass(1);
    assert_eq!(node.waiting("app"), "ErrImageNeverPull");
}

#[test]
fn a_command_that_cannot_start() {
    let mut node = Node::with(&one("noexec"));
    node.pass(1);
    assert!(["RunContainerError", "CrashLoopBackOff"].contains(&node.waiting("app")), "{}", node.waiting("app"));
    assert!(node.events().iter().any(|e| e.contains("exec: \"/nope\": no such file")));
    node.pass(15);
    assert!(node.status("app").restart_count >= 2);
}

#[test]
fn init_containers_run_one_by_one() {
    let mut node = Node::with(&json!({
        "initContainers": [{"name": "a", "image": "once"}, {"name": "b", "image": "once"}],
        "containers": [{"name": "app", "image": "app:1"}],
    }));
    assert_eq!(node.waiting("app"), "PodInitializing");
    let c = condition(&node.pod().status.conditions, "Initialized").unwrap();
    assert_eq!(c.message, "containers with incomplete status: [a b]");
    node.pass(1);
    assert!(node.status("a").state.running.is_some() && node.status("b").state.running.is_none());
    assert_eq!(node.pod().status.phase, Some(PodPhase::Pending));
    node.pass(3);
    assert!(node.status("app").ready && node.status("a").state.terminated.is_some());
}

#[test]
fn a_failing_init_container() {
    for (policy, phase) in [("Never", PodPhase::Failed), ("Always", PodPhase::Pending)] {
        let mut node = Node::with(&json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "a", "image": "crash"}],
            "containers": [{"name": "app", "image": "app:1"}],
        }));
        node.pass(10);
        assert_eq!(node.pod().status.phase, Some(phase), "{policy}");
        assert!(node.status("app").state.running.is_none());
    }
}

#[test]
fn sidecars_start_first_and_stop_last() {
    let mut node = Node::with(&json!({
        "restartPolicy": "Never",
        "initContainers": [
            {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always",
             "startupProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 1}},
            {"name": "setup", "image": "once"},
        ],
        "containers": [{"name": "app", "image": "once"}],
    }));
    node.pass(1);
    assert!(node.status("proxy").ready);
    assert!(node.status("app").state.running.is_none());
    node.pass(10);
    // The work is done: the sidecar does not keep the pod alive.
    assert_eq!(node.pod().status.phase, Some(PodPhase::Succeeded));
    let (proxy, app) =
        (node.status("proxy").state.terminated.clone().unwrap(), node.status("app").state.terminated.clone().unwrap());
    assert!(proxy.finished_at >= app.finished_at);
}

#[test]
fn readiness_and_liveness() {
    let probe = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "failureThreshold": 2});
    let mut node = Node::with(&json!({"containers": [{"name": "app", "image": "unready", "readinessProbe": probe}]}));
    node.pass(30);
    assert_eq!((node.ready().0, node.status("app").restart_count), (ConditionStatus::False, 0));
    assert_eq!(node.status("app").started, Some(true));
    let mut node = Node::with(&json!({"containers": [{"name": "app", "image": "unready", "livenessProbe": probe}]}));
    node.pass(5);
    assert!(node.events().iter().any(|e| e == "Unhealthy Liveness probe failed: pretended"));
    assert!(node.events().iter().any(|e| e == "Killing Container app failed liveness probe, will be restarted"));
    node.pass(5);
    assert!(node.status("app").restart_count >= 1);
    let mut node = Node::with(&json!({"containers": [{"name": "app", "image": "fine", "readinessProbe": probe,
        "startupProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 5}}]}));
    node.pass(4);
    assert_eq!((node.status("app").started, node.status("app").ready), (Some(false), false));
    node.pass(6);
    assert_eq!((node.status("app").started, node.status("app").ready), (Some(true), true));
}

#[test]
fn deletion_takes_the_pod_away() {
    for grace in [None, Some(0), Some(5)] {
        let mut node = Node::with(&one("app:1"));
        node.pass(1);
        node.delete(grace);
        node.pass(1);
        assert!(node.store.world.pods.is_empty(), "{grace:?}");
    }
    // Also before anything was started.
    let mut node = Node::with(&one("missing"));
    node.pass(20);
    node.delete(None);
    node.pass(1);
    assert!(node.store.world.pods.is_empty());
}

#[test]
fn a_deadline_ends_the_pod() {
    let mut spec = one("app:1");
    spec["activeDeadlineSeconds"] = 5.into();
    let mut node = Node::with(&spec);
    node.pass(4);
    assert_eq!(node.pod().status.phase, Some(PodPhase::Running));
    node.pass(3);
    assert_eq!(
        (node.pod().status.phase, node.pod().status.reason.as_str()),
        (Some(PodPhase::Failed), "DeadlineExceeded")
    );
    assert!(node.status("app").state.terminated.is_some());
}
