//! [`ServiceProgram`]: keeps one network namespace's rules equal to the last table it was given.

use super::conntrack::forget_datagrams;
use super::plan;
use super::{ServiceTable, plan::difference};
use crate::netlink::{Family, Links, RouteKind, RouteSpec, Socket};
use crate::nft::{Command, Session};
use crate::{Error, Result, Subnet};
use nix::errno::Errno;
use std::net::Ipv4Addr;

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balance {
    /// By chance: no pattern of two clients can starve an endpoint.
    #[default]
    Random,
    /// In turns, shared by all Services with the same number of endpoints.
    RoundRobin,
}

/// Where Services live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The name of the rule table.
    pub table: String,
    /// The ranges of the Services' addresses, load balancers' included. All of them lead to this namespace: what no
    /// Service has is refused.
    pub ranges: Vec<Subnet>,
    /// The address that the namespace's own processes connect from.
    pub node: Option<Ipv4Addr>,
    /// How an endpoint is chosen.
    pub balance: Balance,
}

impl ServiceConfig {
    /// Services in these ranges, with the usual name and balance.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = Subnet>) -> Self {
        let table = "container-network-services".to_owned();
        Self { table, ranges: ranges.into_iter().collect(), node: None, balance: Balance::default() }
    }

    /// Names the address that the namespace's own processes connect from.
    #[must_use]
    pub fn node(mut self, address: Ipv4Addr) -> Self {
        self.node = Some(address);
        self
    }
}

/// What an [`ServiceProgram::apply`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Map elements that came or went.
    pub elements: usize,
    /// The whole table was written again, because somebody else had changed the rules.
    pub rebuilt: bool,
    /// Tracked datagram connections that were forgotten.
    pub forgotten: usize,
}

/// The rules of one network namespace. Dropping it leaves them in force; [`ServiceProgram::remove`] takes them away.
#[derive(Debug)]
pub struct ServiceProgram {
    config: ServiceConfig,
    session: Session,
    connections: Socket,
    links: Links,
    /// What the kernel has, and the generation of its rules then. `None` after a failure: nobody knows.
    last: Option<(ServiceTable, u32)>,
}

impl ServiceProgram {
    /// Takes over the calling thread's network namespace: an empty table in place of whatever is there, and local
    /// routes, so that the namespace's own processes can connect to the ranges as well.
    ///
    /// # Errors
    /// `Kernel` when it may not.
    pub fn open(config: ServiceConfig) -> Result<Self> {
        let mut program = Self {
            config,
            session: Session::open()?,
            connections: Socket::open(Family::Netfilter)?,
            links: Links::open()?,
            last: None,
        };
        for route in program.routes()? {
            program.links.add_route(&route)?;
        }
        program.apply(&ServiceTable::default())?;
        Ok(program)
    }

    /// Makes the rules match the table, by one batch that holds only what has changed, and forgets datagram
    /// connections to endpoints that have gone.
    ///
    /// # Errors
    /// `Kernel`; the rules are then the old ones, and the next call writes everything again.
    pub fn apply(&mut self, table: &ServiceTable) -> Result<Applied> {
        let (old, generation) = self.last.take().unzip();
        let untouched = generation.is_some_and(|last| self.session.generation().is_ok_and(|now| now == last));
        let changes = old.as_ref().filter(|_| untouched).map(|old| difference(&self.config, old, table));
        let (applied, rebuilt) = match changes {
            Some(commands) => match self.session.apply(&commands) {
                Ok(()) => (commands, false),
                Err(Error::Kernel { source: Errno::ENOENT | Errno::EEXIST | Errno::EBUSY, .. }) => {
                    self.rebuild(table)?
                }
                Err(error) => return Err(error),
            },
            None => self.rebuild(table)?,
        };
        let lost = old.map(|old| plan::lost_datagram_endpoints(&old, table)).unwrap_or_default();
        let forgotten = forget_datagrams(&mut self.connections, &lost)?;
        self.last = Some((table.clone(), self.session.generation()?));
        Ok(Applied { elements: applied.iter().map(elements).sum(), rebuilt, forgotten })
    }

    /// Takes the rules and routes away.
    ///
    /// # Errors
    /// `Kernel` when it may not.
    pub fn remove(mut self) -> Result<()> {
        self.session.apply(&plan::removal(&self.config))?;
        for route in self.routes()? {
            self.links.delete_route(&route)?;
        }
        Ok(())
    }

    fn rebuild(&mut self, table: &ServiceTable) -> Result<(Vec<Command>, bool)> {
        let commands = plan::full(&self.config, table);
        self.session.apply(&commands)?;
        Ok((commands, true))
    }

    /// The ranges are this machine's as far as routing goes: a connection of a process here needs a route before the
    /// rules see it, and what the rules do not know ends here instead of leaving by a default route.
    fn routes(&mut self) -> Result<Vec<RouteSpec>> {
        let link = self.links.index("lo")?;
        let route = |to: &Subnet| RouteSpec { to: *to, link, kind: RouteKind::Local, source: self.config.node };
        Ok(self.config.ranges.iter().map(route).collect())
    }
}

fn elements(command: &Command) -> usize {
    match command {
        Command::AddElements { elements, .. } | Command::DeleteElements { elements, .. } => elements.len(),
        _ => 0,
    }
}
