//! The hands of a node: carry out what the machine decided, on workers, and bring the outcome back as news.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use container_core::{Runtime, Signal};
use image_store::Store;
use orchestrate_core::action::Note;
use orchestrate_core::node::{Addresses as PodAddresses, ProbeKind, ProbeResult, volume_files};
use orchestrate_core::objects::{LifecycleHandler, Pod, PodStatus, Probe};

use super::addresses::Addresses;
use super::agent::News;
use super::live::{Containers, Live};
use super::register::Identity;
use super::sandbox::{Sandbox, pod_dir};
use super::watch::{Watched, Watcher};
use super::workers::Workers;
use super::{launching, probing};
use crate::inside::control::Control;
use crate::inside::hub::Hub;
use crate::inside::pulls::Pulls;
use crate::inside::routes::Routes;

/// How long the rules may take to forget a pod before it is signalled all the same.
const WITHDRAWAL: Duration = Duration::from_secs(2);

/// Why a container does not run: the word for its status, and the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) message: String,
}

/// What all nodes use together.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) hub: Hub,
    pub(crate) control: Arc<Control>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) store: Store,
    pub(crate) pulls: Arc<Pulls>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) containers: Arc<Containers>,
    pub(crate) workers: Workers,
    pub(crate) probers: Workers,
}

/// One node's hands.
pub(super) struct Hands {
    pub(super) identity: Identity,
    pub(super) hub: Hub,
    pub(super) containers: Arc<Containers>,
    pub(super) shared: Shared,
    /// The node's folder.
    pub(super) dir: PathBuf,
    /// The node's cgroup.
    pub(super) cgroup: String,
    addresses: Mutex<Addresses>,
    watcher: Watcher,
    news: Sender<News>,
}

impl Hands {
    pub(super) fn new(
        shared: Shared,
        identity: Identity,
        dir: PathBuf,
        cgroup: String,
        news: Sender<News>,
    ) -> std::io::Result<Self> {
        let addresses = Addresses::parse(&identity.pod_cidr).ok_or(std::io::ErrorKind::InvalidInput)?;
        let ended = news.clone();
        let watcher = Watcher::start(move |key| drop(ended.send(News::Ended(key))))?;
        let (hub, containers) = (shared.hub.clone(), Arc::clone(&shared.containers));
        let addresses = Mutex::new(addresses);
        Ok(Self { identity, hub, containers, shared, dir, cgroup, addresses, watcher, news })
    }

    /// Runs `job` on a worker; its result is the news.
    fn work(self: &Arc<Self>, job: impl FnOnce(&Self) -> News + Send + 'static) {
        let this = Arc::clone(self);
        self.shared.workers.run(move || this.report_news(job(&this)));
    }

    /// An agent that is gone does not want to know.
    fn report_news(&self, news: News) {
        let _ = self.news.send(news);
    }

    /// The id of an image in the store.
    pub(super) fn image_id(&self, image: &str) -> Option<String> {
        self.shared.store.resolve(image).ok().map(|found| found.id.to_string())
    }

    pub(super) fn make_sandbox(self: &Arc<Self>, pod: &Pod) {
        let pod = pod.clone();
        self.work(move |this| {
            let made = this.sandbox(&pod).map(Box::new);
            News::Sandbox(pod.metadata.uid, made)
        });
    }

