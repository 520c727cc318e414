//! The store's one lock: an flock on the file `lock`, released when the guard is dropped or its process dies.
//!
//! It guards read-change-write of `index.json` and the sweep; it is never held across a transfer or an unpack.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::Store;
use crate::Result;
use crate::error::At as _;

/// The lock, held.
#[derive(Debug)]
pub(crate) struct Guard {
    _file: File,
}

impl Store {
    pub(crate) fn lock(&self) -> Result<Guard> {
        let path = self.root.join("lock");
        let file = open_for_lock(&path)?;
        retry(|| flock(&file, FlockOperation::LockExclusive)).at("lock", &path)?;
        Ok(Guard { _file: file })
    }
}

fn open_for_lock(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path).at("open", path)
}

/// A signal may interrupt the wait for a lock.
fn retry(mut call: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other,
        }
    }
}
