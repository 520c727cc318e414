//! JSON in, JSON out: what users write survives.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn round_trip(json: &Value) -> Value {
    Object::from_json(json.clone()).unwrap().to_json()
}

#[test]
fn a_deployment_survives_with_fields_that_are_not_named_here() {
    let json = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}, "managedFields": [{"manager": "x"}]},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{
                        "name": "app",
                        "image": "my-app:1.0.0",
                        "ports": [{"containerPort": 80, "name": "http"}],
                        "resources": {"requests": {"cpu": "500m", "memory": "64Mi"}},
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
                        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                        "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
                    }],
                    "volumes": [{"name": "v", "projected": {"sources": []}}, {"name": "e", "emptyDir": {}}],
                    "runtimeClassName": "gvisor",
                },
            },
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}, "type": "RollingUpdate"},
        },
    });
    assert_eq!(round_trip(&json), json);
}

#[test]
fn null_is_absent_and_quantities_become_canonical() {
    let json = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "creationTimestamp": null, "labels": null},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}}}]},
    });
    let requests = &round_trip(&json)["spec"]["containers"][0]["resources"]["requests"];
    assert_eq!(*requests, json!({"cpu": "500m", "memory": "1Gi"}));
}

#[test]
fn trouble_names_the_object() {
    let error = Object::from_json(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d"}, "spec": 7}),
    );
    assert_eq!(error.unwrap_err().to_string(), "d/p is not a valid Pod");
    let error = Object::from_json(json!({"apiVersion": "v2", "kind": "Pod"}));
    assert_eq!(error.unwrap_err().to_string(), "no kind \"Pod\" in version \"v2\"");
    assert!(Object::from_json(json!([1])).is_err());
}

#[test]
fn pod_requests_count_sidecars_and_init_steps() {
    let container = |cpu: &str, restart| Container {
        resources: ResourceRequirements {
            requests: [("cpu".into(), cpu.parse().unwrap())].into(),
            ..Default::default()
        },
        restart_policy: restart,
        ..Default::default()
    };
    let mut pod = Pod::default();
    pod.spec.init_containers =
        vec![container("2", None), container("1", Some(RestartPolicy::Always)), container("3", None)];
    pod.spec.containers = vec![container("1", None), container("1500m", None)];
    // The last init step runs beside the sidecar: 1 + 3 is more than 1 + 1 + 1.5.
    assert_eq!(pod.request("cpu").milli(), 4000);
    pod.spec.init_containers.pop();
    assert_eq!(pod.request("cpu").milli(), 3500);
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,8}"
}

prop_compose! {
    fn a_container()(name in word(), image in word(), milli in 0i64..9000, port in 1i32..65536, probe in any::<bool>(),
                     env in prop::collection::vec((word(), word()), 0..3)) -> Value {
        let mut c = json!({"name": name, "image": image, "ports": [{"containerPort": port}],
            "resources": {"limits": {"cpu": Quantity::from_milli(milli).to_string()}}});
        if !env.is_empty() {
            c["env"] = env.iter().map(|(k, v)| json!({"name": k, "value": v})).collect();
        }
        if probe {
            c["livenessProbe"] = json!({"tcpSocket": {"port": port}, "failureThreshold": 2});
        }
        c
    }
}

prop_compose! {
    fn a_pod()(name in word(), labels in prop::collection::btree_map(word(), word(), 1..4), unknown in word(),
               containers in prop::collection::vec(a_container(), 1..4), secs in 0i64..4_000_000_000,
               exit in any::<i32>(), ready in any::<bool>()) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": labels, "creationTimestamp": crate::Time::from_secs(secs).to_string()},
            "spec": {"containers": containers, format!("x-{unknown}"): {"deep": [1, "two"]}},
            "status": {"phase": "Running", "containerStatuses": [{"name": name, "ready": ready, "restartCount": 1,
                "image": "i", "imageID": "", "state": {"terminated": {"exitCode": exit}}}]},
        })
    }
}

proptest! {
    #[test]
    fn every_pod_survives_a_round_trip(pod in a_pod()) {
        prop_assert_eq!(round_trip(&pod), pod);
    }
}
