//! The rules behind Services: world → table → one netlink batch per change.
//!
//! A thread of its own applies each new table at once. Who is about to end a pod waits here until the rules have
//! forgotten it: readiness and endpoints first, rules second, signal last; so no request meets a pod that has gone.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use container_network::service::{ServiceConfig, ServiceEntry, ServiceProgram, ServiceTable};
use container_network::{Protocol, Subnet};
use orchestrate_core::World;

use super::control::Control;
use super::hub::Hub;
use crate::error::{Error, Result};

/// What the rules know.
#[derive(Debug, Default)]
struct Known {
    endpoints: BTreeSet<Ipv4Addr>,
    rung: bool,
}

/// The Services' rules of the cluster's network namespace.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    known: Mutex<Known>,
    changed: Condvar,
}

impl Routes {
    /// Takes over the calling thread's network namespace and keeps its rules equal to the world.
    pub(super) fn start(
        hub: &Hub,
        control: &Arc<Control>,
        ranges: Vec<Subnet>,
        nodes: Vec<Ipv4Addr>,
    ) -> Result<Arc<Self>> {
        let this = Arc::new(Self::default());
        let config = ServiceConfig::new(ranges.clone()).node(nodes.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED));
        let program =
            ServiceProgram::open(config).map_err(|error| Error::library("set up the Services' rules", error))?;
        let ringer = Arc::clone(&this);
        hub.on_change(move || {
            ringer.lock().rung = true;
            ringer.changed.notify_all();
            true
        });
        let (routes, control) = (Arc::clone(&this), Arc::clone(control));
        let thread = std::thread::Builder::new().name("routes".into());
        let run = move || routes.run(program, &control, &ranges, &nodes);
        thread.spawn(run).map_err(|source| Error::system("start the Services' thread", source))?;
        Ok(this)
    }

    fn run(&self, mut program: ServiceProgram, control: &Control, ranges: &[Subnet], nodes: &[Ipv4Addr]) {
        let mut last = ServiceTable::default();
        loop {
            let entries = control.world(entries);
            let endpoints = entries.iter().flat_map(|entry| entry.endpoints.iter().map(|(ip, _)| *ip)).collect();
            let (table, _refused) = ServiceTable::build(entries, ranges, nodes);
            if table != last {
                match program.apply(&table) {
                    Ok(_) => last = table,
                    // The rules are the old ones; the next change tries again, and the log says so.
                    Err(error) => eprintln!("mini-cluster: the Services' rules: {}", crate::error::chain(&error)),
                }
            }
            let mut known = self.lock();
            known.endpoints = endpoints;
            self.changed.notify_all();
            while !known.rung {
                known = self.changed.wait(known).unwrap_or_else(PoisonError::into_inner);
            }
            known.rung = false;
        }
    }

    /// Waits until no rule leads to a pod's address, at most so long.
    pub(crate) fn wait_withdrawn(&self, address: &str, limit: Duration) {
        let Ok(address) = address.parse::<Ipv4Addr>() else { return };
        let known = self.lock();
        let _unused = self.changed.wait_timeout_while(known, limit, |known| known.endpoints.contains(&address));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The neutral table in the rules' own words. Node ports are left out: every node lives in one namespace here.
fn entries(world: &World) -> Vec<ServiceEntry> {
    let table = orchestrate_core::net::services(world, None);
    let entries = table.entries.into_iter().filter_map(|entry| {
        let (vip, port) = entry.frontend.address()?;
        let protocol = match entry.protocol {
            orchestrate_core::objects::Protocol::Tcp => Protocol::Tcp,
            orchestrate_core::objects::Protocol::Udp => Protocol::Udp,
            orchestrate_core::objects::Protocol::Sctp => return None,
        };
        Some(ServiceEntry { vip, port, protocol, endpoints: entry.endpoints })
    });
    entries.collect()
}
