//! [`Network`]: attach, detach, repair. See the module above for the order of steps.

use super::config::usual_ranges;
use super::state::{Lease, State, StateFile};
use super::{NetworkConfig, converge};
use crate::netlink::{Links, RouteKind, RouteSpec, Veth};
use crate::publish::{PortMapping, PublishMode};
use crate::sysctl;
use crate::{Error, Namespace, Result, Subnet};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

/// The name of a container's own end of its link.
const INSIDE: &str = "eth0";

/// A container that wants a place in the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The container's id, unique in the network.
    pub id: String,
    /// The name that others know it by.
    pub hostname: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// Ports to publish; reserve them first (`publish::Reservation`).
    pub ports: Vec<PortMapping>,
}

/// The place that a container got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: Ipv4Addr,
    /// The length of the network's prefix.
    pub prefix: u8,
    /// The bridge's address, which is its default route.
    pub gateway: Ipv4Addr,
    /// Its hardware address, made from the address as Docker's.
    pub mac: [u8; 6],
    /// The name of the link inside the container.
    pub interface: String,
    /// The name of the link's near end.
    pub host_interface: String,
    /// How its ports are reached: by rules, or only through the proxy and why.
    pub publish: PublishMode,
}

/// A bridge network. Holds no kernel object: all its state is in the lease file and the kernel.
#[derive(Debug, Clone)]
pub struct Network {
    config: NetworkConfig,
}

impl Network {
    /// Opens the network and heals what a killed process may have left. Makes nothing before the first container.
    ///
    /// # Errors
    /// `Invalid` for a bad name or range, `Io` and `Corrupt` for the state directory, `Kernel` when healing fails.
    pub fn ensure(config: &NetworkConfig) -> Result<Self> {
        config.check()?;
        let network = Self { config: config.clone() };
        let file = StateFile::lock(config)?;
        if let Some(state) = file.load()? {
            converge::converge(config, &file, Some(&state.clone()), state)?;
        }
        Ok(network)
    }

    /// Gives a container its link, address, route and published ports.
    ///
    /// # Errors
    /// `AlreadyAttached`, `AddressesExhausted`, `SubnetTaken`, `LinkTaken`, `Kernel`; nothing of it remains then.
    pub fn attach(&self, inside: &Namespace, attachment: &Attachment) -> Result<Endpoint> {
        let file = StateFile::lock(&self.config)?;
        let mut state = match file.load()? {
            Some(state) => state,
            None => State::new(self.choose_subnet()?)?,
        };
        let lease = self.lease(&state, attachment)?;
        let known = state.clone();
        state.leases.push(lease.clone());
        file.store(&state)?;
        // What converging adds to the state (forwarding) does not matter below.
        let before = state.clone();
        let attached = converge::converge(&self.config, &file, Some(&known), state)
            .and_then(|mode| self.connect(&before, &lease, inside).map(|()| self.endpoint(&before, &lease, mode)));
        if attached.is_err() {
            // The first failure is the one to tell; what this cannot undo, the next operation heals.
            let _ = self.forget(&file, &attachment.id);
        }
        attached
    }

    /// Takes a container out; unknown ids are fine. With the last one everything goes: links, rules, forwarding, file.
    ///
    /// # Errors
    /// `Io`, `Corrupt` and `Kernel`.
    pub fn detach(&self, id: &str) -> Result<()> {
        let file = StateFile::lock(&self.config)?;
        self.forget(&file, id)
    }

    /// Drops every lease whose container is not alive, makes the kernel match, and returns the dropped ids.
    ///
    /// # Errors
    /// `Io`, `Corrupt` and `Kernel`.
    pub fn repair(&self, alive: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let file = StateFile::lock(&self.config)?;
        let Some(mut state) = file.load()? else { return Ok(Vec::new()) };
        let (kept, dropped): (Vec<Lease>, Vec<Lease>) = state.leases.into_iter().partition(|lease| alive(&lease.id));
        state.leases = kept;
        file.store(&state)?;
        converge::converge(&self.config, &file, None, state)?;
        Ok(dropped.into_iter().map(|lease| lease.id).collect())
    }

    /// Who is in the network, in the order of arrival.
    ///
    /// # Errors
    /// `Io` and `Corrupt`.
    pub fn leases(&self) -> Result<Vec<Lease>> {
        let file = StateFile::lock(&self.config)?;
        Ok(file.load()?.map(|state| state.leases).unwrap_or_default())
    }

