//! Snapshots: the unpacked layers of an image, one folder per chain id, ready to be the lower folders of an overlay.
//!
//! A snapshot is written below `ingest/`, renamed into place when it is complete, and carries the boot it was written
//! under. Its files are not synced one by one; instead, after another boot, a snapshot without the mark `synced` (see
//! [`Store::settle`]) is not believed and is unpacked again. So speed does not cost safety.

mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, setxattr};
use serde::{Deserialize, Serialize};

use self::write::Missing;
pub(crate) use self::write::Written;
use crate::error::At as _;
use crate::layer::Markers;
use crate::store::{Image, Store, Working, write_whole};
use crate::{Digest, Error, Result};

const FORMAT: u32 = 1;

/// The unpacked layers of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The folders to stack, top first, as overlay's `lowerdir` wants them.
    pub lower: Vec<PathBuf>,
    /// Overlay must be mounted with `userxattr` to see opaque folders: so it is for an unprivileged caller.
    pub userxattr: bool,
    /// What an unprivileged caller could not unpack as the layers say.
    pub shortfalls: Shortfalls,
}

/// What could not be unpacked as the layers say, in all layers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Shortfalls {
    /// Entries whose owner became the caller; the true one stands in `user.containers.override_stat`.
    pub squashed: u64,
    /// Device nodes left out.
    pub devices: u64,
    /// Extended attributes left out.
    pub xattrs: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    format: u32,
    diff_id: Digest,
    boot_id: String,
    opaque_root: bool,
    #[serde(flatten)]
    shortfalls: Shortfalls,
}

/// The names of stacks of layers: each covers a layer and all below it.
pub(crate) fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chain.push(match chain.last() {
            None => *diff_id,
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
        });
    }
    chain
}

/// The folder of a chain id: 160 bits of it, because all folders of an image must fit into one page of mount options.
pub(crate) fn folder_name(chain: Digest) -> String {
    chain.hex()[..40].to_owned()
}

impl Store {
    /// Unpacks what is not unpacked yet, and names the folders.
    ///
    /// As root the folders are exact. Any other caller gets everything but devices and foreign owners
    /// ([`Snapshot::shortfalls`] counts them); nothing of that keeps the image from running under a single-id mapping.
    ///
    /// # Errors
    /// `Invalid` for a layer that breaks its format or tries to leave its folder, `WrongDigest`, `Io`.
    pub fn unpack(&self, image: &Image) -> Result<Snapshot> {
        self.unpack_with(image, BTreeMap::new())
    }

    /// The same when some layers, named by their blobs, have been written already.
    pub(crate) fn unpack_with(&self, image: &Image, mut written: BTreeMap<Digest, Written>) -> Result<Snapshot> {
        let lease = self.lease()?;
        lease.pin(self, image.digest)?;
        let markers = self.markers()?;
        let chain = chain_ids(&image.config.diff_ids);
        let folders: Vec<PathBuf> = chain.iter().map(|chain| self.snapshot_path(*chain, markers)).collect();
        let mut missing = Vec::new();
        for ((layer, diff_id), folder) in image.layers.iter().zip(&image.config.diff_ids).zip(&folders) {
            if self.valid_meta(folder).is_none() {
                let written = written.remove(&layer.digest);
                missing.push(Missing { layer, diff_id: *diff_id, folder, written });
            }
        }
        self.write_missing(&mut missing, markers)?;
        let mut missing = missing.into_iter().peekable();
        let mut snapshot =
            Snapshot { lower: Vec::new(), userxattr: markers == Markers::User, shortfalls: Shortfalls::default() };
        for folder in &folders {
            let meta = match missing.next_if(|missing| missing.folder == folder) {
                Some(missing) => self.complete(missing, &snapshot.lower)?,
                None => self.valid_meta(folder).ok_or_else(|| vanished(folder))?,
            };
            if meta.opaque_root {
                snapshot.lower.clear();
            }
            snapshot.lower.insert(0, folder.join("fs"));
            snapshot.shortfalls.squashed += meta.shortfalls.squashed;
            snapshot.shortfalls.devices += meta.shortfalls.devices;
            snapshot.shortfalls.xattrs += meta.shortfalls.xattrs;
        }
        Ok(snapshot)
    }

    /// Makes all snapshots durable and marks them so; worth calling when nobody waits.
    ///
    /// # Errors
    /// `Io`.
    pub fn settle(&self) -> Result<()> {
        let folder = self.snapshots_dir();
        let mut unmarked = Vec::new();
        for entry in std::fs::read_dir(&folder).at("list", &folder)? {
            let path = entry.at("list", &folder)?.path();
            if !path.join("synced").exists() && self.valid_meta(&path).is_some() {
                unmarked.push(path);
            }
        }
        if unmarked.is_empty() {
            return Ok(());
        }
        let opened = File::open(&folder).at("open", &folder)?;
        rustix::fs::syncfs(&opened).at("sync", &folder)?;
        for path in unmarked {
            write_whole(&self.ingest_dir(), &path.join("synced"), b"")?;
        }
        Ok(())
    }

    fn snapshot_path(&self, chain: Digest, markers: Markers) -> PathBuf {
        let suffix = if markers == Markers::User { "-user" } else { "" };
        self.snapshots_dir().join(format!("{}{suffix}", folder_name(chain)))
    }

    /// Which marks overlay will understand: found out by setting one.
    pub(crate) fn markers(&self) -> Result<Markers> {
        let probe = Working::create(&self.ingest_dir())?;
        let set = setxattr(probe.path(), Markers::Trusted.opaque(), b"n", XattrFlags::empty());
        Ok(if set.is_ok() { Markers::Trusted } else { Markers::User })
    }

    /// The meta data of a snapshot that can be believed.
    fn valid_meta(&self, folder: &Path) -> Option<Meta> {
        let meta: Meta = serde_json::from_slice(&std::fs::read(folder.join("meta.json")).ok()?).ok()?;
        let believed = meta.boot_id == boot_id() || folder.join("synced").exists();
        (meta.format == FORMAT && believed).then_some(meta)
    }
}

fn vanished(folder: &Path) -> Error {
    let source = io::Error::new(io::ErrorKind::NotFound, "somebody removed it meanwhile");
    Error::Io { doing: "use snapshot", path: folder.to_owned(), source }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
