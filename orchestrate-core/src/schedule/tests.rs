//! Upstream's filters, scores and words as tables.

use serde_json::{Value, json};

use super::*;
use crate::objects::Object;
use crate::{Change, Resource, Time};

fn node(name: &str, cpu: &str, memory: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}}})
}

fn pod(name: &str, cpu: &str, memory: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "d", "uid": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]}})
}

fn world(objects: &[Value]) -> World {
    let mut world = World::default();
    world.extend(objects.iter().map(|o| Change::Set(Object::from_json(o.clone()).unwrap())));
    world
}

fn with(mut object: Value, at: &str, value: Value) -> Value {
    let (parent, field) = at.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

fn on(pod: Value, node: &str) -> Value {
    with(pod, "/spec/nodeName", node.into())
}

fn decide(world: &World, pod: &Value) -> Decision {
    let pod = Pod::from_object(Object::from_json(pod.clone()).unwrap()).unwrap();
    schedule(world, &Snapshot::of(world), &pod, Tie::First)
}

fn placed(world: &World, pod: &Value) -> String {
    match decide(world, pod) {
        Decision::Place { node, .. } => node,
        Decision::Refuse(refusal) => panic!("{refusal}"),
    }
}

fn refused(world: &World, pod: &Value) -> String {
    match decide(world, pod) {
        Decision::Place { node, .. } => panic!("placed on {node}"),
        Decision::Refuse(refusal) => refusal.to_string(),
    }
}

#[test]
fn refusals_are_worded_as_kube_scheduler_does() {
    let taint = json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]);
    let nodes = [
        with(with(node("n1", "1", "1Gi"), "/spec", json!({})), "/spec/taints", taint),
        node("n2", "1", "1Gi"),
        node("n3", "1", "1Gi"),
    ];
    let mut all = nodes.to_vec();
    all.extend(["n2", "n3"].map(|n| on(pod(&format!("p-{n}"), "900m", "64Mi"), n)));
    assert_eq!(
        refused(&world(&all), &pod("p", "500m", "64Mi")),
        "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu. \
         preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
    );
    assert_eq!(
        refused(&world(&all), &pod("p", "2", "2Gi")),
        "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu, 2 Insufficient memory. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    assert_eq!(refused(&World::default(), &pod("p", "1", "1")), "no nodes available to schedule pods");
    let never = with(pod("p", "2", "1"), "/spec/preemptionPolicy", "Never".into());
    assert!(refused(&world(&nodes), &never).ends_with("preemption: not eligible due to preemptionPolicy=Never."));
}

#[test]
fn every_filter_says_no() {
    let base = || node("n1", "1", "1Gi");
    let spec = |field: &str, value: Value| with(pod("p", "100m", "1Mi"), &format!("/spec/{field}"), value);
    let unschedulable = with(with(base(), "/spec", json!({})), "/spec/unschedulable", true.into());
    let small = with(base(), "/status/allocatable/pods", "0".into());
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}});
    let ports = json!([{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]);
    let holder = on(with(pod("holder", "0", "0"), "/spec/containers", ports.clone()), "n1");
    for (objects, pod, want) in [
        (vec![unschedulable], pod("p", "0", "0"), "1 node(s) were unschedulable"),
        (vec![base()], spec("nodeName", "n2".into()), "1 node(s) didn't match the requested node name"),
        (
            vec![base()],
            spec("nodeSelector", json!({"disk": "ssd"})),
            "1 node(s) didn't match Pod's node affinity/selector",
        ),
        (vec![base()], spec("affinity", affinity), "1 node(s) didn't match Pod's node affinity/selector"),
        (
            vec![base(), holder],
            spec("containers", ports),
            "1 node(s) didn't have free ports for the requested pod ports",
        ),
        (vec![small], pod("p", "0", "0"), "1 Too many pods"),
        (vec![base()], pod("p", "100m", "2Gi"), "1 Insufficient memory"),
        (
            vec![base()],
            with(pod("p", "0", "0"), "/spec/containers/0/resources", json!({"limits": {"example.com/gpu": 1}})),
            "1 Insufficient example.com/gpu",
        ),
    ] {
        assert!(refused(&world(&objects), &pod).starts_with(&format!("0/1 nodes are available: {want}.")), "{want}");
    }
}

#[test]
fn resources_decide_between_equal_nodes() {
    let nodes = [node("n1", "4", "8Gi"), node("n2", "4", "8Gi"), on(pod("x", "1", "1Gi"), "n1")];
    assert_eq!(placed(&world(&nodes), &pod("p", "500m", "512Mi")), "n2");
    let Decision::Place { scores, .. } = decide(&world(&nodes), &pod("p", "500m", "512Mi")) else { panic!() };
    // n1: cpu (4000-1500)/4000 → 62, memory (8192-1536)/8192 → 81, mean 71. n2: 87 and 93, mean 90.
    assert_eq!((scores["n1"].0[4], scores["n2"].0[4]), (71, 90));
    // Evenness on n1 before: 25 % against 12.5 % → 93; with the pod 37.5 % against 18.75 % → 90.
    assert_eq!((scores["n1"].0[5], scores["n2"].0[5]), (50 + (50 + 90 - 93) / 2, 50 + (50 + 96 - 100) / 2));
}

#[test]
fn preferences_count() {
    let labelled = with(node("n2", "4", "8Gi"), "/metadata/labels/disk", "ssd".into());
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 10, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}});
    let p = with(pod("p", "0", "0"), "/spec/affinity", affinity);
    assert_eq!(placed(&world(&[node("n1", "4", "8Gi"), labelled]), &p), "n2");
    let shy = with(
        with(node("n1", "4", "8Gi"), "/spec", json!({})),
        "/spec/taints",
        json!([{"key": "k", "effect": "PreferNoSchedule"}]),
    );
    assert_eq!(placed(&world(&[shy, node("n2", "1", "1Gi")]), &pod("p", "0", "0")), "n2");
}

