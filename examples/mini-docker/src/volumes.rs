//! Volumes: folders that outlive containers.
//!
//! A new volume is filled with what the image has at its place, as Docker does it. It is made beside its name and
//! renamed when complete, so that a killed command leaves either the whole volume or none.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use container_core::supervisor::new_id;

use crate::copy::{Kind, Ownership, Tree, pack, unpack};
use crate::error::{Error, Result};

/// Where the volumes of a state root are.
#[must_use]
pub fn folder(root: &Path) -> PathBuf {
    root.join("volumes")
}

/// Refuses what Docker refuses as a volume's name.
///
/// # Errors
/// One clause that names the rule.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 200 && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are \
         allowed. If you intended to pass a host directory, use absolute path"
    ))
}

/// Gives the data folder of a volume; one that is new is filled by `fill` first.
///
/// # Errors
/// `Io`, and whatever `fill` fails with.
pub fn ensure(folder: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let volume = folder.join(name);
    let data = volume.join("_data");
    if data.exists() {
        return Ok(data);
    }
    let fresh = folder.join(format!(".{}", new_id()?));
    // The folder of all volumes is closed to other users; a volume's own mode is its containers' affair.
    let closed = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    closed.and_then(|()| fs::create_dir_all(fresh.join("_data"))).map_err(Error::io("create the volume", &volume))?;
    let made = fill(&fresh.join("_data"))
        .and_then(|()| fs::rename(&fresh, &volume).map_err(Error::io("create the volume", &volume)));
    if made.is_err() {
        // Somebody else may have made it in the meantime; what cannot be deleted is hidden by its name.
        let _ = fs::remove_dir_all(&fresh);
        if data.exists() {
            return Ok(data);
        }
    }
    made.map(|()| data)
}

/// Copies what a tree has at `place` into a new volume. Nothing there, or no folder, leaves it empty.
///
/// # Errors
/// `Io`.
pub fn fill_from(tree: &Tree, place: &Path, data: &Path) -> Result<()> {
    if tree.kind(place, true)? != Some(Kind::Folder) {
        return Ok(());
    }
    let source = tree.folder(place)?;
    let to = fs::File::open(data).map_err(Error::io("open", data))?;
    let (reader, writer) = std::io::pipe().map_err(Error::io("make a pipe for", data))?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(|| pack(source.as_fd(), Path::new("."), Path::new(""), writer));
        let unpacked = unpack(to.as_fd(), None, Ownership::Archived, reader);
        unpacked.and(packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// All names, in order.
///
/// # Errors
/// `Io`.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io("list", folder))?.file_name();
        names.extend(name.into_string().ok().filter(|name| check_name(name).is_ok()));
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes a volume; one that is gone is no error.
///
/// # Errors
/// `Io`.
pub fn remove(folder: &Path, name: &str) -> Result<()> {
    let volume = folder.join(name);
    match fs::remove_dir_all(&volume) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", &volume)(error)),
        _ => Ok(()),
    }
}
