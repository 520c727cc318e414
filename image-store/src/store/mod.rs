//! `Store`: images on disk, as an OCI image layout that other tools can read, with snapshots beside it.
//!
//! ```text
//! oci-layout, index.json      the names: one descriptor per name, written whole under the lock
//! blobs/sha256/HEX            content; a blob is whole and verified or absent
//! snapshots/CHAIN[-user]/     one unpacked layer each: `fs/` and `meta.json`
//! ingest/                     temporary files and folders, each locked by its writer, swept on open
//! leases/  holds/             what running operations and containers still need
//! lock                        guards index.json and the sweep; never held across a transfer
//! ```
//! The life of content: *ingest* (temporary, hashed while written) → *commit* (verified, synced, renamed into place) →
//! *name* (index.json) → *sweep* (once no name, lease or hold leads to it). Any number of threads and processes may use
//! one root at a time. Absent on purpose: the network, and any knowledge of containers.

mod blobs;
mod gc;
mod image;
mod index;
mod ingest;
mod lease;
mod lock;
mod names;

use std::path::{Path, PathBuf};

pub(crate) use blobs::BlobWriter;
pub use gc::Freed;
pub use image::Image;
pub(crate) use image::check_layer_count;
#[cfg(feature = "registry-server")]
pub(crate) use ingest::unique_name;
pub(crate) use ingest::{Working, write_whole};
pub(crate) use lease::Lease;
pub use names::Removed;

use crate::error::At as _;
use crate::{Error, Result};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Images on disk. Cheap to clone; every method takes `&self` and may be called from any thread.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    pub(crate) limits: Limits,
}

/// Bounds on what one image may make this machine do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one layer after decompression.
    pub layer_bytes: u64,
    /// Entries in one layer.
    pub layer_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { layer_bytes: 64 << 30, layer_entries: 4_000_000 }
    }
}

impl Store {
    /// Opens the store below `root`, making it (with mode 0700) when it does not exist, and sweeps what killed writers
    /// left behind.
    ///
    /// # Errors
    /// `Io`, or `Unsupported` when the folder holds a layout of another version.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let root = if root.is_absolute() { root } else { std::path::absolute(&root).at("find", &root)? };
        let store = Self { root, limits: Limits::default() };
        for folder in ["", "blobs", "blobs/sha256", "snapshots", "ingest", "leases", "holds"] {
            make_private(&store.root.join(folder))?;
        }
        store.check_layout()?;
        store.sweep_abandoned()?;
        Ok(store)
    }

    /// The same store with other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The folder that holds everything.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn ingest_dir(&self) -> PathBuf {
        self.root.join("ingest")
    }

    pub(crate) fn snapshots_dir(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    fn check_layout(&self) -> Result<()> {
        let path = self.root.join("oci-layout");
        match std::fs::read(&path) {
            Ok(found) => {
                let value: serde_json::Value = serde_json::from_slice(&found).unwrap_or_default();
                if value["imageLayoutVersion"] == "1.0.0" {
                    return Ok(());
                }
                Err(Error::Unsupported {
                    feature: format!("the image layout in {}", self.root.display()),
                    hint: "this version reads layouts of version 1.0.0".to_owned(),
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write_whole(&self.ingest_dir(), &path, LAYOUT)
            }
            Err(error) => Err(error).at("read", &path),
        }
    }
}

fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).at("make folder", path)
}

#[cfg(test)]
mod tests;
