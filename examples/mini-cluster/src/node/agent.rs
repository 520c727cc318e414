//! A node's agent: one thread that hears news, lets the pure machine decide for each pod, and hands its actions out.
//!
//! It sleeps until there is news (a change in the API, the end of a container, a finished action, a probe's result) or
//! until a machine wants to be woken. Nothing blocks it: whatever takes time runs on the node's workers and comes back
//! as news. What was accepted shows in the facts at once, so nothing is asked for twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use apiserver::Request;
use orchestrate_core::node::{
    Facts, Image, Machine, NodeAction, NodePolicy, ProbeResult, Run, RunState, Sandbox as SandboxFact, Stopping,
};
use orchestrate_core::objects::Pod;
use orchestrate_core::{Object, Time};
use serde_json::{Value, json};

use super::clock;
use super::hands::{Hands, Refusal};
use super::live::Live;
use super::register;
use super::sandbox::Sandbox;
use crate::inside::hub::Seen;

/// What the agent is told.
#[derive(Debug)]
pub(super) enum News {
    /// Something in the API changed.
    Changed,
    /// The pod's surroundings are made, or are not.
    Sandbox(String, Result<Box<Sandbox>, String>),
    /// They are gone.
    SandboxGone(String),
    /// An image is here, or is not.
    Image(String, Result<String, String>),
    /// A container runs, or does not.
    Started(String, String, u32, Result<Box<Live>, Refusal>),
    /// A container has ended: uid, name and attempt.
    Ended(String),
    /// A probe came back.
    Probed(String, ProbeResult),
    /// The power is switched off; the answer goes there.
    Off(Sender<()>),
}

/// One pod of the node.
#[derive(Debug)]
struct Work {
    pod: Pod,
    machine: Machine,
    facts: Facts,
    sandbox: Option<Arc<Sandbox>>,
    live: BTreeMap<String, Arc<Live>>,
    wake: Option<Time>,
    /// The object has vanished; only its containers are left.
    orphaned: bool,
}

/// The agent of one node.
pub(super) struct Agent {
    hands: Arc<Hands>,
    news: Receiver<News>,
    pods: BTreeMap<String, Work>,
    cursor: Option<u64>,
    lease_every: Duration,
    lease_due: Instant,
}

impl Agent {
    pub(super) fn new(hands: Arc<Hands>, news: Receiver<News>, lease_every: Duration) -> Self {
        Self { hands, news, pods: BTreeMap::new(), cursor: None, lease_every, lease_due: Instant::now() }
    }

