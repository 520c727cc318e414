//! Writing the folders of a snapshot: the layers at the same time, each on its own; then, from the lowest up, what a
//! layer takes from those below it, and the rename that makes it visible.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use rustix::fs::{CWD, Mode, mkdirat};

use super::{FORMAT, Meta, Shortfalls, boot_id};
use crate::digest::Hasher;
use crate::error::At as _;
use crate::layer::{Applied, Decompressor, Markers, Root, apply};
use crate::manifest::Descriptor;
use crate::store::{Store, Working};
use crate::{Digest, Error, Result};

/// A layer that an image needs and that is not unpacked yet.
pub(super) struct Missing<'a> {
    pub(super) layer: &'a Descriptor,
    pub(super) diff_id: Digest,
    pub(super) folder: &'a Path,
    /// Its entries, once they are on disk.
    pub(super) written: Option<Written>,
}

/// A layer whose entries are on disk below `ingest/`, not yet completed by what is below it.
#[derive(Debug)]
pub(crate) struct Written {
    working: Working,
    root: Root,
    applied: Applied,
}

impl Store {
    /// Writes the entries of an uncompressed layer, and verifies its digest.
    pub(crate) fn write_layer(
        &self,
        plain: impl Read,
        diff_id: Digest,
        markers: Markers,
        subject: &str,
    ) -> Result<Written> {
        let working = Working::create(&self.ingest_dir())?;
        let fs = working.path().join("fs");
        mkdirat(CWD, &fs, Mode::RWXU).at("make folder", &fs)?;
        let root = Root::open(&fs)?;
        let mut hashed = Hashed { inner: plain, hasher: Hasher::default(), limit: self.limits.layer_bytes };
        let applied = apply(&mut hashed, &root, markers, self.limits, subject)?;
        let found = hashed.hasher.finish();
        if found != diff_id {
            let subject = format!("{subject} (uncompressed)");
            return Err(Error::WrongDigest { subject, expected: diff_id, found });
        }
        Ok(Written { working, root, applied })
    }

    /// Writes the layers that are missing, several at a time.
    pub(super) fn write_missing(&self, missing: &mut [Missing<'_>], markers: Markers) -> Result<()> {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(missing.len());
        if workers < 2 {
            return missing.iter_mut().try_for_each(|missing| self.write_one(missing, markers));
        }
        let queue = Mutex::new(missing.iter_mut());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || -> Result<()> {
            while let Some(missing) = next() {
                self.write_one(missing, markers)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let outcomes = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            outcomes.fold(Ok(()), Result::and)
        })
    }

    fn write_one(&self, missing: &mut Missing<'_>, markers: Markers) -> Result<()> {
        if missing.written.is_none() {
            let blob = self.open_blob(missing.layer.digest)?;
            let plain = Decompressor::new(blob).at("read", self.blob_path(missing.layer.digest))?;
            missing.written = Some(self.write_layer(plain, missing.diff_id, markers, &missing.subject())?);
        }
        Ok(())
    }

    /// Completes a written layer with what `below` (top first) says, and makes it visible.
    pub(super) fn complete(&self, missing: Missing<'_>, below: &[PathBuf]) -> Result<Meta> {
        let subject = missing.subject();
        let Some(Written { working, root, applied }) = missing.written else {
            return Err(super::vanished(missing.folder));
        };
        let lower: Vec<Root> = below.iter().map(|path| Root::open(path)).collect::<Result<_>>()?;
        let applied = applied.finish(&root, &lower, &subject)?;
        let shortfalls = Shortfalls {
            squashed: applied.shortfalls.squashed,
            devices: applied.shortfalls.devices,
            xattrs: applied.shortfalls.xattrs,
        };
        let opaque_root = applied.opaque_root;
        let meta = Meta { format: FORMAT, diff_id: missing.diff_id, boot_id: boot_id(), opaque_root, shortfalls };
        let path = working.path().join("meta.json");
        std::fs::write(&path, serde_json::to_vec(&meta).unwrap_or_default()).at("write", &path)?;
        self.publish(working, missing.folder)?;
        Ok(meta)
    }

    /// Renames a complete snapshot into place. Whoever comes second uses what the first one made.
    fn publish(&self, working: Working, target: &Path) -> Result<()> {
        let _lock = self.lock()?;
        if self.valid_meta(target).is_some() {
            return Ok(());
        }
        self.discard(target)?;
        working.rename(target)
    }
}

impl Missing<'_> {
    fn subject(&self) -> String {
        format!("layer {}", self.layer.digest.short())
    }
}

/// Hashes what is read through it, and stops at a limit.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
    limit: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        // Headers and padding come on top of the content that the limit is about.
        if self.hasher.bytes() > self.limit.saturating_mul(2).saturating_add(1 << 30) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than the limit"));
        }
        Ok(count)
    }
}
