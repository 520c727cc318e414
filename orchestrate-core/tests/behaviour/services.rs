//! EndpointSlices.

use orchestrate_core::objects::*;
use orchestrate_core::{Action, Kind};
use serde_json::json;

use crate::lab::{Lab, deployment, labels};

fn service(target: IntOrString) -> Service {
    let mut service = Service { metadata: ObjectMeta::named("default", "web"), ..Service::default() };
    service.spec.selector = labels(&[("app", "web")]);
    service.spec.ports =
        vec![ServicePort { port: 80, target_port: Some(target), name: "http".into(), ..ServicePort::default() }];
    service
}

fn endpoints(lab: &Lab) -> Vec<&Endpoint> {
    lab.store.world.endpoint_slices.iter().flat_map(|s| &s.endpoints).collect()
}

#[test]
fn a_named_port_is_resolved_and_readiness_is_followed() {
    let mut lab = Lab::new();
    lab.create(service("http".into()));
    lab.settle();
    assert_eq!(lab.count(Kind::EndpointSlice), 1, "an empty slice says that the Service is known");
    let key = lab.create(deployment("web", 3));
    lab.settle();
    let slice = lab.store.world.endpoint_slices.iter().next().unwrap();
    assert_eq!(slice.ports[0].port, Some(8080));
    assert_eq!(slice.metadata.labels["kubernetes.io/service-name"], "web");
    assert_eq!(endpoints(&lab).len(), 3);
    assert!(endpoints(&lab).iter().all(|e| e.conditions.ready == Some(true)));
    lab.set_image(&key, "broken");
    lab.settle();
    let ready = endpoints(&lab).iter().filter(|e| e.conditions.ready == Some(true)).count();
    assert_eq!((endpoints(&lab).len(), ready), (4, 3));
}

#[test]
fn a_terminating_pod_is_serving_but_not_ready() {
    let mut lab = Lab::new();
    lab.create(service(8080.into()));
    lab.create(deployment("web", 1));
    lab.settle();
    lab.kubelet = false;
    let name = lab.pods()[0].metadata.name.clone();
    lab.delete(&Key::new(Kind::Pod, "default", &name), orchestrate_core::action::Propagation::Background);
    lab.settle();
    let c = &endpoints(&lab)[0].conditions;
    assert_eq!((c.ready, c.serving, c.terminating), (Some(false), Some(true), Some(true)));
}

#[test]
fn large_services_are_cut_and_one_change_touches_one_slice() {
    let mut lab = Lab::new();
    lab.policy.endpoints_per_slice = 10;
    lab.create(service(8080.into()));
    let key = lab.create(deployment("web", 25));
    lab.settle();
    let sizes = |lab: &Lab| {
        let mut sizes: Vec<usize> = lab.store.world.endpoint_slices.iter().map(|s| s.endpoints.len()).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&lab).iter().sum::<usize>(), 25);
    assert!(sizes(&lab).iter().all(|n| *n <= 10));
    let victim = lab.pods()[7].metadata.name.clone();
    let pod = Key::new(Kind::Pod, "default", &victim);
    let mut status = lab.pods()[7].status.clone();
    set_condition(&mut status.conditions, Condition::new("Ready", ConditionStatus::False, "", "", lab.now));
    lab.set_status(&pod, serde_json::to_value(status).unwrap());
    let actions = lab.settle();
    let touched =
        actions.iter().filter(|a| matches!(a, Action::Patch { on, .. } if on.key.kind == Kind::EndpointSlice));
    assert_eq!(touched.count(), 1);
    lab.patch(&key, json!({"spec": {"replicas": 0}}));
    lab.settle();
    assert_eq!(sizes(&lab), [0]);
}

#[test]
fn nodes_and_load_balancers_get_their_addresses() {
    let mut lab = Lab::new();
    let net = |text: &str| text.parse().unwrap();
    lab.policy.networks = Some(orchestrate_core::net::Networks {
        pods: net("10.244.0.0/16"),
        node_prefix: 24,
        services: net("10.96.0.0/16"),
        load_balancers: net("172.18.255.0/28"),
    });
    let mut balanced = service(8080.into());
    balanced.spec.kind = Some(ServiceType::LoadBalancer);
    let key = lab.create(balanced);
    lab.settle();
    let parts: Vec<&str> = lab.store.world.nodes.iter().map(|n| n.spec.pod_cidr.as_str()).collect();
    assert_eq!(parts, ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]);
    let ingress =
        |lab: &Lab| lab.store.world.services.get("default", "web").unwrap().status.load_balancer.ingress.clone();
    assert_eq!(ingress(&lab)[0].ip, "172.18.255.1");
    lab.patch(&key, json!({"spec": {"type": "ClusterIP"}}));
    lab.settle();
    assert!(ingress(&lab).is_empty());
}
