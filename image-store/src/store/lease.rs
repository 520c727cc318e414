//! Leases and holds: what the sweep must leave alone although no name leads to it yet, or any more.
//!
//! A *lease* belongs to a running pull or build and dies with its process (the file is locked by it). A *hold* belongs
//! to something that outlives processes, such as a container, and stays until it is released by name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::ingest::Temporary;
use super::{Image, Store, write_whole};
use crate::error::At as _;
use crate::{Digest, Error, Result};

/// Pins blobs while an operation runs.
#[derive(Debug)]
pub(crate) struct Lease {
    temporary: Temporary,
}

impl Lease {
    /// From now on the sweep leaves `digest` alone. Returns whether the store holds it already.
    pub(crate) fn pin(&self, store: &Store, digest: Digest) -> Result<bool> {
        let _lock = store.lock()?;
        let mut file = &self.temporary.file;
        file.write_all(format!("{digest}\n").as_bytes()).at("write", self.temporary.path())?;
        Ok(store.has_blob(digest))
    }
}

impl Store {
    pub(crate) fn lease(&self) -> Result<Lease> {
        Ok(Lease { temporary: Temporary::create(&self.root().join("leases"))? })
    }

    /// Keeps `image` (its layers and snapshots too) until [`Store::release`] of the same `owner`.
    ///
    /// # Errors
    /// `Invalid` for an owner that is not letters, digits, `_`, `.` and `-`; `UnknownImage`; `Io`.
    pub fn hold(&self, owner: &str, image: &Image) -> Result<()> {
        let path = self.hold_path(owner)?;
        let _lock = self.lock()?;
        if !self.has_blob(image.digest) {
            return Err(Error::UnknownImage { name: image.id.to_string() });
        }
        write_whole(&self.ingest_dir(), &path, image.digest.to_string().as_bytes())
    }

    /// Ends the hold of `owner`, if there is one.
    ///
    /// # Errors
    /// `Invalid` for a malformed owner, `Io`.
    pub fn release(&self, owner: &str) -> Result<()> {
        let path = self.hold_path(owner)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", &path),
            _ => Ok(()),
        }
    }

    /// The owners that hold the image with this manifest digest.
    pub(crate) fn holders(&self, digest: Digest) -> Result<Vec<String>> {
        Ok(self.holds()?.into_iter().filter(|(_, held)| *held == digest).map(|(owner, _)| owner).collect())
    }

    /// All holds: owner and manifest digest.
    ///
    /// # Errors
    /// `Io`.
    pub fn holds(&self) -> Result<Vec<(String, Digest)>> {
        let folder = self.root().join("holds");
        let mut holds = Vec::new();
        for entry in std::fs::read_dir(&folder).at("list", &folder)? {
            let entry = entry.at("list", &folder)?;
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            if let (Some(owner), Ok(digest)) = (entry.file_name().to_str(), Digest::parse(text.trim())) {
                holds.push((owner.to_owned(), digest));
            }
        }
        holds.sort();
        Ok(holds)
    }

    /// What live leases pin.
    pub(crate) fn pinned(&self) -> Result<BTreeSet<Digest>> {
        let folder = self.root().join("leases");
        let mut pinned = BTreeSet::new();
        for entry in std::fs::read_dir(&folder).at("list", &folder)? {
            let path = entry.at("list", &folder)?.path();
            let Ok(file) = File::open(&path) else { continue };
            if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            pinned.extend(text.lines().filter_map(|line| Digest::parse(line).ok()));
        }
        Ok(pinned)
    }

    fn hold_path(&self, owner: &str) -> Result<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if owner.is_empty() || owner.len() > 200 || owner.starts_with('.') || !owner.bytes().all(plain) {
            return Err(Error::Invalid {
                what: "owner",
                subject: owner.chars().take(200).collect(),
                reason: "it is letters, digits, _, . and -".to_owned(),
            });
        }
        Ok(self.root().join("holds").join(owner))
    }
}
