//! What this program adds to a supervised container: root from image-store, address and ports from container-network.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Mutex;

use container_core::supervisor::{ContainerDir, Definition, Embedding, Failure};
use container_core::{Container, Launch, NamespaceKind, Runtime};
use container_network::outer::OuterNamespace;
use container_network::{Attachment, Binder, LocalBinder, Namespace, PortMapping, PortProxy, Reservation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::details::{Details, NetworkMode};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::{files, launch};

/// What a running container has on the network, as it is kept in its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// The length of the network's prefix.
    #[serde(default)]
    pub prefix: u8,
    /// Its default route.
    pub gateway: Option<Ipv4Addr>,
    /// Its hardware address.
    #[serde(default)]
    pub mac: String,
    /// Its published ports, with real numbers.
    #[serde(default)]
    pub ports: Vec<PortMapping>,
    /// What is different from what one would expect, in one sentence.
    #[serde(default)]
    pub note: Option<String>,
}

impl Attached {
    /// Reads what `attach` returned.
    #[must_use]
    pub fn of(attachment: &Value) -> Self {
        serde_json::from_value(attachment.clone()).unwrap_or_default()
    }
}

/// The embedding of mini-docker.
#[derive(Debug)]
pub struct Wiring {
    engine: Engine,
    runtime: Runtime,
    /// Where an ordinary user's containers live.
    outer: Option<OuterNamespace>,
    /// The proxies of this supervisor's container.
    proxy: Mutex<Option<PortProxy>>,
}

impl Wiring {
    /// Wires the engine to a runtime of this machine.
    ///
    /// # Errors
    /// `Runtime` when the kernel lacks what containers need.
    pub fn new(engine: Engine, outer: Option<OuterNamespace>) -> Result<Self> {
        Ok(Self { engine, runtime: Runtime::new()?, outer, proxy: Mutex::new(None) })
    }

    /// Ports are bound where people look for them: outside.
    fn binder(&self) -> &dyn Binder {
        self.outer.as_ref().map_or(&LocalBinder, |outer| outer.broker() as &dyn Binder)
    }

    fn prepare(&self, definition: &Definition, dir: &ContainerDir) -> Result<Launch> {
        let details = Details::of(definition, dir)?;
        let store = self.engine.store();
        let image = store.resolve(&details.image_digest)?;
        let snapshot = store.unpack(&image)?;
        files::write(dir.path(), &details, None)?;
        launch::launch(definition, &details, dir, snapshot, &crate::volumes::folder(self.engine.root()))
    }

    fn attach(&self, definition: &Definition, dir: &ContainerDir, container: &Container) -> Result<Attached> {
        let details = Details::of(definition, dir)?;
        if details.network == NetworkMode::Host {
            return Ok(Attached::default());
        }
        let inside = Namespace::from(container.namespace(NamespaceKind::Network)?);
        inside.loopback_up()?;
        if details.network == NetworkMode::None {
            return Ok(Attached::default());
        }
        let reservation = Reservation::bind(self.binder(), &both_families(&details.publish))?;
        let ports = reservation.mappings();
        let network = self.engine.network()?;
        let attachment = Attachment {
            id: definition.id.clone(),
            hostname: details.hostname.clone(),
            aliases: vec![definition.name.clone()],
            ports: ports.clone(),
        };
        self.engine.free_places(&network, &definition.id)?;
        let endpoint = network.attach(&inside, &attachment)?;
        files::write(dir.path(), &details, Some((endpoint.address, endpoint.gateway)))?;
        self.hold_proxy(reservation, endpoint.address)?;
        Ok(Attached {
            address: Some(endpoint.address),
            prefix: endpoint.prefix,
            gateway: Some(endpoint.gateway),
            mac: endpoint.mac.map(|byte| format!("{byte:02x}")).join(":"),
            ports,
            note: None,
        })
    }

    fn hold_proxy(&self, reservation: Reservation, address: Ipv4Addr) -> Result<()> {
        if reservation.mappings().is_empty() {
            return Ok(());
        }
        let proxy = reservation.proxy(address)?;
        *self.lock_proxy() = Some(proxy);
        Ok(())
    }

    fn lock_proxy(&self) -> std::sync::MutexGuard<'_, Option<PortProxy>> {
        self.proxy.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn take_over(&self, attachment: &Value) -> Result<()> {
        let attached = Attached::of(attachment);
        let Some(address) = attached.address.filter(|_| !attached.ports.is_empty()) else { return Ok(()) };
        self.hold_proxy(Reservation::bind(self.binder(), &attached.ports)?, address)
    }

    fn detach(&self, definition: &Definition, dir: &ContainerDir) -> Result<()> {
        drop(self.lock_proxy().take());
        self.runtime.remove_cgroup_parent(launch::CGROUP_PARENT);
        let details = Details::of(definition, dir)?;
        if details.network == NetworkMode::Bridge {
            self.engine.network()?.detach(&definition.id)?;
        }
        let work = dir.path().join("fs/work");
        remove_if_there(&work)
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// A port published everywhere answers over IPv6 too.
fn both_families(publish: &[PortMapping]) -> Vec<PortMapping> {
    let mut all = Vec::new();
    for port in publish {
        all.push(*port);
        if port.host_ip == IpAddr::from(Ipv4Addr::UNSPECIFIED) {
            all.push(PortMapping { host_ip: IpAddr::from(Ipv6Addr::UNSPECIFIED), ..*port });
        }
    }
    all
}

#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn failure(error: Error) -> Failure {
    let code = error.program_code().map_or(125, i32::from);
    Failure { code, ..Failure::new(&error) }
}

impl Embedding for Wiring {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    fn prepare(&self, definition: &Definition, dir: &ContainerDir) -> Result<Launch, Failure> {
        Self::prepare(self, definition, dir).map_err(failure)
    }

    fn attach(&self, definition: &Definition, dir: &ContainerDir, container: &Container) -> Result<Value, Failure> {
        let attached = Self::attach(self, definition, dir, container).map_err(failure)?;
        serde_json::to_value(attached).map_err(|error| Failure::new(&error))
    }

    fn take_over(&self, _: &Definition, _: &ContainerDir, attachment: &Value) -> Result<(), Failure> {
        Self::take_over(self, attachment).map_err(failure)
    }

    fn detach(&self, definition: &Definition, dir: &ContainerDir, _: &Value) -> Result<(), Failure> {
        Self::detach(self, definition, dir).map_err(failure)
    }

    fn removed(&self, definition: &Definition) {
        // A hold that stays keeps an image a while longer: the next command sees that its container is gone. A volume
        // that stays is listed.
        let _ = self.engine.store().release(&definition.id);
        let dir = self.engine.state().container(&definition.id);
        let _ = self.engine.remove_own_volumes(definition, &dir);
    }
}
