//! The state root: one folder per container, one folder of names, and their locks.
//!
//! ```text
//! ROOT/                      0700
//!   names.lock               lock of names: create, rename, remove
//!   names/NAME               the id of the container called NAME
//!   containers/ID/           appears by one rename, complete; vanishes by one rename
//!     definition.json        synced       what it is
//!     exit.json              synced       how it last ended
//!     state.json             lazy         how it runs now, under which boot
//!     lock                   lock of one container: changes of its run state from outside
//!     supervisor.lock        held by its supervisor as long as that lives
//!     control.sock           the supervisor's socket
//!     log/                   the log files
//!     stdout.fifo, stderr.fifo, stdin.fifo
//!   trash/                   folders on their way out
//! ```
//!
//! **Order of locks**: a container's `lock`, then either names or whatever the embedding program
//! locks (addresses, rules), never both. `supervisor.lock` is only tried: a command that holds the
//! container's `lock` starts a supervisor, and that one takes its mark. No lock is held across a
//! pull, a wait or a hook.
//!
//! **Order of steps.** Create: claim the name, write the folder under `trash/`, rename it into
//! `containers/`. A crash before the rename leaves a name that counts as free and a folder in the
//! trash. Remove: rename the folder into the trash, free the name, delete the folder. A crash
//! leaves the same. Whoever comes next empties the trash, so nothing stays.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::{Error, Result, io_at};
use super::files::{Durability, Lock, read_json, sync_dir, write_json};
use super::id;
use super::names::{self, Names};
use super::state::{Definition, Exit, State, Status};

/// The folder that holds everything about containers.
#[derive(Debug, Clone)]
pub struct StateRoot {
    path: PathBuf,
    boot_id: String,
}

impl StateRoot {
    /// Opens the root at `path`, making what is missing, readable by its owner only.
    ///
    /// # Errors
    /// `Io` when the folders cannot be made.
    pub fn open(path: &Path) -> Result<Self> {
        for dir in [path.to_path_buf(), path.join("containers"), path.join("names"), path.join("trash")] {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io_at("create", &dir))?;
        }
        let boot = Path::new("/proc/sys/kernel/random/boot_id");
        let boot_id = fs::read_to_string(boot).map_err(io_at("read", boot))?.trim().to_owned();
        let path = path.canonicalize().map_err(io_at("resolve", path))?;
        Ok(Self { path, boot_id })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity of this boot of the machine.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    fn names(&self) -> Names {
        Names::at(self.path.join("names"))
    }

    fn lock_names(&self) -> Result<Lock> {
        Lock::wait(&self.path.join("names.lock"))
    }

    /// The folder of the container `id`, whether it exists or not.
    #[must_use]
    pub fn container(&self, id: &str) -> ContainerDir {
        ContainerDir { path: self.path.join("containers").join(id), boot_id: self.boot_id.clone() }
    }