    fn sandbox(&self, pod: &Pod) -> Result<Sandbox, String> {
        let ip = self.addresses().take().ok_or_else(|| format!("no address left in {}", self.identity.pod_cidr))?;
        let text = ip.to_string();
        let host = self.identity.address.to_string();
        let at = PodAddresses { pod_ip: &text, host_ip: &host };
        let made = Sandbox::make(pod_dir(&self.dir, pod), pod, (ip, self.identity.address), &|volume| {
            self.shared.control.world(|world| volume_files(pod, volume, world, at)).map_err(|error| error.to_string())
        });
        made.inspect_err(|_| {
            self.addresses().give_back(ip);
            let _ = crate::state::remove_tree(&pod_dir(&self.dir, pod));
        })
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remove_sandbox(
        self: &Arc<Self>,
        uid: &str,
        sandbox: Option<Arc<Sandbox>>,
        live: BTreeMap<String, Arc<Live>>,
    ) {
        let uid = uid.to_owned();
        self.work(move |this| {
            this.containers.forget(&uid);
            drop(live);
            if let Some(sandbox) = sandbox {
                sandbox.end();
                this.addresses().give_back(sandbox.ip);
            }
            News::SandboxGone(uid)
        });
    }

    /// Brings an image; on a thread of its own, since it may wait long for a registry.
    pub(super) fn pull(self: &Arc<Self>, image: String) {
        let this = Arc::clone(self);
        std::thread::spawn(move || {
            let pulled = this.shared.pulls.pull(&image);
            let outcome = pulled.and_then(|()| this.image_id(&image).ok_or_else(|| "it was pulled and is gone".into()));
            this.report_news(News::Image(image, outcome));
        });
    }

    pub(super) fn start(
        self: &Arc<Self>,
        pod: &Pod,
        sandbox: Option<Arc<Sandbox>>,
        container: &str,
        attempt: u32,
        last: Option<Arc<Live>>,
    ) {
        let (pod, container) = (pod.clone(), container.to_owned());
        self.work(move |this| {
            // The run before goes first: its cgroup and its folder are not needed any more.
            drop(last);
            let started = match sandbox {
                Some(sandbox) => launching::start(this, &pod, &sandbox, &container, attempt),
                None => {
                    Err(Refusal { reason: "CreateContainerError".into(), message: "the pod has no network".into() })
                }
            };
            News::Started(pod.metadata.uid, container, attempt, started.map(Box::new))
        });
    }

    /// Has a started container watched: its output and its end.
    pub(super) fn watch(&self, live: &Live) -> Result<(), String> {
        let options = container_core::supervisor::LogOptions::default();
        let log =
            container_core::supervisor::LogWriter::open(&live.log, options).map_err(|e| crate::error::chain(&e))?;
        let pipes = std::mem::take(&mut *live.pipes.lock().unwrap_or_else(PoisonError::into_inner));
        let pidfd = live.pidfd().map_err(|error| error.to_string())?;
        self.watcher.add(Watched { key: live.key(), pidfd, pipes, log }).map_err(|error| error.to_string())
    }

    /// Ends a container: out of the rules first, then the hook, then the signal, then by force.
    pub(super) fn kill(self: &Arc<Self>, pod: &Pod, live: &Arc<Live>, grace: i64, pre_stop: Option<LifecycleHandler>) {
        let (this, pod, live) = (Arc::clone(self), pod.clone(), Arc::clone(live));
        std::thread::spawn(move || {
            let end = Instant::now() + Duration::from_secs(u64::try_from(grace).unwrap_or(0));
            if pod.metadata.is_deleting() && grace > 0 {
                this.shared.routes.wait_withdrawn(&pod.status.pod_ip, WITHDRAWAL);
            }
            if let Some(hook) = pre_stop {
                // A failed hook does not keep the container alive.
                let _ = probing::hook(&this, &pod, &live, &hook, end);
            }
            if grace > 0 && live.container.kill(live.stop_signal).is_ok() {
                let left = end.saturating_duration_since(Instant::now());
                if matches!(live.container.wait_timeout(left), Ok(Some(_))) {
                    return;
                }
            }
            live.destroy();
        });
    }

    pub(super) fn probe(
        self: &Arc<Self>,
        pod: &Pod,
        live: Option<Arc<Live>>,
        container: String,
        kind: ProbeKind,
        probe: Probe,
        number: u64,
    ) {
        let (this, pod) = (Arc::clone(self), pod.clone());
        self.shared.probers.run(move || {
            let outcome = probing::probe(&this, &pod, live.as_deref(), &container, &probe);
            let result = ProbeResult { container, kind, number, outcome };
            this.report_news(News::Probed(pod.metadata.uid, result));
        });
    }

    /// Makes an Event of a note.
    pub(super) fn tell(&self, note: &Note) {
        self.shared.control.record(note);
    }

    /// Writes a pod's status.
    pub(super) fn report(&self, pod: &mut Pod, status: &PodStatus) {
        self.shared.control.report(pod, status);
    }
}

/// The signal that asks a container to stop: the manifest's, the image's, or TERM.
pub(super) fn stop_signal(manifest: Option<&str>, image: Option<&str>) -> Signal {
    let named = manifest.into_iter().chain(image).find_map(|text| text.parse().ok());
    named.unwrap_or(Signal::TERM)
}
