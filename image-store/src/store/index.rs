//! `index.json`: which names lead to which manifests. One descriptor per name; a descriptor without a name is an image
//! that lost its last one and is kept until it is removed or pruned.
//!
//! Other tools read the same file: `skopeo inspect oci:ROOT:web:1.0`.

use serde::{Deserialize, Serialize};

use super::lock::Guard;
use super::{Store, write_whole};
use crate::error::At as _;
use crate::manifest::{Descriptor, OCI_INDEX};
use crate::{Digest, Error, Reference, Result};

const FAMILIAR: &str = "org.opencontainers.image.ref.name";
const CANONICAL: &str = "io.containerd.image.name";
const PULLED: &str = "image-store.pulled-as";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexFile {
    schema_version: u32,
    media_type: String,
    manifests: Vec<Descriptor>,
}

/// One line of the index: a manifest, its name if it has one, and the digest of the index it was chosen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) manifest: Descriptor,
    pub(crate) name: Option<Reference>,
    pub(crate) pulled: Option<Digest>,
}

impl Entry {
    fn from_descriptor(mut descriptor: Descriptor) -> Self {
        let mut take = |key| descriptor.annotations.remove(key);
        let name = take(CANONICAL).and_then(|text| Reference::parse(&text).ok());
        let pulled = take(PULLED).and_then(|text| Digest::parse(&text).ok());
        take(FAMILIAR);
        Self { manifest: descriptor, name, pulled }
    }

    fn to_descriptor(&self) -> Descriptor {
        let mut descriptor = self.manifest.clone();
        if let Some(name) = &self.name {
            descriptor.annotations.insert(CANONICAL.to_owned(), name.canonical());
            descriptor.annotations.insert(FAMILIAR.to_owned(), name.to_string());
        }
        if let Some(pulled) = &self.pulled {
            descriptor.annotations.insert(PULLED.to_owned(), pulled.to_string());
        }
        descriptor
    }
}

impl Store {
    /// The entries as they are now.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let path = self.root().join("index.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at("read", &path),
        };
        let index: IndexFile = serde_json::from_slice(&bytes).map_err(|error| Error::Invalid {
            what: "index",
            subject: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(index.manifests.into_iter().map(Entry::from_descriptor).collect())
    }

    /// Changes the entries; the lock proves that nobody else does.
    pub(crate) fn write_entries(&self, _lock: &Guard, entries: &[Entry]) -> Result<()> {
        let index = IndexFile {
            schema_version: 2,
            media_type: OCI_INDEX.to_owned(),
            manifests: entries.iter().map(Entry::to_descriptor).collect(),
        };
        // Strings and numbers cannot fail to serialise.
        let bytes = serde_json::to_vec_pretty(&index).unwrap_or_default();
        write_whole(&self.ingest_dir(), &self.root().join("index.json"), &bytes)
    }
}

/// Gives `entry`'s name to `entry`'s manifest: whoever had the name loses it, and stays nameless if it was the last.
pub(crate) fn insert(entries: &mut Vec<Entry>, entry: Entry) {
    let digest = entry.manifest.digest;
    if let Some(name) = &entry.name {
        take_name(entries, name, Some(digest));
    }
    entries.retain(|other| other.manifest.digest != digest || other.name.is_some());
    if entry.name.is_some() || !entries.iter().any(|other| other.manifest.digest == digest) {
        entries.push(entry);
    }
}

/// Removes `name`. If it was the last name of its image, and the image is not `successor`, a nameless entry stays.
pub(crate) fn take_name(entries: &mut Vec<Entry>, name: &Reference, successor: Option<Digest>) -> Option<Entry> {
    let position = entries.iter().position(|entry| entry.name.as_ref() == Some(name))?;
    let taken = entries.remove(position);
    let digest = taken.manifest.digest;
    if Some(digest) != successor && !entries.iter().any(|entry| entry.manifest.digest == digest) {
        entries.push(Entry { name: None, ..taken.clone() });
    }
    Some(taken)
}