    /// All containers, in the order of their ids.
    ///
    /// # Errors
    /// `Io` when the folder cannot be read.
    pub fn ids(&self) -> Result<Vec<String>> {
        let dir = self.path.join("containers");
        let mut ids = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io_at("list", &dir))? {
            let name = entry.map_err(io_at("list", &dir))?.file_name();
            ids.extend(name.into_string().ok().filter(|name| id::is_id(name)));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Finds a container by whole id, name (with or without a leading slash) or short id.
    ///
    /// # Errors
    /// `NoSuchContainer`, `Ambiguous`, or `Io`.
    pub fn find(&self, reference: &str) -> Result<ContainerDir> {
        if id::is_id(reference) && self.container(reference).exists() {
            return Ok(self.container(reference));
        }
        if let Some(id) = self.owner(reference.strip_prefix('/').unwrap_or(reference))? {
            return Ok(self.container(&id));
        }
        let missing = || Error::NoSuchContainer { reference: reference.to_owned() };
        if !id::is_prefix(reference) {
            return Err(missing());
        }
        let mut matching = self.ids()?.into_iter().filter(|id| id.starts_with(reference));
        match (matching.next(), matching.next()) {
            (Some(id), None) => Ok(self.container(&id)),
            (None, _) => Err(missing()),
            (Some(_), Some(_)) => Err(Error::AmbiguousContainer { reference: reference.to_owned() }),
        }
    }

    /// The id of the existing container called `name`.
    fn owner(&self, name: &str) -> Result<Option<String>> {
        let Some(id) = self.names().get(name)? else { return Ok(None) };
        let owns = self.container(&id).definition().is_ok_and(|definition| definition.name == name);
        Ok(owns.then_some(id))
    }

    fn require_free(&self, name: &str) -> Result<()> {
        names::check(name)?;
        match self.owner(name)? {
            Some(by) => Err(Error::NameInUse { name: name.to_owned(), by }),
            None => Ok(()),
        }
    }

    /// Makes a container's folder. An empty name is replaced by a made-up one.
    ///
    /// # Errors
    /// `NameInUse`, `BadName`, or `Io`; nothing is left behind then.
    pub fn create(&self, definition: &mut Definition) -> Result<ContainerDir> {
        let _lock = self.lock_names()?;
        // What cannot be deleted now is tried again by whoever comes next.
        let _ = self.empty_trash();
        if definition.name.is_empty() {
            definition.name = self.free_made_up_name()?;
        }
        self.require_free(&definition.name)?;
        let fresh = self.path.join("trash").join(&definition.id);
        let container = self.container(&definition.id);
        let made = self.names().claim(&definition.name, &definition.id).and_then(|()| {
            DirBuilder::new().mode(0o700).create(&fresh).map_err(io_at("create", &fresh))?;
            write_json(&fresh.join(DEFINITION), definition, Durability::Synced)?;
            write_json(&fresh.join(STATE), &State::created(self.boot_id.clone()), Durability::Lazy)?;
            fs::rename(&fresh, &container.path).map_err(io_at("create", &container.path))?;
            sync_dir(&self.path.join("containers"))
        });
        if made.is_err() {
            // Best effort: the error counts, and what stays in the trash is emptied by the next command.
            let _ = self.names().free(&definition.name, &definition.id);
            let _ = fs::remove_dir_all(&fresh);
        }
        made.map(|()| container)
    }

    fn free_made_up_name(&self) -> Result<String> {
        for attempt in 0..100 {
            let name = names::made_up(attempt)?;
            if self.owner(&name)?.is_none() {
                return Ok(name);
            }
        }
        id::new_id().map(|id| id[..12].to_owned())
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// `NameInUse`, `BadName`, or `Io`; the old name is kept then.
    pub fn rename(&self, container: &ContainerDir, name: &str) -> Result<()> {
        let _lock = self.lock_names()?;
        let mut definition = container.definition()?;
        self.require_free(name)?;
        self.names().claim(name, &definition.id)?;
        let old = std::mem::replace(&mut definition.name, name.to_owned());
        write_json(&container.path.join(DEFINITION), &definition, Durability::Synced)?;
        self.names().free(&old, &definition.id)
    }

    /// Removes a container's folder and frees its name. Its processes and mounts are gone already.
    ///
    /// # Errors
    /// `Io`; a repeated call finishes the work.
    pub fn remove(&self, container: &ContainerDir) -> Result<()> {
        let _lock = self.lock_names()?;
        let definition = container.definition()?;
        let gone = self.path.join("trash").join(&definition.id);
        fs::rename(&container.path, &gone).map_err(io_at("remove", &container.path))?;
        self.names().free(&definition.name, &definition.id)?;
        fs::remove_dir_all(&gone).map_err(io_at("remove", &gone))
    }

    /// Deletes what a killed `create` or `remove` left. The caller holds the lock of names.
    fn empty_trash(&self) -> Result<()> {
        let trash = self.path.join("trash");
        for entry in fs::read_dir(&trash).map_err(io_at("list", &trash))? {
            let path = entry.map_err(io_at("list", &trash))?.path();
            fs::remove_dir_all(&path).map_err(io_at("remove", &path))?;
        }
        Ok(())
    }

    /// Deletes what a killed `create`, `rename` or `remove` left.
    ///
    /// # Errors
    /// `Io` when something cannot be deleted.
    pub fn tidy(&self) -> Result<()> {
        let count = |name: &str| {
            let dir = self.path.join(name);
            fs::read_dir(&dir).map(Iterator::count).map_err(io_at("list", &dir))
        };
        if count("trash")? == 0 && count("names")? == count("containers")? {
            return Ok(());
        }
        let _lock = self.lock_names()?;
        self.empty_trash()?;
        let names = self.path.join("names");
        for entry in fs::read_dir(&names).map_err(io_at("list", &names))? {
            let path = entry.map_err(io_at("list", &names))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if self.owner(name)?.is_none() {
                fs::remove_file(&path).map_err(io_at("remove", &path))?;
            }
        }
        Ok(())
    }
}

const DEFINITION: &str = "definition.json";
const STATE: &str = "state.json";
const EXIT: &str = "exit.json";

/// The folder of one container.
#[derive(Debug, Clone)]
pub struct ContainerDir {
    path: PathBuf,
    boot_id: String,
}

impl ContainerDir {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The container's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether the container exists.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.join(DEFINITION).exists()
    }

    /// Where the log files are.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The supervisor's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Reads what the container is.
    ///
    /// # Errors
    /// `NoSuchContainer`, `Corrupt`, or `Io`.
    pub fn definition(&self) -> Result<Definition> {
        read_json(&self.path.join(DEFINITION))?
            .ok_or_else(|| Error::NoSuchContainer { reference: self.id().to_owned() })
    }

    /// Reads how the container was when that was last written. After a reboot: how it last ended.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn state(&self) -> Result<State> {
        let state: Option<State> = read_json(&self.path.join(STATE))?;
        let exit: Option<Exit> = read_json(&self.path.join(EXIT))?;
        Ok(match (state, exit) {
            (Some(state), _) if state.boot_id == self.boot_id => state,
            (Some(state), exit) if state.status.is_active() => self.lost_in_reboot(&state, exit.as_ref()),
            (_, Some(exit)) => State::exited(self.boot_id.clone(), &exit),
            (_, None) => State::created(self.boot_id.clone()),
        })
    }

