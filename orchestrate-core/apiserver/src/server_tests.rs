//! The engine through its front door: requests in, replies out.

use serde_json::{Value, json};

use crate::{ApiServer, ChangeKind, Config, PatchKind, Reply, Request, Status};

const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn server() -> ApiServer {
    ApiServer::new(Config::default())
}

fn ok(api: &mut ApiServer, request: &Request) -> Value {
    api.handle(1_700_000_000_000, request).into_result().unwrap_or_else(|status| panic!("{status}"))
}

fn refused(api: &mut ApiServer, request: &Request) -> Status {
    api.handle(1_700_000_000_000, request).into_result().expect_err("should be refused")
}

fn pod(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "app", "image": "my-app:1.0.0" }] } })
}

fn deployment() -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": {
        "replicas": 3, "selector": { "matchLabels": { "app": "web" } },
        "template": { "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "app", "image": "my-app:1.0.0" }] } } } })
}

#[test]
fn a_pod_is_created_with_identity_and_defaults() {
    let mut api = server();
    let made = ok(&mut api, &Request::post(PODS, pod("a")));
    assert_eq!(made["metadata"]["namespace"], "default");
    assert_eq!(made["metadata"]["creationTimestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(made["metadata"]["uid"].as_str().map(str::len), Some(36));
    assert_eq!(made["spec"]["restartPolicy"], "Always");
    assert_eq!(made["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(made["status"], json!({ "phase": "Pending", "qosClass": "BestEffort" }));
    assert_eq!(made["spec"]["tolerations"].as_array().map(Vec::len), Some(2));
    let again = refused(&mut api, &Request::post(PODS, pod("a")));
    assert_eq!((again.code, again.message.as_str()), (409, "pods \"a\" already exists"));
}

#[test]
fn generated_names_come_from_the_seed() {
    let name = |seed| {
        let mut api = ApiServer::new(Config { seed, ..Config::default() });
        let mut pod = pod("");
        pod["metadata"] = json!({ "generateName": "web-" });
        ok(&mut api, &Request::post(PODS, pod))["metadata"]["name"].clone()
    };
    assert_eq!(name(1), name(1));
    assert_ne!(name(1), name(2));
}

#[test]
fn refusals_read_as_upstream() {
    let mut api = server();
    let cases = [
        (Request::get("/api/v1/namespaces/default/pods/x"), 404, "pods \"x\" not found"),
        (Request::get(format!("{DEPLOYMENTS}/x")), 404, "deployments.apps \"x\" not found"),
        (Request::get("/apis/foo/v1"), 404, "the server could not find the requested resource"),
        (Request::post("/api/v1/namespaces/nope/pods", pod("a")), 404, "namespaces \"nope\" not found"),
        (
            Request::post(PODS, json!({ "metadata": { "name": "A_b" }, "spec": {} })),
            422,
            "Pod \"A_b\" is invalid: [metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must \
             consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
             character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), spec.containers: Required value]",
        ),
        (
            Request::post(PODS, json!({ "metadata": { "name": "a" }, "spec": { "foo": 1 } }))
                .query("fieldValidation", "Strict"),
            400,
            "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.foo\"",
        ),
        (
            Request::post(PODS, json!({ "metadata": { "name": 1 } })),
            400,
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field \
             metadata.name of type string",
        ),
    ];
    for (request, code, message) in cases {
        let status = refused(&mut api, &request);
        assert_eq!((status.code, status.message.as_str()), (code, message));
    }
}

#[test]
fn unknown_fields_earn_a_warning() {
    let mut api = server();
    let mut body = pod("a");
    body["spec"]["containers"][0]["imag"] = "x".into();
    let Reply::Response(response) = api.handle(0, &Request::post(PODS, body)) else { panic!("no response") };
    assert_eq!(response.warnings, ["unknown field \"spec.containers[0].imag\""]);
}

#[test]
fn generation_counts_the_spec_and_status_is_apart() {
    let mut api = server();
    ok(&mut api, &Request::post(DEPLOYMENTS, deployment()));
    let path = format!("{DEPLOYMENTS}/web");
    let patch = |body| Request::patch(path.clone(), PatchKind::Merge, body);
    let scaled = ok(&mut api, &patch(json!({ "spec": { "replicas": 5 }, "status": { "replicas": 9 } })));
    assert_eq!((&scaled["metadata"]["generation"], &scaled["status"]), (&json!(2), &json!({})));
    let status = Request::patch(format!("{path}/status"), PatchKind::Merge, json!({ "status": { "replicas": 5 } }));
    let updated = ok(&mut api, &status);
    assert_eq!((&updated["metadata"]["generation"], &updated["status"]["replicas"]), (&json!(2), &json!(5)));
    let version = updated["metadata"]["resourceVersion"].clone();
    assert_eq!(ok(&mut api, &status)["metadata"]["resourceVersion"], version, "no change, no new version");
    let mut moved = updated;
    moved["spec"]["selector"]["matchLabels"]["app"] = "other".into();
    moved["spec"]["template"]["metadata"]["labels"]["app"] = "other".into();
    let status = refused(&mut api, &Request::put(path, moved));
    assert!(status.message.ends_with("field is immutable"), "{status}");
}

#[test]
fn scale_reads_and_writes_replicas() {
    let mut api = server();
    ok(&mut api, &Request::post(DEPLOYMENTS, deployment()));
    let path = format!("{DEPLOYMENTS}/web/scale");
    let mut scale = ok(&mut api, &Request::get(path.clone()));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(3), &json!("app=web")));
    scale["spec"]["replicas"] = 7.into();
    assert_eq!(ok(&mut api, &Request::put(path.clone(), scale.clone()))["spec"]["replicas"], 7);
    scale["spec"]["replicas"] = 8.into();
    assert_eq!(refused(&mut api, &Request::put(path, scale)).reason, "Conflict");
}

