//! Whole clusters in virtual time: what must hold at every moment, and what must hold in the end.

use std::collections::BTreeSet;

use orchestrate_core::controllers::{Policy, reconcile};
use orchestrate_core::objects::*;
use orchestrate_core::sim::{Behaviour, Cluster, Rng};
use orchestrate_core::{Time, World};
use proptest::prelude::*;
use serde_json::{Value, json};

fn deployment(name: &str, replicas: i64, image: &str) -> Object {
    let toleration =
        |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30});
    Object::from_json(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 5,
                    "tolerations": [toleration("node.kubernetes.io/unreachable"), toleration("node.kubernetes.io/not-ready")],
                    "containers": [{
                        "name": "app", "image": image,
                        "resources": {"requests": {"cpu": "300m", "memory": "64Mi"}},
                        "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 5},
                    }],
                },
            },
        },
    }))
    .unwrap()
}

fn image(image: &str) -> Value {
    let probe = json!({"tcpSocket": {"port": 80}, "periodSeconds": 5});
    let resources = json!({"requests": {"cpu": "300m", "memory": "64Mi"}});
    let container = json!({"name": "app", "image": image, "resources": resources, "readinessProbe": probe});
    json!({"spec": {"template": {"spec": {"containers": [container]}}}})
}

fn web() -> Key {
    Key::new(orchestrate_core::Kind::Deployment, "default", "web")
}

fn available(world: &World) -> i64 {
    world.pods.iter().filter(|p| p.is_ready() && p.is_active()).count() as i64
}

/// Never more on a node than it has; never two pods with one name or address.
fn sane(world: &World) {
    for node in world.nodes.iter() {
        for resource in ["cpu", "memory"] {
            let pods = world.pods_on(&node.metadata.name).filter(|p| !p.is_finished());
            let taken = pods.fold(Quantity::default(), |sum, p| sum.plus(p.request(resource)));
            assert!(taken <= node.status.allocatable[resource], "{} is over-committed", node.metadata.name);
        }
    }
    let ips: Vec<&str> = world
        .pods
        .iter()
        .filter(|p| p.is_active())
        .map(|p| p.status.pod_ip.as_str())
        .filter(|ip| !ip.is_empty())
        .collect();
    assert_eq!(ips.iter().collect::<BTreeSet<_>>().len(), ips.len(), "an address twice: {ips:?}");
}

/// The controllers have nothing left to say.
fn at_rest(cluster: &Cluster) {
    let plan = reconcile(cluster.world(), &Policy::default(), cluster.now);
    let left: Vec<String> = plan.actions.iter().map(ToString::to_string).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert!(!cluster.is_restless());
}

fn converged(cluster: &Cluster, replicas: i64, image: &str) {
    let deployment = cluster.world().deployments.get("default", "web").unwrap();
    let status = &deployment.status;
    let counts = [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas];
    assert_eq!(counts, [replicas as i32; 4], "{:?}", status.conditions);
    assert!(cluster.world().pods.iter().all(|p| p.spec.containers[0].image == image));
    at_rest(cluster);
}

fn after(cluster: &Cluster, seconds: i64) -> Time {
    cluster.now.plus_secs(seconds)
}

/// One eventful day: everything that can happen, in an order that the seed chooses; then peace.
fn eventful(seed: u64, events: u32) -> Cluster {
    let mut rng = Rng::new(seed);
    let behaviour = Behaviour { crash_percent: rng.below(30), ..Behaviour::default() };
    let mut cluster = Cluster::new(seed, 3, &behaviour, Policy::default());
    cluster.create(deployment("web", 4, "app:1")).unwrap();
    for _ in 0..events {
        match rng.below(7) {
            0 => cluster.patch(&web(), json!({"spec": {"replicas": rng.below(9)}})).unwrap(),
            1 => {
                let images = ["app:1", "app:2", "unready", "crash", "missing", "noexec"];
                cluster.patch(&web(), image(images[rng.below(6) as usize])).unwrap();
            }
            2 | 3 => {
                let keys = cluster.world().keys(orchestrate_core::Kind::Pod);
                if !keys.is_empty() {
                    cluster.delete(&keys[rng.below(keys.len() as u64) as usize]).unwrap();
                }
            }
            4 => cluster.power_off(rng.below(3) as usize),
            5 => cluster.power_on(),
            _ => cluster.patch(&web(), json!({"spec": {"paused": rng.chance(50)}})).unwrap(),
        }
        let end = after(&cluster, rng.below(120) as i64);
        cluster.run_until(end, |world, _| sane(world));
    }
    cluster.power_on();
    cluster.patch(&web(), json!({"spec": {"paused": false, "replicas": 5}})).unwrap();
    cluster.patch(&web(), image("app:9")).unwrap();
    cluster
}