    /// Lives until the power is switched off or nobody can send news any more.
    pub(super) fn run(mut self) {
        let mut dirty = self.look();
        loop {
            for uid in dirty {
                self.step(&uid);
            }
            self.keep_lease();
            let first = match self.news.recv_timeout(self.pause()) {
                Ok(news) => Some(news),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            dirty = self.due();
            let mut changed = false;
            for news in first.into_iter().chain(std::iter::from_fn(|| self.news.try_recv().ok())).collect::<Vec<_>>() {
                match news {
                    News::Changed => changed = true,
                    News::Off(done) => return self.off(&done),
                    other => dirty.extend(self.hear(other)),
                }
            }
            if changed {
                dirty.extend(self.look());
            }
        }
    }

    fn keep_lease(&mut self) {
        if Instant::now() >= self.lease_due {
            self.lease_due = Instant::now() + self.lease_every;
            // A lease that could not be renewed is renewed next time; silence is what it would mean anyway.
            let _ = register::renew(&self.hands.hub, &self.hands.identity.name);
        }
    }

    fn pause(&self) -> Duration {
        let lease = self.lease_due.saturating_duration_since(Instant::now());
        let wake = self.pods.values().filter_map(|work| work.wake).min().map(clock::until);
        wake.map_or(lease, |wake| wake.min(lease))
    }

    fn due(&self) -> BTreeSet<String> {
        let now = clock::now();
        let due = self.pods.iter().filter(|(_, work)| work.wake.is_some_and(|wake| wake <= now));
        due.map(|(uid, _)| uid.clone()).collect()
    }

    /// Reads what changed in the API; the pods to look after.
    fn look(&mut self) -> BTreeSet<String> {
        let mut dirty = BTreeSet::new();
        for seen in self.hands.hub.changes(&mut self.cursor, &["Pod"]) {
            let (object, gone) = match seen {
                Seen::Is(object) => (object, false),
                Seen::Gone(object) => (object, true),
            };
            let Object::Pod(pod) = *object else { continue };
            if pod.spec.node_name != self.hands.identity.name {
                continue;
            }
            let uid = pod.metadata.uid.clone();
            if gone {
                self.vanished(&uid);
            } else if let Some(work) = self.pods.get_mut(&uid) {
                work.pod = *pod;
            } else {
                let work = self.take_on(*pod);
                self.pods.insert(uid.clone(), work);
            }
            dirty.insert(uid);
        }
        dirty
    }

    fn take_on(&self, pod: Pod) -> Work {
        let policy = NodePolicy { node: self.hands.identity.name.clone(), ..NodePolicy::default() };
        let mut facts = Facts { host_ip: self.hands.identity.address.to_string(), ..Facts::default() };
        for container in pod.spec.init_containers.iter().chain(&pod.spec.containers) {
            let found = match self.hands.image_id(&container.image) {
                Some(id) => Image::Present { id, at: clock::now() },
                None => Image::Absent,
            };
            facts.images.insert(container.image.clone(), found);
        }
        let machine = Machine::new(policy);
        Work { pod, machine, facts, sandbox: None, live: BTreeMap::new(), wake: None, orphaned: false }
    }

    /// The object is gone without our word: what is left of the pod ends at once.
    fn vanished(&mut self, uid: &str) {
        if let Some(work) = self.pods.get_mut(uid) {
            work.orphaned = true;
            work.pod.metadata.deletion_timestamp = Some(clock::now());
            work.pod.metadata.deletion_grace_period_seconds = Some(0);
        }
    }

    /// Turns news into facts; the pods that they concern.
    fn hear(&mut self, news: News) -> Vec<String> {
        match news {
            News::Changed | News::Off(_) => Vec::new(),
            News::Image(image, outcome) => self.image_came(&image, &outcome),
            News::Sandbox(uid, made) => {
                let Some(work) = self.pods.get_mut(&uid) else { return Vec::new() };
                match made {
                    Ok(sandbox) => {
                        work.facts.sandbox = SandboxFact::Ready { ip: sandbox.ip.to_string() };
                        work.sandbox = Some(Arc::from(sandbox));
                    }
                    Err(message) => work.facts.sandbox = SandboxFact::Failed { message, at: clock::now() },
                }
                vec![uid]
            }
            News::SandboxGone(uid) => {
                if let Some(work) = self.pods.get_mut(&uid) {
                    work.facts.sandbox = SandboxFact::Absent;
                }
                vec![uid]
            }
            News::Started(uid, container, attempt, outcome) => {
                self.started(&uid, &container, attempt, outcome);
                vec![uid]
            }
            News::Ended(key) => self.ended(&key).into_iter().collect(),
            News::Probed(uid, result) => {
                if let Some(work) = self.pods.get_mut(&uid) {
                    work.facts.probes.push(result);
                }
                vec![uid]
            }
        }
    }

    fn image_came(&mut self, image: &str, outcome: &Result<String, String>) -> Vec<String> {
        let at = clock::now();
        let fact = match outcome {
            Ok(id) => Image::Present { id: id.clone(), at },
            Err(message) => Image::Failed { message: message.clone(), at },
        };
        let mut dirty = Vec::new();
        for (uid, work) in &mut self.pods {
            // Whoever did not ask for it and has an old one keeps that.
            if let Some(known) = work.facts.images.get_mut(image)
                && (outcome.is_ok() || *known == Image::Pulling)
            {
                *known = fact.clone();
                dirty.push(uid.clone());
            }
        }
        dirty
    }

    fn started(&mut self, uid: &str, container: &str, attempt: u32, outcome: Result<Box<Live>, Refusal>) {
        let Some(work) = self.pods.get_mut(uid) else { return };
        let Some(run) = work.facts.containers.get_mut(container).filter(|run| run.attempt == attempt) else { return };
        match outcome {
            Ok(live) => {
                run.id.clone_from(&live.id);
                run.image_id.clone_from(&live.image_id);
                // A container that has ended already is known to the watcher, whose news come after these.
                run.state = RunState::Running { since: live.since };
                let live: Arc<Live> = Arc::from(live);
                self.hands.containers.put(uid, container, Arc::clone(&live));
                if let Err(message) = self.hands.watch(&live) {
                    let reason = "RunContainerError".to_owned();
                    run.state = RunState::Failed { reason, message, at: clock::now() };
                }
                work.live.insert(container.to_owned(), live);
            }
            Err(Refusal { reason, message }) => {
                run.state = RunState::Failed { reason, message, at: clock::now() };
            }
        }
    }

    fn ended(&mut self, key: &str) -> Option<String> {
        let (uid, name, attempt) = Live::parse_key(key)?;
        let work = self.pods.get_mut(uid)?;
        let live = work.live.get(name).filter(|live| live.attempt == attempt)?;
        let run = work.facts.containers.get_mut(name)?;
        run.state = RunState::Exited(live.exit());
        run.stopping = None;
        Some(uid.to_owned())
    }

    fn step(&mut self, uid: &str) {
        let Some(work) = self.pods.get_mut(uid) else { return };
        let step = work.machine.step(&work.pod, &work.facts, clock::now());
        work.facts.probes.clear();
        work.wake = step.wake;
        for action in step.actions {
            act(&self.hands, work, action);
        }
        if !work.orphaned && step.status != work.pod.status {
            self.hands.report(&mut work.pod, &step.status);
        }
        if step.finished {
            let work = self.pods.remove(uid);
            self.hands.containers.forget(uid);
            if let Some(work) = work.filter(|work| !work.orphaned) {
                self.confirm(&work.pod);
            }
        }
    }

    /// Nothing of the pod is left: its object may go.
    fn confirm(&self, pod: &Pod) {
        let path = format!("/api/v1/namespaces/{}/pods/{}", pod.metadata.namespace, pod.metadata.name);
        let options: Value = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0,
            "preconditions": {"uid": pod.metadata.uid}});
        // Gone already is as good.
        let _ = self.hands.hub.call(&Request::delete(path).body(options));
    }

    /// As if the plug were pulled: everything ends at once, nobody is told.
    fn off(self, done: &Sender<()>) {
        for (uid, work) in self.pods {
            if let Some(sandbox) = &work.sandbox {
                sandbox.cut();
            }
            for live in work.live.values() {
                live.destroy();
            }
            self.hands.containers.forget(&uid);
            if let Some(sandbox) = work.sandbox {
                sandbox.end();
            }
        }
        let _ = done.send(());
    }
}

