//! The lease file: who has which address, written whole under a lock.
//!
//! Leases of an earlier boot or of another network namespace describe nothing that exists, and are dropped on reading.
//! Choosing an address is pure.

use super::NetworkConfig;
use crate::publish::PortMapping;
use crate::{Error, Result, Subnet};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// One container's place in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The container.
    pub id: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The near end of its link.
    pub host_interface: String,
    /// The name it has for others.
    pub hostname: String,
    /// Further names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its published ports.
    #[serde(default)]
    pub ports: Vec<PortMapping>,
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// Boot and network namespace that the leases live in.
    home: String,
    pub(super) subnet: Subnet,
    pub(super) leases: Vec<Lease>,
    /// Interfaces on which forwarding was off before this network switched it on.
    #[serde(default)]
    pub(super) switched: Vec<String>,
    /// A fingerprint of the rules that the kernel was given last.
    #[serde(default)]
    pub(super) applied: Option<u64>,
}

impl State {
    pub(super) fn new(subnet: Subnet) -> Result<Self> {
        Ok(Self { version: VERSION, home: home()?, subnet, leases: Vec::new(), switched: Vec::new(), applied: None })
    }

    /// The bridge's own address: the first of the range.
    pub(super) fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.subnet.network().to_bits() + 1)
    }

    /// The lowest address that nobody has.
    pub(super) fn free_address(&self) -> Option<Ipv4Addr> {
        let mut taken: Vec<Ipv4Addr> = self.leases.iter().map(|lease| lease.address).collect();
        taken.push(self.gateway());
        taken.sort_unstable();
        self.subnet.hosts().find(|address| taken.binary_search(address).is_err())
    }
}

/// The locked file of one network. Dropping it lets the lock go.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    _lock: File,
}

impl StateFile {
    /// Waits for the lock.
    pub(super) fn lock(config: &NetworkConfig) -> Result<Self> {
        let dir = &config.state_dir;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::io("make directory", dir))?;
        let lock_path = dir.join(format!("{}.lock", config.name));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(Error::io("open", &lock_path))?;
        lock.lock().map_err(Error::io("lock", &lock_path))?;
        let file = Self { path: dir.join(format!("{}.json", config.name)), _lock: lock };
        // Under the lock nobody is writing one: a writer was killed.
        remove_if_there(&file.temporary())?;
        Ok(file)
    }

    /// Reads what is there and still true.
    pub(super) fn load(&self) -> Result<Option<State>> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &self.path)(error)),
        };
        let corrupt = |source| Error::Corrupt { path: self.path.clone(), source };
        let mut state: State = serde_json::from_slice(&text).map_err(corrupt)?;
        let home = home()?;
        if state.home != home {
            state = State { home, subnet: state.subnet, ..State::new(state.subnet)? };
        }
        Ok(Some(state))
    }

    /// Replaces the file. Not synced: after a power cut every lease is void anyway.
    pub(super) fn store(&self, state: &State) -> Result<()> {
        let temporary = self.temporary();
        let text = serde_json::to_vec_pretty(state).expect("a state holds only strings and numbers");
        let write = || {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
            file.write_all(&text)?;
            std::fs::rename(&temporary, &self.path)
        };
        write().map_err(Error::io("write", &self.path))
    }

    fn temporary(&self) -> PathBuf {
        self.path.with_extension("json.new")
    }

    /// Removes the file; the lock's file stays, because another process may be waiting on it.
    pub(super) fn remove(&self) -> Result<()> {
        remove_if_there(&self.path)
    }

    /// Marks the bridge as this state directory's. By inode: a path may be long, or lead there in two ways.
    pub(super) fn mark(&self) -> Result<String> {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        let found = std::fs::metadata(dir).map_err(Error::io("look at", dir))?;
        Ok(format!("container-network {}:{}", found.dev(), found.ino()))
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Names the boot and the network namespace that the calling thread lives in.
fn home() -> Result<String> {
    let boot_path = "/proc/sys/kernel/random/boot_id";
    let boot = std::fs::read_to_string(boot_path).map_err(Error::io("read", boot_path))?;
    let namespace_path = "/proc/thread-self/ns/net";
    let namespace = std::fs::metadata(namespace_path).map_err(Error::io("look at", namespace_path))?;
    Ok(format!("{}:{}", boot.trim(), namespace.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lease(address: Ipv4Addr) -> Lease {
        Lease {
            id: address.to_string(),
            address,
            host_interface: String::new(),
            hostname: String::new(),
            aliases: Vec::new(),
            ports: Vec::new(),
        }
    }

    proptest! {
        /// Whatever comes and goes: no address twice, none outside, never the gateway's, and none missed when full.
        #[test]
        fn addresses_are_unique_and_complete(moves in proptest::collection::vec((any::<bool>(), 0_usize..16), 0..60)) {
            let mut state = State::new("10.9.8.16/28".parse().unwrap()).unwrap();
            for (join, index) in moves {
                if join {
                    match state.free_address() {
                        Some(address) => {
                            prop_assert!(state.subnet.contains(address) && address != state.gateway());
                            prop_assert!(state.leases.iter().all(|lease| lease.address != address));
                            state.leases.push(lease(address));
                        }
                        None => prop_assert_eq!(state.leases.len(), 13),
                    }
                } else if index < state.leases.len() {
                    state.leases.swap_remove(index);
                }
            }
        }
    }

    #[test]
    fn a_file_from_another_boot_has_no_leases() {
        let dir = tempfile::tempdir().unwrap();
        let config = NetworkConfig::new("x", dir.path());
        let file = StateFile::lock(&config).unwrap();
        let mut state = State::new("10.9.8.0/24".parse().unwrap()).unwrap();
        state.leases.push(lease(Ipv4Addr::new(10, 9, 8, 2)));
        file.store(&state).unwrap();
        assert_eq!(file.load().unwrap(), Some(state.clone()));
        state.home = "another".to_owned();
        file.store(&state).unwrap();
        assert_eq!(file.load().unwrap().unwrap().leases, []);
        std::fs::write(dir.path().join("x.json"), "{").unwrap();
        assert!(matches!(file.load(), Err(Error::Corrupt { .. })));
    }
}