#[test]
fn a_deployment_comes_up_spread_over_the_nodes() {
    let mut cluster = Cluster::new(1, 3, &Behaviour::default(), Policy::default());
    cluster.create(deployment("web", 3, "app:1")).unwrap();
    let end = after(&cluster, 30);
    cluster.run_until(end, |world, _| sane(world));
    converged(&cluster, 3, "app:1");
    let nodes: BTreeSet<&str> = cluster.world().pods.iter().map(|p| p.spec.node_name.as_str()).collect();
    assert_eq!(nodes.len(), 3);
}

#[test]
fn a_node_that_goes_dark_is_replaced_and_comes_back_clean() {
    let mut cluster = Cluster::new(2, 3, &Behaviour::default(), Policy::default());
    cluster.create(deployment("web", 6, "app:1")).unwrap();
    let end = after(&cluster, 60);
    cluster.run_until(end, |world, _| sane(world));
    cluster.power_off(0);
    let end = after(&cluster, 150);
    cluster.run_until(end, |world, _| sane(world));
    assert_eq!(available(cluster.world()), 6);
    assert!(cluster.world().pods_on("n1").all(|p| p.metadata.is_deleting()));
    cluster.power_on();
    let end = after(&cluster, 60);
    cluster.run_until(end, |world, _| sane(world));
    assert_eq!(cluster.world().pods_on("n1").filter(|p| p.metadata.is_deleting()).count(), 0);
    assert!(cluster.world().nodes.iter().all(|n| n.spec.taints.is_empty()));
    converged(&cluster, 6, "app:1");
}

#[test]
fn the_same_seed_gives_the_same_log_a_hundred_times() {
    let run = || {
        let mut cluster = eventful(42, 5);
        let end = after(&cluster, 60);
        cluster.run_until(end, |world, _| sane(world));
        cluster.log().join("\n")
    };
    let first = run();
    assert!(first.lines().count() > 200);
    for _ in 1..100 {
        assert!(run() == first, "a different log");
    }
}

/// Few cases in the gate; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if default.cases == 256 { 8 } else { default.cases };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_eventful_day_ends_in_peace(seed in any::<u64>()) {
        let mut cluster = eventful(seed, 12);
        let end = after(&cluster, 1200);
        cluster.run_until(end, |world, _| sane(world));
        let deployment = cluster.world().deployments.get("default", "web").unwrap();
        prop_assert_eq!(deployment.status.updated_replicas, 5, "seed {}", seed);
        prop_assert_eq!(deployment.status.replicas, 5, "seed {}", seed);
        at_rest(&cluster);
    }

    #[test]
    fn a_rollout_never_has_too_few_or_too_many(seed in any::<u64>(), replicas in 1i64..9, surge in 0i64..4, unavailable in 0i64..4) {
        let mut cluster = Cluster::new(seed, 3, &Behaviour::default(), Policy::default());
        let key = cluster.create(deployment("web", replicas, "app:1")).unwrap();
        let rolling = json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}});
        cluster.patch(&key, rolling).unwrap();
        let end = after(&cluster, 60);
        cluster.run_until(end, |world, _| sane(world));
        converged(&cluster, replicas, "app:1");
        cluster.patch(&key, image("app:2")).unwrap();
        let unavailable = if surge + unavailable == 0 { 1 } else { unavailable };
        let least = replicas - unavailable.min(replicas);
        let mut lowest = replicas;
        let mut most = 0;
        let end = after(&cluster, 120);
        cluster.run_until(end, |world, _| {
            sane(world);
            lowest = lowest.min(available(world));
            most = most.max(world.pods.iter().filter(|p| p.is_active()).count() as i64);
        });
        prop_assert!(lowest >= least, "{} available, {} allowed", lowest, least);
        prop_assert!(most <= replicas + surge, "{} pods, {} allowed", most, replicas + surge);
        converged(&cluster, replicas, "app:2");
    }
}