/// Accepts an action: it shows in the facts at once and is carried out by the workers.
fn act(hands: &Arc<Hands>, work: &mut Work, action: NodeAction) {
    match action {
        NodeAction::EnsureSandbox => {
            work.facts.sandbox = SandboxFact::Starting;
            hands.make_sandbox(&work.pod);
        }
        NodeAction::RemoveSandbox => {
            work.facts.sandbox = SandboxFact::Stopping;
            let live = std::mem::take(&mut work.live);
            hands.remove_sandbox(&work.pod.metadata.uid, work.sandbox.take(), live);
        }
        NodeAction::Pull { image } => {
            work.facts.images.insert(image.clone(), Image::Pulling);
            hands.pull(image);
        }
        NodeAction::Start { container, attempt } => {
            let before = work.facts.containers.get(&container);
            let previous = before.and_then(|run| run.exit().cloned().or_else(|| run.previous.clone()));
            let run = Run {
                attempt,
                id: String::new(),
                image_id: String::new(),
                state: RunState::Starting,
                stopping: None,
                previous,
            };
            work.facts.containers.insert(container.clone(), run);
            hands.containers.take(&work.pod.metadata.uid, &container);
            let last = work.live.remove(&container);
            hands.start(&work.pod, work.sandbox.clone(), &container, attempt, last);
        }
        NodeAction::Kill { container, grace, pre_stop, .. } => {
            if let Some(run) = work.facts.containers.get_mut(&container) {
                run.stopping = Some(Stopping { since: clock::now(), grace });
            }
            if let Some(live) = work.live.get(&container) {
                hands.kill(&work.pod, live, grace, pre_stop);
            }
        }
        NodeAction::Probe { container, kind, probe, number } => {
            let live = work.live.get(&container).cloned();
            hands.probe(&work.pod, live, container, kind, probe, number);
        }
        NodeAction::Event(note) => hands.tell(&note),
    }
}
