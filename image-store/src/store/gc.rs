//! The sweep: everything that no name, lease or hold leads to goes. Marking reads manifests; sweeping only compares
//! file names with the marks. The store's lock is held, and no transfer needs it for long.

use std::collections::BTreeSet;
use std::path::Path;

use super::Store;
use super::lock::Guard;
use crate::error::At as _;
use crate::manifest::Document;
use crate::snapshot::{chain_ids, folder_name};
use crate::{Digest, ImageConfig, Result};

/// What a sweep freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Freed {
    /// Blobs removed.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Unpacked layers removed.
    pub snapshots: u64,
}

#[derive(Default)]
struct Marks {
    blobs: BTreeSet<Digest>,
    /// The folders of the chain ids.
    chains: BTreeSet<String>,
}

impl Store {
    /// Removes every blob and snapshot that no image needs.
    ///
    /// # Errors
    /// `Io`. What could not be removed is tried again by the next call.
    pub fn gc(&self) -> Result<Freed> {
        let lock = self.lock()?;
        self.sweep(&lock)
    }

    pub(crate) fn sweep(&self, _lock: &Guard) -> Result<Freed> {
        let marks = self.mark()?;
        let mut freed = Freed::default();
        let folder = self.root().join("blobs/sha256");
        for entry in std::fs::read_dir(&folder).at("list", &folder)? {
            let entry = entry.at("list", &folder)?;
            if entry.file_name().to_str().and_then(Digest::from_hex).is_some_and(|digest| marks.blobs.contains(&digest))
            {
                continue;
            }
            freed.bytes += entry.metadata().map(|metadata| metadata.len()).unwrap_or_default();
            freed.blobs += 1;
            std::fs::remove_file(entry.path()).at("remove blob", entry.path())?;
        }
        let folder = self.snapshots_dir();
        for entry in std::fs::read_dir(&folder).at("list", &folder)? {
            let entry = entry.at("list", &folder)?;
            let chain = entry.file_name().to_str().and_then(|name| Some(name.get(..40)?.to_owned()));
            if chain.is_some_and(|chain| marks.chains.contains(&chain)) {
                continue;
            }
            self.discard(&entry.path())?;
            freed.snapshots += 1;
        }
        Ok(freed)
    }

    /// Takes a snapshot away at once (rename), then removes it in peace: a crash leaves only what the next open sweeps.
    pub(crate) fn discard(&self, path: &Path) -> Result<()> {
        let doomed = self.ingest_dir().join(super::ingest::unique_name());
        match std::fs::rename(path, &doomed) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.at("move away", path)?,
        }
        crate::layer::remove_tree(&doomed)
    }

    fn mark(&self) -> Result<Marks> {
        let mut marks = Marks::default();
        let roots = self.entries()?.into_iter().map(|entry| entry.manifest.digest);
        let held = self.holds()?.into_iter().map(|(_, digest)| digest);
        for digest in roots.chain(held).chain(self.pinned()?) {
            self.mark_from(digest, &mut marks);
        }
        Ok(marks)
    }

    /// Marks a blob and, if it is a manifest, what it names. A blob that cannot be read marks only itself.
    fn mark_from(&self, digest: Digest, marks: &mut Marks) {
        marks.blobs.insert(digest);
        let path = self.blob_path(digest);
        let small = std::fs::metadata(&path).is_ok_and(|found| found.len() <= crate::manifest::LARGEST_DOCUMENT);
        let Some(bytes) = small.then(|| std::fs::read(&path).ok()).flatten() else { return };
        let Ok(Document::Manifest(manifest)) = Document::parse(&bytes, None) else { return };
        marks.blobs.insert(manifest.config.digest);
        marks.blobs.extend(manifest.layers.iter().map(|layer| layer.digest));
        if let Ok(bytes) = self.read_document(manifest.config.digest)
            && let Ok(config) = ImageConfig::from_json(&bytes)
        {
            marks.chains.extend(chain_ids(&config.diff_ids).into_iter().map(folder_name));
        }
    }
}
