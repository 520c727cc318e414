//! The engine behind its listener, driven by a real kubectl and by the crate's own exec client.

mod host;

use std::path::PathBuf;
use std::process::{Command, Output};

use apiserver::control::ControlPlane;
use apiserver::listener::{self, Exit, Identity, Kubeconfig, Options, Running, SharedApi, Socket, Token};
use apiserver::print::{Style, TablePrinter, describe};
use apiserver::{ApiServer, Config, Request, Resource};
use test_lane::{Need, Outcome, case};

const MANIFEST: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: 'my-app:1.0.0', ports: [{containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
";

/// A served cluster with one fake node, and a kubectl that knows it.
struct Bench {
    folder: tempfile::TempDir,
    api: SharedApi,
    address: std::net::SocketAddr,
    _running: Running,
}

impl Bench {
    fn new(token: Option<Token>) -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let start = host::now();
        let api = SharedApi::new(ApiServer::new(Config { seed: 1, start, ..Config::default() }), host::now);
        let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        let known = token.clone().unwrap_or_else(|| Token::from_text("none"));
        let identity = token.is_some().then(|| Identity::self_signed(start)).transpose()?;
        let certificate = identity.as_ref().map(Identity::pem);
        let kubeconfig = Kubeconfig { address, token: &known, certificate: certificate.as_deref() };
        kubeconfig.write(&folder.path().join("config"))?;
        let options = Options { token, delegate: Some(std::sync::Arc::new(host::HostPods)) };
        let running = match identity {
            Some(identity) => listener::spawn_tls(api.clone(), Socket::Tcp(socket), options, identity)?,
            None => listener::spawn(api.clone(), Socket::Tcp(socket), options)?,
        };
        host::add_node(&api);
        Ok(Self { folder, api, address, _running: running })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &str) -> Result<Output, std::io::Error> {
        let mut command = Command::new("timeout");
        command.args(["20", "kubectl", "--kubeconfig"]).arg(self.path("config"));
        command.args(args.split(' ')).env("HOME", self.folder.path()).env("TZ", "UTC").current_dir(self.folder.path());
        command.output()
    }

    /// Runs kubectl, which must succeed, and gives what it printed.
    fn ok(&self, args: &str) -> Result<String, Box<dyn std::error::Error>> {
        let output = self.run(args)?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("kubectl {args}: {out}{err}").into());
        }
        Ok(out.into_owned())
    }

    /// Lets controllers and the fake node work until nothing moves.
    fn settle(&self) {
        let mut control = ControlPlane::new(orchestrate_core::controllers::Policy::default());
        loop {
            let before = self.api.with(|api, now| {
                let before = api.revision();
                control.step(api, now);
                before
            });
            host::run_pods(&self.api);
            if self.api.with(|api, _| api.revision()) == before {
                return;
            }
        }
    }
}

fn expect(text: &str, wanted: &str) -> Outcome {
    if text.contains(wanted) {
        return Ok(());
    }
    Err(format!("{wanted:?} is missing in:\n{text}").into())
}

fn everyday_commands() -> Outcome {
    let bench = Bench::new(Some(Token::random()?))?;
    std::fs::write(bench.path("web.yaml"), MANIFEST)?;
    expect(&bench.ok("apply -f web.yaml")?, "deployment.apps/web created\nservice/web created\n")?;
    bench.settle();
    expect(&bench.ok("apply -f web.yaml")?, "deployment.apps/web unchanged\nservice/web unchanged\n")?;
    expect(&bench.ok("get pods -o wide")?, "1/1     Running   0")?;
    expect(&bench.ok("get deployments,services,nodes")?, "deployment.apps/web   3/3     3            3")?;
    expect(&bench.ok("rollout status deployment/web")?, "deployment \"web\" successfully rolled out")?;
    expect(&bench.ok("scale deployment web --replicas=5")?, "deployment.apps/web scaled")?;
    bench.settle();
    expect(&bench.ok("get deployment web")?, "5/5")?;
    expect(&bench.ok("set image deployment/web app=my-app:1.1.0")?, "image updated")?;
    bench.settle();
    expect(&bench.ok("get pods -o jsonpath={..image}")?, "my-app:1.1.0")?;
    expect(&bench.ok("rollout history deployment/web")?, "REVISION")?;
    expect(&bench.ok("rollout undo deployment/web")?, "deployment.apps/web rolled back")?;
    bench.settle();
    expect(&bench.ok("get deployment web -o wide")?, "my-app:1.0.0")?;
    for (args, wanted) in [
        ("describe deployment web", "5 desired"),
        ("describe service web", "TargetPort:               8080/TCP"),
        ("describe node node-1", "Allocatable:"),
        ("describe pods -l app=web", "Image:          my-app:1.0.0"),
        ("get events", "ScalingReplicaSet"),
        ("events", "ScalingReplicaSet"),
        ("get deployment web -o yaml", "observedGeneration"),
        ("explain deployment.spec.strategy", "rollingUpdate"),
        ("label deployment web tier=front", "labeled"),
        ("get all", "replicaset.apps/web"),
        ("delete -f web.yaml", "service \"web\" deleted"),
    ] {
        expect(&bench.ok(args)?, wanted).map_err(|why| format!("kubectl {args}: {}", why.message().unwrap_or("")))?;
    }
    Ok(())
}

