//! The inside half: process 1 of the cluster's own namespaces, and everything that is the cluster.
//!
//! Order of starting: private mounts and `/proc` → the namespace's addresses and forwarding → API engine → control
//! loop → Services' rules → nodes → API socket → dial socket → `Ready`. Order of ending: nodes (their containers are
//! killed and their folders removed), then the process; the kernel does the rest. The end of the link is an order to
//! end, too.

pub(crate) mod control;
mod delegate;
mod dial;
pub(crate) mod hub;
mod load_balancer;
pub(crate) mod pulls;
pub(crate) mod routes;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use apiserver::listener::{self, Kubeconfig, Options, Running, Socket, Token, spawn_tls};
use apiserver::{ApiServer, Config};
use container_core::Runtime;
use container_network::Subnet;
use image_store::Store;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use orchestrate_core::controllers::Policy;
use orchestrate_core::net::Networks;
use orchestrate_core::objects::Quantity;

use crate::cli::Inner;
use crate::error::{Error, PathContext, Result};
use crate::link::{Sender, ToInside, ToOutside, messages};
use crate::node::live::Containers;
use crate::node::register::Identity;
use crate::node::workers::Workers;
use crate::node::{Node, Shared};
use crate::state::Root;
use control::Control;
use delegate::Reach;
use hub::Hub;
use load_balancer::LoadBalancer;
use pulls::Pulls;
use routes::Routes;

/// Where Services have their addresses.
const SERVICES: &str = "10.96.0.0/16";
/// Where load balancers have theirs.
const LOAD_BALANCERS: &str = "172.31.255.0/24";
/// Where all pods have theirs, a /24 per node.
const PODS: &str = "10.244.0.0/16";

/// Runs the inside half until the outside half says so or is gone.
pub(crate) fn main(root: &Root, inner: &Inner) -> Result<ExitCode> {
    match live(root, inner) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            last_word(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Tells the outside half why this one cannot go on.
pub(crate) fn last_word(error: &Error) {
    if let Ok(link) = link() {
        let _ = Sender::new(link).send(&ToOutside::Failed { message: error.report() });
    }
}

/// Everything that lives in here.
struct Inside {
    hub: Hub,
    pulls: Arc<Pulls>,
    nodes: Mutex<Vec<Node>>,
    outside: Arc<Sender>,
    _api: [Running; 2],
}

fn live(root: &Root, inner: &Inner) -> Result<()> {
    crate::enter::settle()?;
    let _alive = root.hold_inside()?;
    let link = link()?;
    let mut peer = [PollFd::new(link.as_fd(), PollFlags::empty())];
    // Nobody is outside any more: nothing must be made that somebody has swept already.
    if poll(&mut peer, PollTimeout::ZERO).is_ok() && peer[0].any().unwrap_or(false) {
        return Err(Error::Half { problem: "outside is gone".to_owned() });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Error::system("start the runtime", source))?;
    let _within = runtime.enter();
    let outside = Arc::new(Sender::new(link.try_clone().map_err(|e| Error::system("share the link", e))?));
    let inside = Arc::new(Inside::start(root, inner, outside)?);
    dial::serve(&root.dial_socket())?;
    inside.outside.send(&ToOutside::Ready)?;
    for message in messages::<ToInside>(link) {
        if message == ToInside::Shutdown {
            break;
        }
        inside.obey(message);
    }
    inside.end();
    // Threads that wait for containers or clients need not be waited for: the namespace ends with this process.
    std::process::exit(0)
}

impl Inside {
    fn start(root: &Root, inner: &Inner, outside: Arc<Sender>) -> Result<Self> {
        let identities: Vec<Identity> = (1..=inner.nodes).map(|number| identity(number, inner.nodes)).collect();
        let addresses: Vec<Ipv4Addr> = identities.iter().map(|node| node.address).collect();
        network(&addresses)?;
        let seed = std::process::id().into();
        let hub = Hub::new(ApiServer::new(Config { seed: seed_from_clock(seed), ..Config::default() }));
        let grace = inner.grace_ms.map(Duration::from_millis);
        let control = Control::start(&hub, policy(grace)).map_err(|e| Error::system("start the control loop", e))?;
        let ranges: Vec<Subnet> = [SERVICES, LOAD_BALANCERS].iter().filter_map(|range| range.parse().ok()).collect();
        let routes = Routes::start(&hub, &control, ranges, addresses)?;
        let pulls = Arc::new(Pulls::new(Arc::clone(&outside)));
        let shared = shared(root, &hub, control, &pulls, routes)?;
        start_load_balancer(&hub, &outside)?;
        let lease_every = grace.map_or(Duration::from_secs(10), |grace| grace / 4);
        let mut nodes = Vec::new();
        for identity in identities {
            let (dir, cgroup) = (root.nodes().join(&identity.name), format!("{}/{}", root.cgroup(), identity.name));
            let mut node = Node::new(identity, shared.clone(), dir, cgroup, lease_every);
            node.on()?;
            nodes.push(node);
        }
        let containers = Arc::clone(&shared.containers);
        let api = listen(root, &hub, Reach { containers, nodes: root.nodes() }, inner.api_port)?;
        Ok(Self { hub, pulls, nodes: Mutex::new(nodes), outside, _api: api })
    }

    fn obey(self: &Arc<Self>, message: ToInside) {
        match message {
            ToInside::Shutdown => {}
            ToInside::Pulled { ticket, error } => self.pulls.answer(ticket, error),
            ToInside::Forwarded { service, outcome } => load_balancer::forwarded(&self.hub, &service, &outcome),
            ToInside::Power { node, on, ticket } => {
                let this = Arc::clone(self);
                // Killing containers takes its time: the link is not kept waiting.
                std::thread::spawn(move || {
                    let error = this.switch(&node, on).err().map(|error| error.report());
                    let _ = this.outside.send(&ToOutside::Switched { ticket, error });
                });
            }
        }
    }

    fn switch(&self, name: &str, on: bool) -> Result<()> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let node = nodes
            .iter_mut()
            .find(|node| node.name() == name)
            .ok_or_else(|| Error::Input { subject: name.to_owned(), problem: "no such node".to_owned() })?;
        if on {
            return node.on();
        }
        node.off();
        Ok(())
    }

    fn end(&self) {
        for node in self.nodes.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            node.off();
        }
    }
}

