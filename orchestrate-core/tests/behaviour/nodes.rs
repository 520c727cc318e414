//! Node life cycle and eviction.

use orchestrate_core::objects::*;
use orchestrate_core::{Kind, Time};
use serde_json::json;

use crate::lab::{Lab, deployment};

fn toleration(key: &str, seconds: i64) -> Toleration {
    Toleration {
        key: key.into(),
        operator: Some(TolerationOperator::Exists),
        effect: Some(TaintEffect::NoExecute),
        toleration_seconds: Some(seconds),
        ..Toleration::default()
    }
}

fn beat(lab: &mut Lab, nodes: &[&str]) {
    for name in nodes {
        let key = Key::new(Kind::Lease, "kube-node-lease", name);
        let time = orchestrate_core::time::MicroTime(lab.now).to_string();
        if lab.exists(&key) {
            lab.patch(&key, json!({"spec": {"renewTime": time}}));
        } else {
            let mut lease = Lease { metadata: ObjectMeta::named("kube-node-lease", name), ..Lease::default() };
            lease.spec.renew_time = Some(orchestrate_core::time::MicroTime(lab.now));
            lab.create(lease);
        }
    }
}

fn taints(lab: &Lab, node: &str) -> Vec<String> {
    let taints = &lab.store.world.nodes.get("", node).unwrap().spec.taints;
    taints.iter().map(|t| format!("{}:{}", t.key, t.effect)).collect()
}

#[test]
fn a_silent_node_loses_its_pods_after_their_toleration() {
    let mut lab = Lab::new();
    let mut d = deployment("web", 3);
    d.spec.template.spec.tolerations = vec![toleration("node.kubernetes.io/unreachable", 300)];
    lab.create(d);
    lab.settle();
    let all = ["n1", "n2", "n3"];
    for _ in 0..10 {
        beat(&mut lab, &all);
        lab.pass(10);
    }
    assert!(taints(&lab, "n1").is_empty());
    for _ in 0..6 {
        beat(&mut lab, &all[1..]);
        lab.pass(10);
    }
    let ready = condition(&lab.store.world.nodes.get("", "n1").unwrap().status.conditions, "Ready").unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::Unknown, "NodeStatusUnknown"));
    let expected =
        ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"].map(String::from);
    assert_eq!(taints(&lab, "n1"), expected);
    let on_n1: Vec<&Pod> = lab.store.world.pods_on("n1").collect();
    assert!(on_n1.iter().all(|p| !p.is_ready() && !p.metadata.is_deleting()));
    assert_eq!(lab.deployment("web").status.available_replicas, 2);
    // Pods of a dead node cannot confirm their end: they stay, and are replaced all the same.
    lab.kubelet = false;
    for _ in 0..31 {
        beat(&mut lab, &all[1..]);
        lab.pass(10);
    }
    assert_eq!(lab.store.world.pods_on("n1").filter(|p| p.metadata.is_deleting()).count(), 1);
    assert_eq!(lab.store.world.pods_on("").count(), 1);
}

#[test]
fn a_returning_node_loses_its_taints() {
    let mut lab = Lab::new();
    for _ in 0..6 {
        beat(&mut lab, &["n2", "n3"]);
        lab.pass(10);
    }
    assert_eq!(taints(&lab, "n1").len(), 2);
    beat(&mut lab, &["n1", "n2", "n3"]);
    let now = lab.now;
    lab.set_status(&Key::new(Kind::Node, "", "n1"), serde_json::to_value(crate::lab::node("n1", now).status).unwrap());
    lab.settle();
    assert!(taints(&lab, "n1").is_empty());
}

#[test]
fn nothing_is_evicted_while_every_node_is_silent() {
    let mut lab = Lab::new();
    lab.create(deployment("web", 3));
    lab.settle();
    lab.pass(1000);
    assert_eq!(taints(&lab, "n1"), ["node.kubernetes.io/unreachable:NoSchedule"]);
    assert!(lab.pods().iter().all(|p| !p.metadata.is_deleting()));
}

#[test]
fn cordon_and_pressure_become_taints() {
    let mut lab = Lab::new();
    let key = Key::new(Kind::Node, "", "n2");
    lab.patch(&key, json!({"spec": {"unschedulable": true, "taints": [{"key": "mine", "effect": "NoExecute"}]}}));
    lab.settle();
    assert_eq!(taints(&lab, "n2"), ["mine:NoExecute", "node.kubernetes.io/unschedulable:NoSchedule"]);
    lab.patch(&key, json!({"spec": {"unschedulable": false}}));
    lab.settle();
    assert_eq!(taints(&lab, "n2"), ["mine:NoExecute"]);
}

#[test]
fn pods_of_a_removed_node_go_at_once() {
    let mut lab = Lab::new();
    lab.create(deployment("web", 3));
    lab.settle();
    lab.delete(&Key::new(Kind::Node, "", "n1"), orchestrate_core::action::Propagation::Background);
    lab.kubelet = false;
    lab.settle();
    assert_eq!(lab.store.world.pods_on("n1").count(), 0);
    assert_eq!(lab.pods().len(), 3);
}

#[test]
fn an_untolerated_taint_evicts_at_once_and_a_tolerated_one_never() {
    for (tolerations, stays) in [
        (vec![], false),
        (vec![toleration("mine", 20)], true),
        (vec![Toleration { toleration_seconds: None, ..toleration("mine", 0) }], true),
    ] {
        let forever = tolerations.iter().any(|t: &Toleration| t.toleration_seconds.is_none());
        let mut lab = Lab::new();
        let mut pod = Pod { metadata: ObjectMeta::named("default", "p"), ..Pod::default() };
        pod.spec.containers = vec![Container { name: "c".into(), image: "i".into(), ..Container::default() }];
        pod.spec.node_name = "n1".into();
        pod.spec.tolerations = tolerations;
        lab.create(pod);
        lab.settle();
        let added = Time::to_string(&lab.now);
        let taint = json!({"key": "mine", "effect": "NoExecute", "timeAdded": added});
        lab.patch(&Key::new(Kind::Node, "", "n1"), json!({"spec": {"taints": [taint]}}));
        lab.settle();
        assert_eq!(lab.pods().len() == 1, stays);
        lab.pass(21);
        assert_eq!(lab.pods().len() == 1, forever);
    }
}
