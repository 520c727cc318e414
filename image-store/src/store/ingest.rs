//! Temporary files and folders: each is locked by its writer, so that whoever opens the store later can tell a live
//! writer from a dead one, and sweep only the dead one's.
//!
//! [`write_whole`] is the way every small file gets its content: temporary, synced, renamed, folder synced.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::Store;
use crate::error::At as _;
use crate::{Result, fault};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A name that no other writer on this machine uses at this time.
pub(crate) fn unique_name() -> String {
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new temporary file that is removed when dropped, unless it was renamed into place.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) file: File,
    path: PathBuf,
    keep: bool,
}

impl Temporary {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        loop {
            let path = folder.join(unique_name());
            fault::point("create")?;
            let opened = File::options().create_new(true).read(true).write(true).mode(0o600).open(&path);
            let file = match opened {
                // Another process-id namespace uses the same folder and the same number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                other => other.at("create", &path)?,
            };
            let temporary = Self { file, path, keep: false };
            // A sweeper may have come between creation and lock: it is waited for, and then the file has no name any more.
            flock(&temporary.file, FlockOperation::LockExclusive).at("lock", &temporary.path)?;
            if temporary.file.metadata().at("inspect", &temporary.path)?.nlink() > 0 {
                return Ok(temporary);
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the content durable and visible as `target`, in this order.
    pub(crate) fn commit(mut self, target: &Path) -> Result<()> {
        fault::point("sync")?;
        self.file.sync_all().at("sync", &self.path)?;
        fault::point("rename")?;
        std::fs::rename(&self.path, target).at("rename into place", target)?;
        self.keep = true;
        if let Some(folder) = target.parent() {
            sync_folder(folder)?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Replaces `target` by `bytes`, whole or not at all, also across a power cut.
pub(crate) fn write_whole(ingest: &Path, target: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = Temporary::create(ingest)?;
    fault::point("write")?;
    temporary.file.write_all(bytes).at("write", temporary.path())?;
    temporary.commit(target)
}

pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    fault::point("sync folder")?;
    File::open(folder).and_then(|opened| opened.sync_all()).at("sync", folder)
}

impl Store {
    /// Removes the temporary files, folders and leases of writers that are no longer alive.
    pub(super) fn sweep_abandoned(&self) -> Result<()> {
        for folder in [self.ingest_dir(), self.root.join("leases")] {
            for entry in std::fs::read_dir(&folder).at("list", &folder)? {
                let path = entry.at("list", &folder)?.path();
                sweep_one(&path);
            }
        }
        Ok(())
    }
}

/// Removes one file or folder if nobody holds its lock. Trouble here never matters: the next open tries again.
fn sweep_one(path: &Path) {
    let Ok(opened) = File::options().read(true).custom_flags(libc_nofollow()).open(path) else { return };
    if flock(&opened, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        let _ = crate::layer::remove_tree(path);
    } else {
        let _ = std::fs::remove_file(path);
    }
}

fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// A new temporary folder, locked by its maker and removed when dropped, unless it was renamed into place.
#[derive(Debug)]
pub(crate) struct Working {
    path: PathBuf,
    keep: bool,
    _lock: File,
}

impl Working {
    pub(crate) fn create(ingest: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        loop {
            let path = ingest.join(unique_name());
            fault::point("make folder")?;
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                other => other.at("make folder", &path)?,
            }
            let Ok(opened) = File::open(&path) else { continue };
            // A sweeper may have come between creation and lock: it is waited for, and then the folder has no name any more.
            flock(&opened, FlockOperation::LockExclusive).at("lock", &path)?;
            if opened.metadata().is_ok_and(|metadata| metadata.nlink() > 0) {
                return Ok(Self { path, keep: false, _lock: opened });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rename(mut self, target: &Path) -> Result<()> {
        fault::point("rename")?;
        std::fs::rename(&self.path, target).at("rename into place", target)?;
        self.keep = true;
        Ok(())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.keep {
            let _ = crate::layer::remove_tree(&self.path);
        }
    }
}
