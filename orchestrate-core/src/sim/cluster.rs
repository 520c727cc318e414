//! A whole cluster in virtual time: the real control plane and the real pod machine over pretended nodes.
//!
//! Everything random comes from the seed, so a run is its seed; the log has one line for each thing done.

use super::kubelet::{Behaviour, FakeKubelet};
use super::{Refusal, Rng, Store};
use crate::action::{Action, Plan, Propagation, Target};
use crate::control::Control;
use crate::controllers::Policy;
use crate::objects::{Key, Object};
use crate::schedule::{QueuePolicy, Tie};
use crate::{Time, World};

/// Rounds at one moment after which the loop must be chasing its own tail.
const MAX_ROUNDS: usize = 1000;

/// The cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Objects and their API.
    pub store: Store,
    /// The pretended nodes, in order.
    nodes: Vec<FakeKubelet>,
    /// The moment it is.
    pub now: Time,
    control: Control,
    rng: Rng,
    log: Vec<String>,
    restless: bool,
    /// The control plane, then the nodes.
    actors: Vec<Actor>,
}

/// Up to where somebody has seen the world, and when he wants to look again.
#[derive(Debug, Clone, Copy, Default)]
struct Actor {
    seen: Option<u64>,
    wake: Option<Time>,
}

impl Cluster {
    /// Makes a cluster of `nodes` equal nodes of 4 cpus and 8 GiB, named `n1`, `n2`…
    pub fn new(seed: u64, nodes: u32, behaviour: &Behaviour, policy: Policy) -> Self {
        let queue = QueuePolicy { tie: Tie::Seeded(seed), ..QueuePolicy::default() };
        let node = |n: u32| FakeKubelet::new(&format!("n{n}"), 4000, 8 << 30, behaviour.clone(), seed);
        let mut cluster = Self {
            store: Store::default(),
            nodes: (1..=nodes).map(node).collect(),
            now: Time::from_secs(1_700_000_000),
            control: Control::new(policy, Some(queue)),
            rng: Rng::new(seed),
            log: Vec::new(),
            restless: false,
            actors: vec![Actor::default(); nodes as usize + 1],
        };
        cluster.settle();
        cluster
    }

    /// The objects.
    pub const fn world(&self) -> &World {
        &self.store.world
    }

    /// One line for each thing done so far.
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// Says whether some moment never came to rest: a controller works against another or itself.
    pub const fn is_restless(&self) -> bool {
        self.restless
    }

    /// Creates an object as a user.
    ///
    /// # Errors
    /// The store's refusal.
    pub fn create(&mut self, object: impl Into<Object>) -> Result<Key, Refusal> {
        let object = object.into();
        self.line(&format!("user creates {}", object.key()));
        self.store.create(object, self.now)
    }

    /// Patches an object as a user.
    ///
    /// # Errors
    /// The store's refusal.
    pub fn patch(&mut self, key: &Key, patch: serde_json::Value) -> Result<(), Refusal> {
        let on = self.target(key)?;
        self.apply("user", &Action::Patch { on, patch })
    }

    /// Deletes an object as a user.
    ///
    /// # Errors
    /// The store's refusal.
    pub fn delete(&mut self, key: &Key) -> Result<(), Refusal> {
        let on = self.target(key)?;
        self.apply("user", &Action::Delete { on, grace: None, propagation: Propagation::Background })
    }

    /// Lets everything happen until `end`; `check` sees the world after every moment.
    pub fn run_until(&mut self, end: Time, mut check: impl FnMut(&World, Time)) {
        loop {
            let wake = self.settle();
            check(&self.store.world, self.now);
            match wake.filter(|at| *at <= end) {
                Some(at) => self.now = at.max(self.now + 1),
                None => break,
            }
        }
        self.now = self.now.max(end);
    }

    /// Brings this moment to rest; returns the next one at which something is due.
    pub fn settle(&mut self) -> Option<Time> {
        for _ in 0..MAX_ROUNDS {
            let before = self.store.version();
            if self.is_due(0) {
                let plan = self.control.decide(&self.store.world, self.now);
                self.carry_out(0, "control", &plan);
            }
            let first = usize::try_from(self.rng.below(self.nodes.len().max(1) as u64)).unwrap_or_default();
            for n in 0..self.nodes.len() {
                let at = (first + n) % self.nodes.len();
                if self.is_due(at + 1) {
                    let plan = self.nodes[at].sync(&self.store.world, self.now);
                    let name = self.nodes[at].name.clone();
                    self.carry_out(at + 1, &name, &plan);
                }
            }
            if self.store.version() == before {
                return self.actors.iter().filter_map(|a| a.wake).min();
            }
        }
        self.restless = true;
        Some(self.now + 1000)
    }

    /// Whether an actor (0 is the control plane) has anything new to see: the world, or the time.
    fn is_due(&self, actor: usize) -> bool {
        let Actor { seen, wake } = self.actors[actor];
        seen != Some(self.store.version()) || wake.is_some_and(|at| at <= self.now)
    }

    fn carry_out(&mut self, actor: usize, who: &str, plan: &Plan) {
        self.actors[actor] = Actor { seen: Some(self.store.version()), wake: plan.wake };
        for action in &plan.actions {
            let refused = self.apply(who, action).is_err();
            if refused {
                // The same decision may do better in a moment.
                let again = self.now + 1000;
                let wake = &mut self.actors[actor].wake;
                *wake = Some(wake.map_or(again, |at| at.min(again)));
            }
        }
    }

    /// Switches a node off: everything on it dies at once.
    pub fn power_off(&mut self, node: usize) {
        self.nodes[node].power_off();
    }

    /// Switches every node on.
    pub fn power_on(&mut self) {
        for (node, actor) in self.nodes.iter_mut().zip(&mut self.actors[1..]) {
            node.up = true;
            actor.seen = None;
        }
    }

    fn target(&self, key: &Key) -> Result<Target, Refusal> {
        let meta = self.store.world.meta(key).ok_or(Refusal::NotFound)?;
        Ok(Target::loose(key.clone(), &meta.uid))
    }

    fn apply(&mut self, who: &str, action: &Action) -> Result<(), Refusal> {
        let result = self.store.apply(action, self.now);
        match &result {
            Ok(()) => self.line(&format!("{who}: {action}")),
            Err(refusal) => self.line(&format!("{who}: {action} ({refusal})")),
        }
        result
    }

    fn line(&mut self, text: &str) {
        self.log.push(format!("{} {text}", self.now.0));
    }
}
