//! A kubelet without containers: the real pod machine over an executor that only pretends, in virtual time.
//!
//! It reads a world and answers with actions (statuses, leases, final deletions), so it runs beside any driver. What
//! containers do comes from `Behaviour` and the seed. An image named `…missing…` cannot be pulled, `…crash…` exits
//! with 1, `…once…` exits with 0, `…unready…` fails its probes, `…noexec…` cannot be started.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Rng;
use crate::action::{Action, Plan, Propagation, Target};
use crate::node::{
    Exit, Facts, Image, Machine, NodeAction, NodePolicy, Outcome, ProbeKind, ProbeResult, Run, RunState, Sandbox,
    Stopping,
};
use crate::objects::{Condition, ConditionStatus, Lease, Node, ObjectMeta, Pod, Resource, Resources};
use crate::time::{MicroTime, Millis};
use crate::{Time, World};

/// How long things take and how often containers die by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Shortest and longest time of each step of the executor.
    pub latency: (Millis, Millis),
    /// In how many of 100 starts the container will crash.
    pub crash_percent: u64,
    /// Shortest and longest life of a container that crashes.
    pub life: (Millis, Millis),
    /// Time between heartbeats.
    pub heartbeat: Millis,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { latency: (5, 400), crash_percent: 0, life: (100, 20_000), heartbeat: 10_000 }
    }
}

/// One pretended node.
#[derive(Debug, Clone)]
pub struct FakeKubelet {
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    pub up: bool,
    behaviour: Behaviour,
    policy: NodePolicy,
    capacity: Resources,
    rng: Rng,
    slots: BTreeMap<String, Slot>,
    addresses: u32,
    beat: Option<Time>,
}

/// One pod on the node.
#[derive(Debug, Clone)]
struct Slot {
    pod: Pod,
    machine: Machine,
    facts: Facts,
    due: BTreeMap<(Time, u64), Effect>,
    count: u64,
    /// When the machine wants to step again; none means never, unless something happens.
    wake: Option<Time>,
}

/// Something that will have happened at some time.
#[derive(Debug, Clone)]
enum Effect {
    SandboxReady,
    SandboxGone,
    Pulled(String),
    Started(String, u32),
    Exited(String, u32, i32),
    Probed(String, ProbeKind, u64),
}

impl FakeKubelet {
    /// Makes a node with so many thousandths of a cpu and bytes of memory.
    pub fn new(name: &str, cpu_milli: i64, memory: i64, behaviour: Behaviour, seed: u64) -> Self {
        use crate::objects::Quantity;
        let capacity = Resources::from([
            ("cpu".into(), Quantity::from_milli(cpu_milli)),
            ("memory".into(), Quantity::from_bytes(memory)),
            ("pods".into(), Quantity::new(110)),
        ]);
        let policy = NodePolicy { node: name.into(), ..NodePolicy::default() };
        let rng = Rng::new(seed ^ u64::from(crate::controllers::fnv32a(name.as_bytes())));
        let slots = BTreeMap::new();
        Self { name: name.into(), up: true, behaviour, policy, capacity, rng, slots, addresses: 0, beat: None }
    }

    /// Does everything that is due: heartbeat, pods. Returns what to write and when to come back.
    pub fn sync(&mut self, world: &World, now: Time) -> Plan {
        let mut plan = Plan::default();
        if !self.up {
            return plan;
        }
        self.heartbeat(world, now, &mut plan);
        self.adopt_pods(world);
        let mut slots = std::mem::take(&mut self.slots);
        slots.retain(|_, slot| self.run_pod(slot, world, now, &mut plan));
        self.slots = slots;
        plan
    }

    /// Kills everything on the node at once, as a power cut does.
    pub fn power_off(&mut self) {
        self.up = false;
        self.slots.clear();
    }

    fn heartbeat(&mut self, world: &World, now: Time, plan: &mut Plan) {
        let next = self.beat.map_or(now, |at| at + self.behaviour.heartbeat);
        let Some(node) = world.nodes.get("", &self.name) else {
            plan.actions.push(Action::Create { object: self.node(now).into() });
            self.beat = None;
            return plan.wake_at(now + 1);
        };
        let ready = crate::objects::holds(&node.status.conditions, "Ready");
        if now < next && ready {
            return plan.wake_at(next);
        }
        self.beat = Some(now);
        plan.wake_at(now + self.behaviour.heartbeat);
        plan.actions.push(self.renew(world, now));
        if !ready {
            let status = json(&self.node(now).status);
            plan.actions.push(Action::UpdateStatus { on: Target::loose(node.key(), &node.metadata.uid), status });
        }
    }

