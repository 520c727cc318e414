//! A node of the cluster: its agent, and the hands that do what the pure pod machine decides.
//!
//! `agent` hears and decides (through `orchestrate_core::node`), `hands` act. A node is a name, a share of processor
//! and memory, a range of addresses, a cgroup and a folder; several live in one process. Its power switch is real:
//! off means that its containers are killed, its links cut and its agent silent.

mod addresses;
mod agent;
pub(crate) mod clock;
mod hands;
mod launch;
mod launching;
pub(crate) mod live;
mod probe;
mod probing;
pub(crate) mod register;
mod sandbox;
mod volumes;
mod watch;
pub(crate) mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use agent::{Agent, News};
use hands::Hands;
pub(crate) use hands::Shared;
use register::Identity;

use crate::error::{Error, Result};

/// One node with its power switch.
#[derive(Debug)]
pub(crate) struct Node {
    identity: Identity,
    shared: Shared,
    dir: PathBuf,
    cgroup: String,
    lease_every: Duration,
    running: Option<(Sender<News>, JoinHandle<()>)>,
}

impl Node {
    /// A node that is switched off.
    pub(crate) fn new(identity: Identity, shared: Shared, dir: PathBuf, cgroup: String, lease_every: Duration) -> Self {
        Self { identity, shared, dir, cgroup, lease_every, running: None }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.identity.name
    }

    /// Switches it on: registers it and starts its agent.
    pub(crate) fn on(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let doing = || format!("start {}", self.identity.name);
        let (sender, news) = mpsc::channel();
        let (shared, identity) = (self.shared.clone(), self.identity.clone());
        let hands = Hands::new(shared, identity, self.dir.clone(), self.cgroup.clone(), sender.clone())
            .map_err(|source| Error::system(doing(), source))?;
        register::register(&self.shared.hub, &self.identity).map_err(|status| Error::library(doing(), status))?;
        let bell = sender.clone();
        self.shared.hub.on_change(move || bell.send(News::Changed).is_ok());
        let agent = Agent::new(Arc::new(hands), news, self.lease_every);
        let thread = std::thread::Builder::new().name(self.identity.name.clone()).spawn(move || agent.run());
        self.running = Some((sender, thread.map_err(|source| Error::system(doing(), source))?));
        Ok(())
    }

    /// Switches it off, as its power button would.
    pub(crate) fn off(&mut self) {
        if let Some((sender, thread)) = self.running.take() {
            let (done, answer) = mpsc::channel();
            if sender.send(News::Off(done)).is_ok() {
                let _ = answer.recv();
            }
            let _ = thread.join();
            let _ = crate::state::remove_tree(&self.dir);
        }
    }
}
