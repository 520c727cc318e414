//! The outside half: the process that the user started. It stays in the host's namespaces and is a broker.
//!
//! It holds the state folder's lock, starts the inside half, brings images into the store (the inside has no way
//! outward), binds the host ports of LoadBalancer Services and takes `down` and the power switches. It knows nothing
//! about pods. When the inside half ends, for whatever reason, it tidies and ends; when it is killed itself, the
//! inside half goes with it.
//!
//! Order of starting: lock → sweep what a killed cluster left → signals blocked → inside half → its first word
//! (`Ready` or `Failed`) → control socket. Order of ending: inside half (it ends its containers) → cgroups → files.

mod control;
mod forward;
mod images;
mod sweep;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use crate::error::{Error, Result};
use crate::link::{Sender, ToInside, ToOutside, messages};
use crate::state::{Root, RunLock};

pub(crate) use control::{Order, send_order};
pub(crate) use images::Images;
pub(crate) use sweep::{cgroups, sweep_if_idle};

/// How long the inside half may take to end its containers.
const ENDING: Duration = Duration::from_secs(20);
/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(30);

/// How a cluster is to run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Number of nodes.
    pub(crate) nodes: u16,
    /// How long a silent node is believed, when not upstream's 40 s.
    pub(crate) node_grace: Option<Duration>,
    /// Whether the whole state folder goes with the cluster.
    pub(crate) remove_root: bool,
}

/// A running cluster, held by the process that started it.
#[derive(Debug)]
pub(crate) struct Cluster {
    broker: Option<JoinHandle<Result<()>>>,
    events: mpsc::Sender<Event>,
    images: Arc<Images>,
    forwarded: Arc<Mutex<BTreeMap<String, u16>>>,
    inside: u32,
}

/// What the broker's one loop waits for.
#[derive(Debug)]
enum Event {
    Inside(ToOutside),
    InsideGone,
    Signal,
    Order(Order, UnixStream),
    Stop,
}

impl Cluster {
    /// Starts a cluster. Call it from the main thread: the inside half dies with the thread that started it.
    pub(crate) fn start(root: &Root, options: &Options) -> Result<Self> {
        root.ensure()?;
        let lock = root.lock()?;
        sweep::leftovers(root, &lock)?;
        let (events, inbox) = mpsc::channel();
        watch_signals(events.clone())?;
        let images = Arc::new(Images::open(root)?);
        let (ours, theirs) = UnixStream::pair().map_err(|e| Error::system("make the link between the halves", e))?;
        let forwards = forward::Forwards::new(root)?;
        let child = spawn_inside(root, options, forwards.api_port(), theirs)?;
        let inside = child.id();
        listen(&ours, events.clone())?;
        let mut broker = Broker {
            root: root.clone(),
            lock,
            child,
            link: Arc::new(Sender::new(ours)),
            inbox,
            forwards,
            forwarded: Arc::default(),
            images: Arc::clone(&images),
            switches: BTreeMap::new(),
            tickets: 0,
            remove_root: options.remove_root,
        };
        if let Err(error) = broker.await_ready() {
            broker.end(None)?;
            return Err(error);
        }
        control::listen(root, events.clone())?;
        let forwarded = Arc::clone(&broker.forwarded);
        let broker = std::thread::Builder::new().name("broker".into()).spawn(move || broker.run());
        let broker = Some(broker.map_err(|source| Error::system("start the broker", source))?);
        Ok(Self { broker, events, images, forwarded, inside })
    }

    /// The image store and registry of this cluster.
    pub(crate) fn images(&self) -> &Images {
        &self.images
    }

    /// The host port on 127.0.0.1 that leads to a Service, once there is one.
    pub(crate) fn forwarded(&self, service: &str) -> Option<u16> {
        self.forwarded.lock().unwrap_or_else(PoisonError::into_inner).get(service).copied()
    }

    /// The process above the inside half, as this process sees it.
    pub(crate) fn inside(&self) -> u32 {
        self.inside
    }

    /// Waits until the cluster ends by a signal or by `down`.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.join()
    }

    /// Ends the cluster and tidies.
    pub(crate) fn stop(mut self) -> Result<()> {
        let _ = self.events.send(Event::Stop);
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        match self.broker.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            _ => Ok(()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Stop);
        let _ = self.join();
    }
}

struct Broker {
    root: Root,
    lock: RunLock,
    child: Child,
    link: Arc<Sender>,
    inbox: Receiver<Event>,
    forwards: forward::Forwards,
    forwarded: Arc<Mutex<BTreeMap<String, u16>>>,
    images: Arc<Images>,
    switches: BTreeMap<u64, UnixStream>,
    tickets: u64,
    remove_root: bool,
}