    fn renew(&self, world: &World, now: Time) -> Action {
        let renewed = MicroTime(now);
        match world.leases.get("kube-node-lease", &self.name) {
            Some(lease) => {
                let on = Target::loose(lease.key(), &lease.metadata.uid);
                Action::Patch { on, patch: json!({ "spec": { "renewTime": renewed.to_string() } }) }
            }
            None => {
                let metadata = ObjectMeta::named("kube-node-lease", &self.name);
                let mut lease = Lease { metadata, ..Lease::default() };
                lease.spec.renew_time = Some(renewed);
                Action::Create { object: lease.into() }
            }
        }
    }

    fn node(&self, now: Time) -> Node {
        let mut node = Node { metadata: ObjectMeta::named("", &self.name), ..Node::default() };
        node.metadata.labels.insert("kubernetes.io/hostname".into(), self.name.clone());
        node.status.capacity.clone_from(&self.capacity);
        node.status.allocatable.clone_from(&self.capacity);
        let mut ready = Condition::new("Ready", ConditionStatus::True, "KubeletReady", "kubelet is pretending", now);
        ready.last_heartbeat_time = Some(now.whole());
        node.status.conditions = vec![ready];
        node
    }

    /// Takes over what the world says about this node's pods; a vanished pod is stopped by force.
    fn adopt_pods(&mut self, world: &World) {
        for pod in world.pods_on(&self.name) {
            let policy = &self.policy;
            let slot = self.slots.entry(pod.metadata.uid.clone()).or_insert_with(|| Slot {
                pod: pod.clone(),
                machine: Machine::new(policy.clone()),
                facts: Facts::default(),
                due: BTreeMap::new(),
                count: 0,
                wake: Some(Time::default()),
            });
            if slot.pod.metadata.resource_version != pod.metadata.resource_version {
                slot.pod = pod.clone();
                slot.wake = Some(Time::default());
            }
        }
        for slot in self.slots.values_mut() {
            if world.by_uid(&slot.pod.metadata.uid).is_none()
                && slot.pod.metadata.deletion_grace_period_seconds != Some(0)
            {
                slot.wake = Some(Time::default());
                slot.pod.metadata.deletion_timestamp.get_or_insert(Time::default());
                slot.pod.metadata.deletion_grace_period_seconds = Some(0);
            }
        }
    }

    /// Runs one pod as far as it goes now; `false` when nothing of it is left.
    fn run_pod(&mut self, slot: &mut Slot, world: &World, now: Time, plan: &mut Plan) -> bool {
        while let Some(entry) = slot.due.first_entry().filter(|e| e.key().0 <= now) {
            let effect = entry.remove();
            self.happen(slot, effect, now);
            slot.wake = Some(now);
        }
        if slot.wake.is_none_or(|at| at > now) {
            note_wake(slot, now, plan);
            return true;
        }
        slot.facts.host_ip = "192.168.0.1".into();
        let step = slot.machine.step(&slot.pod, &slot.facts, now);
        slot.facts.probes.clear();
        let exists = world.by_uid(&slot.pod.metadata.uid).is_some();
        let begun = step.actions.iter().any(|a| !matches!(a, NodeAction::Event(_)));
        for action in step.actions {
            match action {
                NodeAction::Event(note) if exists => plan.actions.push(Action::Event(note)),
                other => self.begin(slot, other, now),
            }
        }
        let target = Target::loose(slot.pod.key(), &slot.pod.metadata.uid);
        let on = || target.clone();
        if exists && step.status != slot.pod.status {
            plan.actions.push(Action::UpdateStatus { on: on(), status: json(&step.status) });
            slot.pod.status = step.status;
        }
        if step.finished {
            let propagation = Propagation::Background;
            plan.actions.extend(exists.then(|| Action::Delete { on: on(), grace: Some(0), propagation }));
            return false;
        }
        // What was begun shows in the facts, so the machine looks once more at this very moment.
        slot.wake = if begun { Some(now) } else { step.wake };
        note_wake(slot, now, plan);
        true
    }

    fn later(&mut self, slot: &mut Slot, (least, most): (Millis, Millis), now: Time, effect: Effect) {
        let span = u64::try_from(most - least).unwrap_or_default() + 1;
        let delay = least + Millis::try_from(self.rng.below(span)).unwrap_or_default();
        slot.count += 1;
        slot.due.insert((now + delay.max(1), slot.count), effect);
    }