    /// The network's range, once the first container has fixed it.
    ///
    /// # Errors
    /// `Io` and `Corrupt`.
    pub fn subnet(&self) -> Result<Option<Subnet>> {
        let file = StateFile::lock(&self.config)?;
        Ok(file.load()?.map(|state| state.subnet).or(self.config.subnet))
    }

    fn forget(&self, file: &StateFile, id: &str) -> Result<()> {
        let Some(mut state) = file.load()? else { return Ok(()) };
        let address = state.leases.iter().find(|lease| lease.id == id).map(|lease| lease.address);
        let known = state.clone();
        state.leases.retain(|lease| lease.id != id);
        file.store(&state)?;
        converge::converge(&self.config, file, Some(&known), state)?;
        // The address's next owner gets no packets that were meant for this one.
        address.map_or(Ok(()), |address| crate::service::forget_connections(address).map(drop))
    }

    fn lease(&self, state: &State, attachment: &Attachment) -> Result<Lease> {
        if state.leases.iter().any(|lease| lease.id == attachment.id) {
            return Err(Error::AlreadyAttached { network: self.config.name.clone(), id: attachment.id.clone() });
        }
        let address = state.free_address().ok_or_else(|| Error::AddressesExhausted {
            network: self.config.name.clone(),
            subnet: state.subnet.to_string(),
        })?;
        Ok(Lease {
            id: attachment.id.clone(),
            address,
            host_interface: host_interface(&self.config.name, address),
            hostname: attachment.hostname.clone(),
            aliases: attachment.aliases.clone(),
            ports: attachment.ports.clone(),
        })
    }

    /// Makes the link and sets up its far end.
    fn connect(&self, state: &State, lease: &Lease, inside: &Namespace) -> Result<()> {
        let mut links = Links::open()?;
        let bridge = links.index(&self.config.name)?;
        // A link of that name can only be the rest of a container that died before its namespace did.
        links.delete(&lease.host_interface)?;
        links.add_veth(&Veth {
            name: &lease.host_interface,
            mac: None,
            peer_name: INSIDE,
            peer_namespace: inside.as_fd(),
            peer_mac: Some(mac(lease.address)),
            mtu: self.config.mtu,
            master: Some(bridge),
        })?;
        links.set_hairpin(&lease.host_interface)?;
        sysctl::silence_ipv6(&lease.host_interface)?;
        links.up(&lease.host_interface)?;
        inside.run(|| {
            // Before the link is up, so that no router advertisement of a neighbour is ever believed.
            sysctl::silence_ipv6(INSIDE)?;
            let mut links = Links::open()?;
            let link = links.index(INSIDE)?;
            links.add_address(link, lease.address, state.subnet.prefix())?;
            links.up(INSIDE)?;
            let gateway = RouteKind::Via(state.gateway());
            links.add_route(&RouteSpec { to: Subnet::everything(), link, kind: gateway, source: None })?;
            links.wait_for_carrier(INSIDE)
        })??;
        // In this order: the port's carrier is what gives the bridge its own.
        links.wait_for_carrier(&lease.host_interface)?;
        links.wait_for_carrier(&self.config.name)
    }

    fn endpoint(&self, state: &State, lease: &Lease, publish: PublishMode) -> Endpoint {
        Endpoint {
            address: lease.address,
            prefix: state.subnet.prefix(),
            gateway: state.gateway(),
            mac: mac(lease.address),
            interface: INSIDE.to_owned(),
            host_interface: lease.host_interface.clone(),
            publish,
        }
    }

    /// The configured range, or the first usual one; never one that this machine uses already.
    fn choose_subnet(&self) -> Result<Subnet> {
        let mut links = Links::open()?;
        let mut used = links.routed()?;
        for (_, address, prefix) in links.addresses()? {
            used.push(Subnet::new(address, prefix)?);
        }
        let blocked = |subnet: Subnet| used.iter().find(|other| subnet.overlaps(**other));
        match self.config.subnet {
            Some(subnet) => match blocked(subnet) {
                Some(other) => Err(Error::SubnetTaken { subnet: subnet.to_string(), other: other.to_string() }),
                None => Ok(subnet),
            },
            None => usual_ranges().find(|subnet| blocked(*subnet).is_none()).ok_or_else(|| Error::SubnetTaken {
                subnet: "every usual range".to_owned(),
                other: "ranges in use".to_owned(),
            }),
        }
    }
}

/// Docker's scheme: 02:42 and the address, so that an address that comes back does so under the same hardware address.
pub(super) fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// One name per network and address: two live leases never share it.
fn host_interface(network: &str, address: Ipv4Addr) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in network.bytes().chain(address.octets()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    format!("veth{hash:08x}")
}