/// Node number n of several: its address, its pods' range, its share of the machine.
fn identity(number: u16, nodes: u16) -> Identity {
    let number_of = |value: u16| u8::try_from(value).unwrap_or(u8::MAX);
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let milli = i64::try_from(cpus * 1000).unwrap_or(1000) / i64::from(nodes);
    Identity {
        name: format!("node-{number}"),
        address: Ipv4Addr::new(10, 250, 0, number_of(number)),
        pod_cidr: format!("10.244.{number}.0/24"),
        cpu: Quantity::from_milli(milli.max(100)),
        memory: Quantity::from_bytes(memory() / i64::from(nodes)),
    }
}

/// Memory of the machine in bytes.
fn memory() -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(1 << 20) * 1024
}

/// Addresses of the nodes, and packets between pods.
fn network(addresses: &[Ipv4Addr]) -> Result<()> {
    for address in addresses {
        container_network::set_node_address(*address)
            .map_err(|error| Error::library(format!("take the address {address}"), error))?;
    }
    Ok(())
}

fn policy(grace: Option<Duration>) -> Policy {
    let mut policy = Policy::default();
    if let (Ok(pods), Ok(services), Ok(load_balancers)) = (PODS.parse(), SERVICES.parse(), LOAD_BALANCERS.parse()) {
        policy.networks = Some(Networks { pods, node_prefix: 24, services, load_balancers });
    }
    if let Some(grace) = grace.and_then(|grace| i64::try_from(grace.as_millis()).ok()) {
        policy.node_grace = grace;
    }
    policy
}

fn shared(root: &Root, hub: &Hub, control: Arc<Control>, pulls: &Arc<Pulls>, routes: Arc<Routes>) -> Result<Shared> {
    let runtime = Runtime::new().map_err(|error| Error::library("look at this machine", error))?;
    let store = Store::open(root.images()).map_err(|error| Error::library("open the image store", error))?;
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = |name, count| Workers::start(name, count).map_err(|e| Error::system("start workers", e));
    Ok(Shared {
        hub: hub.clone(),
        control,
        runtime: Arc::new(runtime),
        store,
        pulls: Arc::clone(pulls),
        routes,
        containers: Arc::new(Containers::default()),
        workers: workers("worker", 2 * cpus)?,
        probers: workers("prober", 8)?,
    })
}

fn start_load_balancer(hub: &Hub, outside: &Arc<Sender>) -> Result<()> {
    let mut balancer = LoadBalancer::new(hub.clone(), Arc::clone(outside));
    let (bell, rung) = mpsc::channel();
    hub.on_change(move || bell.send(()).is_ok());
    let thread = std::thread::Builder::new().name("load-balancer".into());
    let run = move || {
        loop {
            balancer.sync();
            if rung.recv().is_err() {
                return;
            }
            while rung.try_recv().is_ok() {}
        }
    };
    thread.spawn(run).map(drop).map_err(|source| Error::system("start the load balancer", source))
}

/// Serves the API: to whoever may open the state folder, and with TLS and a token to the host's port.
fn listen(root: &Root, hub: &Hub, reach: Reach, port: u16) -> Result<[Running; 2]> {
    let failed = |source| Error::system("serve the API", source);
    let token = Token::random().map_err(failed)?;
    let identity = listener::Identity::self_signed(crate::node::clock::now().0).map_err(failed)?;
    let certificate = identity.pem();
    let open = Options { token: None, delegate: Some(Arc::new(reach)) };
    let guarded = Options { token: Some(token.clone()), ..open.clone() };
    let bind = |path: PathBuf| {
        let socket = UnixListener::bind(&path).at("bind", &path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).at("close to others", &path)?;
        Ok(Socket::Unix(socket))
    };
    let running = [
        listener::spawn(hub.api().clone(), bind(root.api_socket())?, open).map_err(failed)?,
        spawn_tls(hub.api().clone(), bind(root.guarded_api_socket())?, guarded, identity).map_err(failed)?,
    ];
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Kubeconfig { address, token: &token, certificate: Some(&certificate) }
        .write(&root.kubeconfig())
        .map_err(|error| Error::library("write the kubeconfig", error))?;
    Ok(running)
}

/// Uids and names differ from run to run.
fn seed_from_clock(salt: u64) -> u64 {
    u64::try_from(crate::node::clock::now().0).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt
}

/// The link is this process's standard input.
fn link() -> Result<UnixStream> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned();
    Ok(UnixStream::from(fd.map_err(|source| Error::system("take the link to the outside half", source))?))
}
