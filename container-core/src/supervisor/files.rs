//! Files written whole: readers see the old content or the new one, never a part.
//!
//! Every file carries a format version; what a newer version wrote is refused by name instead of
//! being misread. What must survive a power cut is written with [`Durability::Synced`].

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{Error, Result, io_at};

/// The version that this code writes.
const FORMAT: u32 = 1;
/// No state file is larger; a larger one is not ours.
const LARGEST: u64 = 4 << 20;

/// Whether a write has to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// On the disk when the call returns.
    Synced,
    /// The kernel writes it when it likes: run state, which a reboot makes void anyway.
    Lazy,
}

#[derive(Serialize)]
struct Written<'a, T> {
    format: u32,
    #[serde(flatten)]
    value: &'a T,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Writes `value` as the new content of `path`.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, durability: Durability) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(&Written { format: FORMAT, value })
        .map_err(|error| Error::Corrupt { path: path.to_path_buf(), reason: error.to_string() })?;
    bytes.push(b'\n');
    write_whole(path, &bytes, durability)
}

/// Replaces `path` by `bytes`: a temporary file beside it, then a rename.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    // A leading dot: no container name begins with it, so a left-over is never taken for one.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = write_and_rename(&temporary, path, bytes, durability);
    if written.is_err() {
        // The error being returned matters more than a left-over that the next write of this process replaces.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary)
        .map_err(io_at("create", temporary))?;
    file.write_all(bytes).map_err(io_at("write", temporary))?;
    if durability == Durability::Synced {
        file.sync_all().map_err(io_at("sync", temporary))?;
    }
    fs::rename(temporary, path).map_err(io_at("replace", path))?;
    match (durability, path.parent()) {
        (Durability::Synced, Some(parent)) => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io_at("sync", path))
}

/// Reads what [`write_json`] wrote; nothing when there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(io_at("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(io_at("read", path))?;
    let corrupt = |reason: String| Error::Corrupt { path: path.to_path_buf(), reason };
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
    if head.format != FORMAT {
        return Err(corrupt(format!("format {} instead of {FORMAT}", head.format)));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| corrupt(error.to_string()))
}

/// A lock on a file, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Waits for the lock on `path`, whose file is made if need be.
    pub(crate) fn wait(path: &Path) -> Result<Self> {
        let file = open_lock(path)?;
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, errno)) => Err(io_at("lock", path)(errno.into())),
        }
    }

    /// Takes the lock on `path` when nobody holds it.
    pub(crate) fn try_now(path: &Path) -> Result<Option<Self>> {
        let file = open_lock(path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Some(Self { _file: file })),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(io_at("lock", path)(errno.into())),
        }
    }
}

fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io_at("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        name: String,
    }

    #[test]
    fn reads_what_it_wrote_and_refuses_another_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thing.json");
        assert_eq!(read_json::<Thing>(&path).unwrap(), None);
        write_json(&path, &Thing { name: "a".into() }, Durability::Synced).unwrap();
        write_json(&path, &Thing { name: "b".into() }, Durability::Lazy).unwrap();
        assert_eq!(read_json(&path).unwrap(), Some(Thing { name: "b".into() }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
        fs::write(&path, r#"{"format":99,"name":"c"}"#).unwrap();
        let error = read_json::<Thing>(&path).unwrap_err().to_string();
        assert!(error.ends_with("format 99 instead of 1"), "{error}");
        fs::write(&path, "{\"format\"").unwrap();
        assert!(read_json::<Thing>(&path).is_err());
    }

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::wait(&path).unwrap();
        assert!(Lock::try_now(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_now(&path).unwrap().is_some());
    }
}