    /// A run that the reboot ended: nobody saw how.
    fn lost_in_reboot(&self, state: &State, exit: Option<&Exit>) -> State {
        let finished_at = exit.map_or(state.started_at, |exit| exit.finished_at.max(state.started_at));
        State {
            status: Status::Exited,
            boot_id: self.boot_id.clone(),
            pid: 0,
            exit_code: super::state::LOST,
            finished_at,
            record: serde_json::Value::Null,
            attachment: serde_json::Value::Null,
            ..state.clone()
        }
    }

    /// Writes how the container is. An end is also written to the file that survives a power cut, first.
    ///
    /// # Errors
    /// `Io`.
    pub fn write_state(&self, state: &State) -> Result<()> {
        if state.status == Status::Exited {
            write_json(&self.path.join(EXIT), &state.as_exit(), Durability::Synced)?;
        }
        write_json(&self.path.join(STATE), state, Durability::Lazy)
    }

    /// Writes only what a later boot has to know, while the container still runs: that it was stopped by hand.
    ///
    /// # Errors
    /// `Io`.
    pub fn write_intent(&self, state: &State) -> Result<()> {
        write_json(&self.path.join(EXIT), &state.as_exit(), Durability::Synced)?;
        write_json(&self.path.join(STATE), state, Durability::Lazy)
    }

    /// Waits for the container's lock.
    ///
    /// # Errors
    /// `Io`.
    pub fn lock(&self) -> Result<Lock> {
        Lock::wait(&self.path.join("lock"))
    }

    /// Takes the mark of the living supervisor, unless one lives.
    ///
    /// # Errors
    /// `Io`.
    pub fn become_supervisor(&self) -> Result<Option<Lock>> {
        Lock::try_now(&self.path.join("supervisor.lock"))
    }

    /// Tells whether a supervisor lives.
    ///
    /// # Errors
    /// `Io`.
    pub fn is_supervised(&self) -> Result<bool> {
        let path = self.path.join("supervisor.lock");
        match fs::metadata(&path) {
            Ok(_) => Ok(Lock::try_now(&path)?.is_none()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_at("read", &path)(error)),
        }
    }
}

#[cfg(test)]
mod tests;
