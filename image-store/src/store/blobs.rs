//! Blobs: content under its digest. Ingest into a temporary file, verify, sync, rename: whole or absent.
//!
//! Two writers of the same blob both succeed; the second rename replaces equal bytes by equal bytes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use super::Store;
use super::ingest::Temporary;
use crate::digest::Hasher;
use crate::error::At as _;
use crate::manifest::LARGEST_DOCUMENT;
use crate::{Digest, Error, Result, fault};

/// A blob that is being written. Nothing of it is visible until [`BlobWriter::commit`].
#[derive(Debug)]
pub(crate) struct BlobWriter {
    temporary: Temporary,
    hasher: Hasher,
}

impl BlobWriter {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<()> {
        fault::point("write")?;
        self.temporary.file.write_all(piece).at("write", self.temporary.path())?;
        self.hasher.update(piece);
        Ok(())
    }

    /// Tells whether what was written is what was announced.
    pub(crate) fn verify(&self, (digest, size): (Digest, u64), subject: &str) -> Result<()> {
        let (subject, bytes) = (subject.to_owned(), self.hasher.bytes());
        if size != bytes {
            return Err(Error::WrongSize { subject, expected: size, found: bytes });
        }
        let found = self.hasher.clone().finish();
        if digest == found { Ok(()) } else { Err(Error::WrongDigest { subject, expected: digest, found }) }
    }

    /// Verifies the digest (when one is expected) and makes the blob visible. Returns its name and length.
    pub(crate) fn commit(self, store: &Store, expected: Option<(Digest, u64)>, subject: &str) -> Result<(Digest, u64)> {
        if let Some(expected) = expected {
            self.verify(expected, subject)?;
        }
        let (bytes, found) = (self.hasher.bytes(), self.hasher.finish());
        self.temporary.commit(&store.blob_path(found))?;
        Ok((found, bytes))
    }

    /// The same for content whose digest nobody knew; `pin` learns it before it is visible.
    pub(crate) fn commit_with(self, store: &Store, pin: impl FnOnce(Digest) -> Result<()>) -> Result<(Digest, u64)> {
        pin(self.hasher.clone().finish())?;
        self.commit(store, None, "content")
    }
}

impl Write for BlobWriter {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let count = self.temporary.file.write(piece)?;
        self.hasher.update(&piece[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Store {
    /// Where the blob is (or would be).
    pub(crate) fn blob_path(&self, digest: Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Tells whether the store holds the blob.
    #[must_use]
    pub fn has_blob(&self, digest: Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// `Io`, with `NotFound` inside when the store does not hold it.
    pub fn open_blob(&self, digest: Digest) -> Result<File> {
        let path = self.blob_path(digest);
        File::open(&path).at("open blob", &path)
    }

    pub(crate) fn blob_writer(&self) -> Result<BlobWriter> {
        Ok(BlobWriter { temporary: Temporary::create(&self.ingest_dir())?, hasher: Hasher::default() })
    }

    /// Puts `bytes` into the store.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Result<(Digest, u64)> {
        let digest = Digest::of(bytes);
        if self.has_blob(digest) {
            return Ok((digest, bytes.len() as u64));
        }
        let mut writer = self.blob_writer()?;
        writer.push(bytes)?;
        writer.commit(self, None, "content")
    }

    /// Reads a manifest, index or configuration, and verifies it: what is small is cheap to check each time.
    pub(crate) fn read_document(&self, digest: Digest) -> Result<Vec<u8>> {
        let path = self.blob_path(digest);
        let mut bytes = Vec::new();
        let file = File::open(&path).at("open blob", &path)?;
        file.take(LARGEST_DOCUMENT + 1).read_to_end(&mut bytes).at("read blob", &path)?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(Error::WrongDigest { subject: format!("blob {}", digest.short()), expected: digest, found });
        }
        Ok(bytes)
    }
}