impl Broker {
    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + STARTING;
        loop {
            match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Inside(ToOutside::Ready)) => return Ok(()),
                Ok(Event::Inside(ToOutside::Failed { message })) => return Err(Error::Start { message }),
                Ok(Event::Inside(message)) => self.obey(message),
                Ok(Event::Signal | Event::Stop) => {
                    return Err(Error::Half { problem: "was interrupted while it started".to_owned() });
                }
                Ok(Event::Order(..)) => {}
                Ok(Event::InsideGone) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Half { problem: "ended before it was ready".to_owned() });
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::Half { problem: "was not ready in time".to_owned() });
                }
            }
        }
    }

    fn run(mut self) -> Result<()> {
        let (answer, outcome) = loop {
            match self.inbox.recv() {
                Ok(Event::Inside(message)) => self.obey(message),
                Ok(Event::Order(Order::Down, stream)) => break (Some(stream), Ok(())),
                Ok(Event::Order(Order::Power { node, on }, stream)) => self.switch(node, on, stream),
                Ok(Event::InsideGone) => {
                    break (
                        None,
                        Err(Error::Half { problem: "inside the namespaces was killed; all is tidied".into() }),
                    );
                }
                Ok(Event::Signal | Event::Stop) | Err(_) => break (None, Ok(())),
            }
        };
        self.end(answer)?;
        outcome
    }

    fn obey(&mut self, message: ToOutside) {
        match message {
            ToOutside::Ready | ToOutside::Failed { .. } => {}
            ToOutside::Pull { ticket, image } => {
                let (images, link) = (Arc::clone(&self.images), Arc::clone(&self.link));
                // A pull takes its time: the loop does not wait for it.
                std::thread::spawn(move || {
                    let error = images.pull(&image).err().map(|error| error.report());
                    let _ = link.send(&ToInside::Pulled { ticket, error });
                });
            }
            ToOutside::Forward { service, address } => {
                let outcome = self.forwards.open(&service, address).map_err(|error| error.report());
                let mut forwarded = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
                if let Ok(port) = &outcome {
                    forwarded.insert(service.clone(), *port);
                }
                let _ = self.link.send(&ToInside::Forwarded { service, outcome });
            }
            ToOutside::Unforward { service } => {
                self.forwards.close(&service);
                self.forwarded.lock().unwrap_or_else(PoisonError::into_inner).remove(&service);
            }
            ToOutside::Switched { ticket, error } => {
                if let Some(stream) = self.switches.remove(&ticket) {
                    control::answer(stream, &error.map_or(Ok(()), Err));
                }
            }
        }
    }

    fn switch(&mut self, node: String, on: bool, stream: UnixStream) {
        self.tickets += 1;
        self.switches.insert(self.tickets, stream);
        let _ = self.link.send(&ToInside::Power { node, on, ticket: self.tickets });
    }

    /// Ends the inside half and tidies; answers the one who asked only when all is done.
    fn end(mut self, answer: Option<UnixStream>) -> Result<()> {
        self.forwards.close_all();
        let asked = self.link.send(&ToInside::Shutdown).is_ok();
        let deadline = Instant::now() + if asked { ENDING } else { Duration::ZERO };
        // The link's end of file says that the inside half is gone; only then is its parent gone, too.
        while Instant::now() < deadline {
            match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                // A second Ctrl-C does not wait.
                Ok(Event::InsideGone | Event::Signal) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let swept = sweep::leftovers(&self.root, &self.lock);
        let swept = if self.remove_root { swept.and_then(|()| self.root.remove(&self.lock)) } else { swept };
        if let Some(stream) = answer {
            control::answer(stream, &swept.as_ref().copied().map_err(Error::report));
        }
        swept
    }
}

fn spawn_inside(root: &Root, options: &Options, api_port: u16, link: UnixStream) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("mini-cluster").arg("__enter").arg("--root").arg(root.dir());
    command.arg("--nodes").arg(options.nodes.to_string());
    command.arg("--api-port").arg(api_port.to_string());
    command.arg("--parent").arg(std::process::id().to_string());
    if let Some(grace) = options.node_grace {
        command.arg("--grace-ms").arg(grace.as_millis().to_string());
    }
    command.stdin(Stdio::from(OwnedFd::from(link)));
    command.spawn().map_err(|source| Error::system("start the inside half", source))
}

fn listen(link: &UnixStream, events: mpsc::Sender<Event>) -> Result<()> {
    let reader = link.try_clone().map_err(|source| Error::system("share the link", source))?;
    std::thread::spawn(move || {
        for message in messages(reader) {
            if events.send(Event::Inside(message)).is_err() {
                return;
            }
        }
        let _ = events.send(Event::InsideGone);
    });
    Ok(())
}

/// Blocks the ending signals in this thread and all that it starts later, and turns them into events.
fn watch_signals(events: mpsc::Sender<Event>) -> Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().map_err(|errno| Error::system("block signals", errno))?;
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            if events.send(Event::Signal).is_err() {
                return;
            }
        }
    });
    Ok(())
}