#[test]
fn a_placed_pod_gets_time_to_end() {
    let mut api = server();
    ok(&mut api, &Request::post(PODS, pod("a")));
    let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "a" },
        "target": { "kind": "Node", "name": "n1" } });
    ok(&mut api, &Request::post(format!("{PODS}/a/binding"), binding.clone()));
    assert_eq!(refused(&mut api, &Request::post(format!("{PODS}/a/binding"), binding)).reason, "Conflict");
    let marked = ok(&mut api, &Request::delete(format!("{PODS}/a")));
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2023-11-14T22:13:50Z");
    let gone = ok(&mut api, &Request::delete(format!("{PODS}/a?gracePeriodSeconds=0")));
    assert_eq!(gone["kind"], "Pod");
    assert_eq!(refused(&mut api, &Request::get(format!("{PODS}/a"))).code, 404);
}

#[test]
fn finalizers_hold_an_object() {
    let mut api = server();
    let mut body = pod("a");
    body["metadata"]["finalizers"] = json!(["example.com/hold"]);
    ok(&mut api, &Request::post(PODS, body));
    ok(&mut api, &Request::delete(format!("{PODS}/a")));
    let free = Request::patch(format!("{PODS}/a"), PatchKind::Merge, json!({ "metadata": { "finalizers": null } }));
    ok(&mut api, &free);
    assert_eq!(refused(&mut api, &Request::get(format!("{PODS}/a"))).code, 404);
}

#[test]
fn pages_show_one_moment() {
    let mut api = server();
    for name in ["a", "b", "c"] {
        ok(&mut api, &Request::post(PODS, pod(name)));
    }
    let first = ok(&mut api, &Request::get(format!("{PODS}?limit=2")));
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    ok(&mut api, &Request::delete(format!("{PODS}/c")));
    ok(&mut api, &Request::post(PODS, pod("d")));
    let token = first["metadata"]["continue"].as_str().expect("a token");
    let rest = ok(&mut api, &Request::get(format!("{PODS}?limit=2&continue={token}")));
    let names: Vec<_> = rest["items"].as_array().expect("items").iter().map(|i| &i["metadata"]["name"]).collect();
    assert_eq!(names, ["c"]);
}