/// What this crate's printers make of an object.
fn described(bench: &Bench, resource: &'static Resource, path: &str) -> String {
    let get = |path: &str| bench.api.handle(&Request::get(path)).into_result().unwrap_or_default();
    let object = get(path);
    let lookups = describe::lookups(resource, &object).into_iter();
    let found = lookups.map(|(what, path)| (what, get(&path))).collect();
    describe::describe(resource, &object, &found, host::now())
}

/// Compares texts that hold ages: both are made anew until they fall into the same second.
fn agree(
    what: &str,
    theirs: impl Fn() -> Result<String, Box<dyn std::error::Error>>,
    ours: impl Fn() -> String,
) -> Outcome {
    let mut last = (String::new(), String::new());
    for _ in 0..10 {
        last = (theirs()?, ours());
        if last.0 == last.1 {
            return Ok(());
        }
    }
    Err(format!("{what}\n--- kubectl\n{}\n--- ours\n{}", last.0, last.1).into())
}

fn prints_what_kubectl_prints() -> Outcome {
    let bench = Bench::new(Some(Token::random()?))?;
    std::fs::write(bench.path("web.yaml"), MANIFEST)?;
    bench.ok("apply -f web.yaml")?;
    bench.settle();
    host::create_pod(&bench.api, "full");
    host::run_pods(&bench.api);
    bench.ok("taint nodes node-1 dedicated=db:PreferNoSchedule")?;
    bench.ok("set image deployment/web app=my-app:1.1.0")?;
    bench.settle();
    host::add_lease(&bench.api);
    let set = bench.ok("get replicasets -o jsonpath={.items[0].metadata.name}")?;
    for (word, name) in
        [("deployment", "web"), ("service", "web"), ("pod", "full"), ("node", "node-1"), ("rs", set.as_str())]
    {
        let resource = apiserver::named(word).ok_or("no such resource")?;
        let path = resource.object("default", name);
        let theirs = || bench.ok(&format!("describe {word} {name}"));
        agree(&format!("describe {word} {name}"), theirs, || described(&bench, resource, &path))?;
    }
    for word in ["pods", "deployments", "services", "nodes", "endpointslices", "replicasets", "events"] {
        let resource = apiserver::named(word).ok_or("no such resource")?;
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let path = resource.collection(if resource.namespaced { "default" } else { "" });
        let ours = || {
            let table = bench.api.handle(&Request::get(path.clone()).accept(accept)).into_result().unwrap_or_default();
            TablePrinter::new(Style { wide: true, ..Style::default() }).print(&table)
        };
        agree(&format!("get {word} -o wide"), || bench.ok(&format!("get {word} -o wide")), ours)?;
    }
    let get = |path: String| bench.api.handle(&Request::get(path)).into_result().unwrap_or_default();
    let (deployments, sets) = (apiserver::named("deployments"), apiserver::named("replicasets"));
    let (Some(deployments), Some(sets)) = (deployments, sets) else { return Err("no such resource".into()) };
    let ours =
        || apiserver::rollout::history(&get(deployments.object("default", "web")), &get(sets.collection("default")));
    agree("rollout history", || Ok(bench.ok("rollout history deployment/web")?.trim_end().to_owned() + "\n"), ours)
}

/// These commands send protobuf.
fn imperative_commands() -> Outcome {
    let bench = Bench::new(Some(Token::random()?))?;
    for (args, wanted) in [
        ("create namespace shop", "namespace/shop created"),
        ("create deployment web --image=my-app:1.0.0 --replicas=2 --port=8080", "deployment.apps/web created"),
        ("create configmap c --from-literal=a=b", "configmap/c created"),
        ("create secret generic s --from-literal=password=hunter2", "secret/s created"),
        ("create service loadbalancer web --tcp=80:8080", "service/web created"),
        ("create serviceaccount robot", "serviceaccount/robot created"),
        ("get configmap c -o jsonpath={.data.a}", "b"),
        ("get secret s -o jsonpath={.data.password}", "aHVudGVyMg=="),
        (
            "get deployment web -o jsonpath={.spec.replicas}/{.spec.template.spec.containers[0].ports[0].containerPort}",
            "2/8080",
        ),
        ("get service web -o jsonpath={.spec.ports[0].targetPort}", "8080"),
    ] {
        expect(&bench.ok(args)?, wanted)?;
    }
    bench.settle();
    expect(&bench.ok("get deployment web")?, "2/2")
}