    /// Accepts an action: shows it in the facts, and plans its effect.
    fn begin(&mut self, slot: &mut Slot, action: NodeAction, now: Time) {
        let latency = self.behaviour.latency;
        match action {
            NodeAction::EnsureSandbox => {
                slot.facts.sandbox = Sandbox::Starting;
                self.later(slot, latency, now, Effect::SandboxReady);
            }
            NodeAction::RemoveSandbox => {
                slot.facts.sandbox = Sandbox::Stopping;
                self.later(slot, latency, now, Effect::SandboxGone);
            }
            NodeAction::Pull { image } => {
                slot.facts.images.insert(image.clone(), Image::Pulling);
                self.later(slot, latency, now, Effect::Pulled(image));
            }
            NodeAction::Start { container, attempt } => {
                let previous = slot.facts.containers.get(&container).and_then(Run::exit).cloned();
                let id = format!("fake://{}-{container}-{attempt}", slot.pod.metadata.uid);
                let state = RunState::Starting;
                let run = Run { attempt, id, image_id: "fake".into(), state, stopping: None, previous };
                slot.facts.containers.insert(container.clone(), run);
                self.later(slot, latency, now, Effect::Started(container, attempt));
            }
            NodeAction::Kill { container, grace, .. } => {
                let Some(run) = slot.facts.containers.get_mut(&container) else { return };
                run.stopping = Some(Stopping { since: now, grace });
                let attempt = run.attempt;
                let code = if grace == 0 { 137 } else { 143 };
                self.later(slot, latency, now, Effect::Exited(container, attempt, code));
            }
            NodeAction::Probe { container, kind, number, .. } => {
                self.later(slot, (1, 20), now, Effect::Probed(container, kind, number));
            }
            NodeAction::Event(_) => {}
        }
    }

    fn happen(&mut self, slot: &mut Slot, effect: Effect, now: Time) {
        match effect {
            Effect::SandboxReady => {
                self.addresses += 1;
                let (high, low) = (self.addresses / 250, self.addresses % 250 + 1);
                let net = crate::controllers::fnv32a(self.name.as_bytes()) % 200;
                slot.facts.sandbox = Sandbox::Ready { ip: format!("10.{net}.{high}.{low}") };
            }
            Effect::SandboxGone => slot.facts.sandbox = Sandbox::Absent,
            Effect::Pulled(image) => {
                let fact = if image.contains("missing") {
                    Image::Failed { message: format!("{image}: not found"), at: now }
                } else {
                    Image::Present { id: format!("sha256:{image}"), at: now }
                };
                slot.facts.images.insert(image, fact);
            }
            Effect::Started(container, attempt) => self.started(slot, container, attempt, now),
            Effect::Exited(container, attempt, code) => exited(slot, &container, attempt, code, now),
            Effect::Probed(container, kind, number) => {
                let alive = slot.facts.containers.get(&container).is_some_and(Run::is_alive);
                let healthy = alive && !image_of(&slot.pod, &container).contains("unready");
                let outcome = if healthy { Outcome::Success } else { Outcome::Failure("pretended".into()) };
                slot.facts.probes.push(ProbeResult { container, kind, number, outcome });
            }
        }
    }

    fn started(&mut self, slot: &mut Slot, container: String, attempt: u32, now: Time) {
        let image = image_of(&slot.pod, &container);
        let Some(run) = slot.facts.containers.get_mut(&container) else { return };
        if run.attempt != attempt || run.state != RunState::Starting {
            return;
        }
        if image.contains("noexec") {
            let (reason, message) = ("RunContainerError".into(), "exec: \"/nope\": no such file".into());
            run.state = RunState::Failed { reason, message, at: now };
            return;
        }
        run.state = RunState::Running { since: now };
        let crashes = image.contains("crash") || self.rng.chance(self.behaviour.crash_percent);
        if image.contains("once") || crashes {
            let life = self.behaviour.life;
            self.later(slot, life, now, Effect::Exited(container, attempt, i32::from(crashes)));
        }
    }
}

fn note_wake(slot: &Slot, now: Time, plan: &mut Plan) {
    for at in slot.wake.into_iter().chain(slot.due.keys().next().map(|(at, _)| *at)) {
        plan.wake_at(at.max(now + 1));
    }
}

fn exited(slot: &mut Slot, container: &str, attempt: u32, code: i32, now: Time) {
    let Some(run) = slot.facts.containers.get_mut(container).filter(|r| r.attempt == attempt && r.is_alive()) else {
        return;
    };
    let (started, id) = (run.running_since().unwrap_or(now), run.id.clone());
    let signal = (code > 128).then(|| code - 128);
    run.state = RunState::Exited(Exit { code, signal, oom: false, started, finished: now, message: String::new(), id });
    run.stopping = None;
}

fn image_of(pod: &Pod, container: &str) -> String {
    let mut all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    all.find(|c| c.name == container).map(|c| c.image.clone()).unwrap_or_default()
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