#[test]
fn a_watch_tells_what_changed() {
    let mut api = server();
    ok(&mut api, &Request::post(PODS, pod("a")));
    let version = api.revision();
    let request = Request::get(format!("{PODS}?watch=true&resourceVersion={version}&labelSelector=app%3Dweb"));
    let Reply::Watch(mut watch) = api.handle(0, &request) else { panic!("no watch") };
    ok(&mut api, &Request::post(PODS, pod("b")));
    let unlabel = json!({ "metadata": { "labels": { "app": "db" } } });
    ok(&mut api, &Request::patch(format!("{PODS}/a"), PatchKind::Merge, unlabel));
    let polled = api.poll(0, &mut watch);
    let seen: Vec<_> = polled.events.iter().map(|e| (e.kind, e.object["metadata"]["name"].clone())).collect();
    assert_eq!(seen, [("ADDED", json!("b")), ("DELETED", json!("a"))]);
    assert!(api.poll(0, &mut watch).events.is_empty());
}

#[test]
fn a_slow_watch_is_told_so() {
    let mut api = ApiServer::new(Config { history: 2, ..Config::default() });
    let request = Request::get(format!("{PODS}?watch=1&resourceVersion={}", api.revision()));
    let Reply::Watch(mut watch) = api.handle(0, &request) else { panic!("no watch") };
    for name in ["a", "b", "c"] {
        ok(&mut api, &Request::post(PODS, pod(name)));
    }
    let polled = api.poll(0, &mut watch);
    assert!(polled.closed && polled.events[0].kind == "ERROR" && polled.events[0].object["code"] == 410);
}

#[test]
fn services_get_addresses() {
    let mut api = server();
    let path = "/api/v1/namespaces/default/services";
    let service = |name: &str, kind: &str| {
        json!({ "metadata": { "name": name }, "spec": { "type": kind, "selector": { "app": "web" },
            "ports": [{ "port": 80, "targetPort": 8080 }] } })
    };
    let made = ok(&mut api, &Request::post(path, service("web", "LoadBalancer")));
    assert!(made["spec"]["clusterIP"].as_str().is_some_and(|ip| ip.starts_with("10.96.")));
    assert!(made["spec"]["ports"][0]["nodePort"].as_i64().is_some_and(|port| port >= 30_000));
    let kept = ok(
        &mut api,
        &Request::patch(format!("{path}/web"), PatchKind::Merge, json!({ "spec": { "type": "ClusterIP" } })),
    );
    assert_eq!(kept["spec"]["clusterIP"], made["spec"]["clusterIP"]);
    assert_eq!(kept["spec"]["ports"][0].get("nodePort"), None);
}

#[test]
fn events_have_two_names_for_everything() {
    let mut api = server();
    let event = json!({ "metadata": { "name": "e" }, "regarding": { "kind": "Pod", "name": "a" }, "note": "hello",
        "eventTime": "2023-11-14T22:13:20.000000Z", "reason": "Started", "type": "Normal" });
    ok(&mut api, &Request::post("/apis/events.k8s.io/v1/namespaces/default/events", event));
    let core = ok(&mut api, &Request::get("/api/v1/namespaces/default/events/e"));
    assert_eq!((&core["involvedObject"]["name"], &core["message"]), (&json!("a"), &json!("hello")));
}

#[test]
fn the_log_of_changes_is_in_order() {
    let mut api = server();
    let start = api.revision();
    ok(&mut api, &Request::post(PODS, pod("a")));
    ok(&mut api, &Request::post(DEPLOYMENTS, deployment()));
    ok(&mut api, &Request::delete(format!("{PODS}/a")));
    let kinds: Vec<_> = api.changes_since(start).expect("kept").iter().map(|e| (e.kind, e.resource.plural)).collect();
    let wanted = [(ChangeKind::Added, "pods"), (ChangeKind::Added, "deployments"), (ChangeKind::Deleted, "pods")];
    assert_eq!(kinds, wanted);
}