#[test]
fn replicas_spread_by_default_and_by_constraint() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "d"}, "spec": {"selector": {"app": "web"}}});
    // n1 is far larger, yet replicas do not pile up there.
    let mut objects = vec![service, node("n1", "64", "64Gi"), node("n2", "4", "8Gi"), node("n3", "4", "8Gi")];
    for n in 0..6 {
        let p = pod(&format!("p{n}"), "100m", "64Mi");
        let at = placed(&world(&objects), &p);
        objects.push(on(p, &at));
    }
    let w = world(&objects);
    let counts: Vec<usize> = ["n1", "n2", "n3"].iter().map(|n| w.pods_on(n).count()).collect();
    assert_eq!(counts, [2, 2, 2]);
    let constraint = json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}}]);
    let strict = |name: &str| with(pod(name, "3", "64Mi"), "/spec/topologySpreadConstraints", constraint.clone());
    let mut objects = vec![node("n1", "64", "64Gi"), node("n2", "4", "8Gi")];
    for n in 0..2 {
        let p = strict(&format!("p{n}"));
        let at = placed(&world(&objects), &p);
        objects.push(on(p, &at));
    }
    let third = strict("p2");
    objects.push(on(with(pod("filler", "500m", "1Mi"), "/metadata/labels/app", "other".into()), "n2"));
    // Both have one; n1 takes a second, after which only the full n2 would keep the balance.
    objects.push(on(third, "n1"));
    let message = refused(&world(&objects), &strict("p3"));
    assert!(
        message.starts_with(
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints."
        ),
        "{message}"
    );
}

#[test]
fn pods_attract_and_repel() {
    let term = json!([{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]);
    let required = |kind: &str| {
        with(
            pod("p", "0", "0"),
            "/spec/affinity",
            json!({kind: {"requiredDuringSchedulingIgnoredDuringExecution": term}}),
        )
    };
    let nodes = [node("n1", "4", "8Gi"), node("n2", "4", "8Gi"), on(pod("x", "1", "1Gi"), "n2")];
    assert_eq!(placed(&world(&nodes), &required("podAffinity")), "n2");
    assert_eq!(placed(&world(&nodes), &required("podAntiAffinity")), "n1");
    assert_eq!(placed(&world(&nodes[..2]), &required("podAffinity")), "n1", "the first of a group may be alone");
    let hostile = [node("n1", "4", "8Gi"), on(with(required("podAntiAffinity"), "/metadata/name", "y".into()), "n1")];
    assert!(refused(&world(&hostile), &pod("p", "0", "0")).contains("existing pods anti-affinity"));
}

#[test]
fn ties_are_broken_by_name_or_by_seed() {
    let nodes: Vec<Value> = (0..8).map(|n| node(&format!("n{n}"), "4", "8Gi")).collect();
    let (w, p) = (world(&nodes), Pod::from_object(Object::from_json(pod("p", "1", "1Gi")).unwrap()).unwrap());
    let choose = |tie| match schedule(&w, &Snapshot::of(&w), &p, tie) {
        Decision::Place { node, .. } => node,
        Decision::Refuse(refusal) => panic!("{refusal}"),
    };
    assert_eq!(choose(Tie::First), "n0");
    let chosen: std::collections::BTreeSet<String> = (0..40).map(|seed| choose(Tie::Seeded(seed))).collect();
    assert!(chosen.len() >= 6, "{chosen:?}");
    assert_eq!(choose(Tie::Seeded(7)), choose(Tie::Seeded(7)));
}

#[test]
fn the_queue_backs_off_and_wakes_up_on_change() {
    let mut w = world(&[node("n1", "1", "1Gi"), pod("p", "2", "1Mi")]);
    let mut scheduler = Scheduler::new(QueuePolicy::default());
    let at = |ms: i64| Time(1_000_000 + ms);
    let plan = scheduler.step(&w, at(0));
    assert_eq!(plan.actions.len(), 2, "{plan:?}");
    assert_eq!(plan.wake, Some(at(300_000)));
    assert!(scheduler.step(&w, at(5000)).actions.is_empty(), "nothing changed");
    w.extend([Change::Set(Object::from_json(node("n2", "1", "1Gi")).unwrap())]);
    assert_eq!(scheduler.step(&w, at(500)).wake, Some(at(1000)), "still backing off");
    assert!(scheduler.step(&w, at(1000)).actions.iter().any(|a| a.to_string().contains("FailedScheduling")));
    w.extend([Change::Set(Object::from_json(node("n3", "4", "1Gi")).unwrap())]);
    assert_eq!(scheduler.step(&w, at(2000)).wake, Some(at(3000)), "doubled");
    assert_eq!(scheduler.step(&w, at(3000)).actions[0].to_string(), "bind Pod d/p to n3");
}

#[test]
fn priority_goes_first_and_one_pass_never_overcommits() {
    let mut objects = vec![node("n1", "1", "1Gi")];
    objects.extend((0..5).map(|n| with(pod(&format!("p{n}"), "400m", "1Mi"), "/spec/priority", n.into())));
    let plan = Scheduler::default().step(&world(&objects), Time(0));
    let bound: Vec<String> =
        plan.actions.iter().filter(|a| matches!(a, crate::Action::Bind { .. })).map(ToString::to_string).collect();
    assert_eq!(bound, ["bind Pod d/p4 to n1", "bind Pod d/p3 to n1"]);
}