fn bad_manifests_are_explained() -> Outcome {
    let bench = Bench::new(Some(Token::random()?))?;
    let fails = |text: &str, wanted: &str| -> Outcome {
        std::fs::write(bench.path("bad.yaml"), text)?;
        let output = bench.run("apply -f bad.yaml")?;
        assert!(!output.status.success());
        expect(&String::from_utf8_lossy(&output.stderr), wanted)
    };
    fails(&MANIFEST.replace("replicas: 3", "replcas: 3"), "unknown field \"spec.replcas\"")?;
    fails(&MANIFEST.replace("replicas: 3", "replicas: -1"), "must be greater than or equal to 0")?;
    fails(&MANIFEST.replace("matchLabels: {app: web}", "matchLabels: {app: x}"), "`selector` does not match")?;
    let output = bench.run("get pod nope")?;
    expect(&String::from_utf8_lossy(&output.stderr), "Error from server (NotFound): pods \"nope\" not found")
}

fn logs_and_exec() -> Outcome {
    let bench = Bench::new(Some(Token::random()?))?;
    std::fs::write(bench.path("web.yaml"), MANIFEST)?;
    bench.ok("apply -f web.yaml")?;
    bench.settle();
    expect(&bench.ok("logs deployment/web")?, "hello from app")?;
    let name = bench.ok("get pods -o jsonpath={.items[0].metadata.name}")?;
    expect(&bench.ok(&format!("exec {name} -- echo over websocket"))?, "over websocket")?;
    bench.ok("run later --image=x --overrides={\"spec\":{\"nodeName\":\"node-1\"}}")?;
    let early = bench.run("exec later -- true")?;
    expect(&String::from_utf8_lossy(&early.stderr), "container not found (\"later\")")?;
    let failed = bench.run(&format!("exec {name} -- false"))?;
    assert_eq!(failed.status.code(), Some(1));
    Ok(())
}

fn own_client() -> Outcome {
    let bench = Bench::new(None)?;
    std::fs::write(bench.path("web.yaml"), MANIFEST)?;
    host::create_pod(&bench.api, "p");
    host::run_pods(&bench.api);
    let run = |query: &str, input: &'static [u8]| {
        let path =
            format!("/api/v1/namespaces/default/pods/p/exec?stdout=true&stderr=true&stdin=true&container=app&{query}");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let stream = std::net::TcpStream::connect(bench.address).expect("connects");
        let streams =
            listener::Streams { stdin: Some(Box::new(input)), stdout: &mut out, stderr: &mut err, resize: None };
        listener::exec(stream, &path, None, streams)
            .map(|exit| (exit, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned()))
    };
    let (exit, out, _) = run("command=cat", b"to the end")?;
    assert_eq!((exit, out.as_str()), (Exit::Code(0), "to the end"));
    let (exit, _, err) = run("command=sh&command=-c&command=echo%20oops%20%3E%262%3B%20exit%203", b"")?;
    assert_eq!((exit, err.as_str()), (Exit::Code(3), "oops\n"));
    let refused = run("container=nope&command=true", b"").expect_err("no such container");
    let refused = std::error::Error::source(&refused).map(ToString::to_string);
    assert_eq!(refused.as_deref(), Some("container nope is not valid for pod p"));
    Ok(())
}

fn strangers_stay_out() -> Outcome {
    let bench = Bench::new(Some(Token::random()?))?;
    let known = std::fs::read_to_string(bench.path("config"))?;
    std::fs::write(bench.path("config"), known.replace("token: ", "token: x"))?;
    let output = bench.run("get pods")?;
    assert!(!output.status.success());
    expect(&String::from_utf8_lossy(&output.stderr), "You must be logged in to the server")?;
    std::fs::write(bench.path("config"), known.replace("certificate-authority-data", "nothing"))?;
    let output = bench.run("get pods")?;
    assert!(!output.status.success());
    expect(&String::from_utf8_lossy(&output.stderr), "certificate signed by unknown authority")
}

/// The minor version of the kubectl on this machine.
fn kubectl_minor() -> Option<u32> {
    let output = Command::new("kubectl").args(["version", "--client", "-o", "json"]).output().ok()?;
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let minor = version["clientVersion"]["minor"].as_str()?;
    minor.trim_end_matches('+').parse().ok()
}

fn main() -> std::process::ExitCode {
    const NOW: &[Need] = &[Need::Program("timeout")];
    // Debian's kubectl is too old to understand OpenAPI v3, and no other package source is assumed.
    const NEWER: &[Need] = &[Need::Elsewhere("kubectl 1.27 or later")];
    const EXACT: &[Need] = &[Need::Elsewhere("kubectl 1.32 or 1.33, whose words are compared")];
    let minor = kubectl_minor().unwrap_or(0);
    let (kubectl, exact) = match minor {
        32 | 33 => (NOW, NOW),
        27.. => (NOW, EXACT),
        _ => (NEWER, NEWER),
    };
    test_lane::main(vec![
        case("kubectl: everyday commands", kubectl, everyday_commands),
        case("kubectl: imperative commands", kubectl, imperative_commands),
        case("kubectl: our printers agree", exact, prints_what_kubectl_prints),
        case("kubectl: bad manifests are explained", kubectl, bad_manifests_are_explained),
        case("kubectl: logs and exec", kubectl, logs_and_exec),
        case("kubectl: strangers stay out", kubectl, strangers_stay_out),
        case("own client: exec", &[], own_client),
    ])
}
