//! The pieces together: where the state is, which store holds the images, how a supervisor is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use container_core::supervisor::{ContainerDir, Definition, Operator, State, StateRoot};
use container_network::{Network, NetworkConfig};
use image_store::Store;

use crate::details::Details;
use crate::error::{Error, Result};
use crate::flags::mounts::Source;
use crate::volumes;

/// One state root and everything needed to work on it.
pub struct Engine {
    root: PathBuf,
    state: StateRoot,
    store: Store,
    supervisor: Box<dyn Fn(&str) -> Command + Send + Sync>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A container as commands see it.
#[derive(Debug)]
pub struct Seen {
    /// Its folder.
    pub dir: ContainerDir,
    /// What it is.
    pub definition: Definition,
    /// What mini-docker knows about it.
    pub details: Details,
    /// How it is.
    pub state: State,
}

impl Engine {
    /// Opens the engine at `root`, or at the user's own place. Supervisors are this program, started again.
    ///
    /// # Errors
    /// `Runtime` or `Image` when the folders cannot be made.
    pub fn open(root: Option<PathBuf>) -> Result<Self> {
        let state = StateRoot::open(&root.map_or_else(default_root, Ok)?)?;
        let root = state.path().to_path_buf();
        let store = Store::open(root.join("images"))?;
        let for_supervisor = root.clone();
        let supervisor = move |id: &str| {
            let mut command = Command::new("/proc/self/exe");
            command.arg("--root").arg(&for_supervisor).args(["supervise", id]).current_dir("/");
            command
        };
        Ok(Self { root, state, store, supervisor: Box::new(supervisor) })
    }

    /// Starts supervisors by another command: a program that embeds this library has another way to lead there.
    #[must_use]
    pub fn with_supervisor(mut self, command: impl Fn(&str) -> Command + Send + Sync + 'static) -> Self {
        self.supervisor = Box::new(command);
        self
    }

    /// The folder of all state.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The containers.
    #[must_use]
    pub fn state(&self) -> &StateRoot {
        &self.state
    }

    /// The images.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What changes containers.
    #[must_use]
    pub fn operator(&self) -> Operator<'_> {
        Operator::new(&self.state, &*self.supervisor)
    }

    /// The bridge network of this root.
    ///
    /// # Errors
    /// `Network`.
    pub fn network(&self) -> Result<Network> {
        Ok(Network::ensure(&NetworkConfig::new(self.bridge_name(), self.root.join("network")))?)
    }

    /// One bridge per state root, so that two of them do not meet.
    #[must_use]
    pub fn bridge_name(&self) -> String {
        if self.root == Path::new("/var/lib/mini-docker") {
            return "mini0".to_owned();
        }
        let mut hash: u32 = 0x811c_9dc5;
        for byte in self.root.as_os_str().as_encoded_bytes() {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
        format!("mini{hash:08x}")
    }

    /// Finds a container and sees how it is.
    ///
    /// # Errors
    /// `Runtime`.
    pub fn see(&self, reference: &str) -> Result<Seen> {
        let dir = self.state.find(reference)?;
        let state = self.operator().settle(&dir)?;
        let definition = dir.definition()?;
        let details = Details::of(&definition, &dir)?;
        Ok(Seen { dir, definition, details, state })
    }

    /// Removes a container and lets go of its image; with `volumes`, its own volumes go too.
    ///
    /// # Errors
    /// `Runtime` when it runs and `force` is not given, or when it is unknown.
    pub fn remove(&self, dir: &ContainerDir, force: bool, volumes: bool) -> Result<()> {
        let id = dir.id().to_owned();
        let definition = dir.definition()?;
        self.operator().remove(dir, force)?;
        // Outside of an ordinary user's namespace there is nothing to free: that goes with its last member.
        if self.root.join("network").exists() && !crate::outer::is_rootless() {
            self.free_places(&self.network()?, &id)?;
        }
        self.store.release(&id)?;
        if volumes { self.remove_own_volumes(&definition, dir) } else { Ok(()) }
    }

    /// Removes the volumes that were made for one container only.
    ///
    /// # Errors
    /// `Io`.
    pub fn remove_own_volumes(&self, definition: &Definition, dir: &ContainerDir) -> Result<()> {
        let folder = volumes::folder(&self.root);
        for mount in Details::of(definition, dir)?.mounts {
            if let (Source::Volume(name), true) = (&mount.source, mount.anonymous) {
                volumes::remove(&folder, name)?;
            }
        }
        Ok(())
    }

    /// Gives back the addresses of containers that do not run, `id` among them: a reboot or a killed supervisor left
    /// them.
    ///
    /// # Errors
    /// `Network`.
    pub fn free_places(&self, network: &Network, id: &str) -> Result<()> {
        let runs = |other: &str| {
            let dir = self.state.container(other);
            let active = || dir.state().is_ok_and(|state| state.status.is_active());
            other != id && (dir.is_supervised().unwrap_or(true) || active())
        };
        if network.leases()?.iter().any(|lease| !runs(&lease.id)) {
            network.repair(runs)?;
        }
        Ok(())
    }

    /// Lets go of images whose containers are gone: a removal was killed between the two.
    ///
    /// # Errors
    /// `Image`.
    pub fn release_stale_holds(&self) -> Result<()> {
        for (owner, _) in self.store.holds()? {
            if container_core::supervisor::is_id(&owner) && !self.state.container(&owner).exists() {
                self.store.release(&owner)?;
            }
        }
        Ok(())
    }

    /// All containers, the newest first. One that vanishes meanwhile is left out.
    ///
    /// # Errors
    /// `Runtime`.
    pub fn see_all(&self) -> Result<Vec<Seen>> {
        // What cannot be tidied up now is left to the next command; the list is right without it.
        let _ = self.state.tidy();
        let _ = self.release_stale_holds();
        let mut all = Vec::new();
        for id in self.state.ids()? {
            match self.see(&id) {
                Err(_) if !self.state.container(&id).exists() => {}
                seen => all.push(seen?),
            }
        }
        all.sort_by_key(|seen| std::cmp::Reverse(seen.definition.created));
        Ok(all)
    }
}

/// Where a user's containers are when nobody says otherwise.
///
/// # Errors
/// `Usage` when an ordinary user has no home.
pub(crate) fn default_root() -> Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/mini-docker"));
    }
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let base = base.or_else(home).ok_or_else(|| Error::usage("no --root given, and HOME is not set"))?;
    Ok(base.join("mini-docker"))
}
