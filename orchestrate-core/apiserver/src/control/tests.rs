//! The control plane under virtual time: a cluster of fake nodes, days in milliseconds.

mod fake;

use serde_json::{Value, json};

use fake::Sim;

const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";

fn deployment(replicas: i64) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": {
        "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
        "strategy": { "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 1 } },
        "template": { "metadata": { "labels": { "app": "web" } }, "spec": {
            "tolerations": [{ "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2 }],
            "containers": [{ "name": "app", "image": "my-app:1.0.0", "ports": [{ "containerPort": 8080 }] }] } } } })
}

fn service() -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] } })
}

fn started(seed: u64) -> Sim {
    let mut sim = Sim::new(seed, 3);
    sim.post("/apis/apps/v1/namespaces/default/deployments", deployment(3));
    sim.post("/api/v1/namespaces/default/services", service());
    sim.run_until(60_000, |sim| sim.ready() == 3);
    sim
}

#[test]
fn a_deployment_becomes_ready_pods_and_endpoints() {
    let mut sim = started(1);
    sim.run_for(5000);
    let status = sim.get(WEB)["status"].clone();
    assert_eq!((&status["readyReplicas"], &status["availableReplicas"]), (&json!(3), &json!(3)));
    assert_eq!(sim.endpoints(), 3);
    let table = sim.get("/api/v1/namespaces/default/events");
    assert!(table["items"].as_array().is_some_and(|events| events.iter().any(|e| e["reason"] == "ScalingReplicaSet")));
}

#[test]
fn a_deleted_pod_is_replaced() {
    let mut sim = started(2);
    let name = sim.pods()[0]["metadata"]["name"].clone();
    sim.delete(&format!("/api/v1/namespaces/default/pods/{}", name.as_str().expect("a name")));
    sim.run_for(30_000);
    assert_eq!(sim.ready(), 3);
    assert!(sim.pods().iter().all(|pod| pod["metadata"]["name"] != name));
}

#[test]
fn a_rolling_update_stays_within_its_bounds() {
    let mut sim = started(3);
    let patch =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "my-app:1.1.0" }] } } } });
    sim.patch(WEB, patch);
    let updated = |sim: &Sim| {
        let pods = sim.pods();
        pods.len() == 3 && pods.iter().all(|pod| pod["spec"]["containers"][0]["image"] == "my-app:1.1.0")
    };
    sim.run_watching(
        120_000,
        |sim| updated(sim) && sim.ready() == 3,
        |sim| {
            assert!(sim.ready() >= 2, "never below the bound");
            assert!(sim.active() <= 4, "never above the surge");
        },
    );
}

#[test]
fn pods_of_a_lost_node_move() {
    let mut sim = started(4);
    let lost = sim.pods()[0]["spec"]["nodeName"].as_str().expect("placed").to_owned();
    sim.switch_off(&lost);
    sim.run_until(300_000, |sim| sim.ready_elsewhere(&lost) == 3);
    assert_eq!(sim.endpoints(), 3);
}

#[test]
fn a_namespace_goes_with_all_it_holds() {
    let mut sim = Sim::new(5, 1);
    sim.post("/api/v1/namespaces", json!({ "metadata": { "name": "shop" } }));
    sim.post("/apis/apps/v1/namespaces/shop/deployments", deployment(2));
    sim.run_for(20_000);
    sim.delete("/api/v1/namespaces/shop");
    sim.run_for(60_000);
    assert!(sim.missing("/api/v1/namespaces/shop"));
    assert_eq!(sim.pods().len(), 0);
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let run = |seed| {
        let mut sim = Sim::new(seed, 2);
        sim.post("/apis/apps/v1/namespaces/default/deployments", deployment(2));
        sim.run_until(60_000, |sim| sim.ready() == 2);
        sim.patch(WEB, json!({ "spec": { "replicas": 3 } }));
        let lost = sim.pods()[0]["spec"]["nodeName"].as_str().expect("placed").to_owned();
        sim.switch_off(&lost);
        sim.run_for(30_000);
        sim.log
    };
    let first = run(7);
    assert!(first.lines().count() > 50, "{first}");
    for _ in 0..100 {
        assert_eq!(run(7), first);
    }
    assert_ne!(run(8), first);
}
