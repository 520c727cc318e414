//! `Image`: what the store knows about one image, as plain data.

use super::Store;
use super::index::Entry;
use crate::manifest::{Descriptor, Document, Manifest};
use crate::{Digest, Error, ImageConfig, Reference, Result};

/// An image in the store: its names, its configuration, and the blobs that it is made of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Image {
    /// The digest of the manifest: what a registry calls the image.
    pub digest: Digest,
    /// The digest of the configuration: the image id that listings show.
    pub id: Digest,
    /// The names that lead to it; none when it lost the last one.
    pub names: Vec<Reference>,
    /// The digest it was pulled by, when that is an index of several platforms.
    pub pulled: Option<Digest>,
    /// How to run it.
    pub config: ImageConfig,
    /// The layers as a registry holds them, lowest first.
    pub layers: Vec<Descriptor>,
    /// The bytes of all blobs together, compressed as they are.
    pub size: u64,
    pub(crate) media_type: String,
    pub(crate) manifest_size: u64,
    pub(crate) config_descriptor: Descriptor,
}

impl Image {
    pub(crate) fn descriptor(&self) -> Descriptor {
        let mut descriptor = Descriptor::new(&self.media_type, self.digest, self.manifest_size);
        descriptor.platform = Some(self.config.platform());
        descriptor
    }
}

impl Store {
    /// All images, in the order in which they came.
    ///
    /// # Errors
    /// `Io`, or whatever is wrong with a manifest or configuration on disk.
    pub fn images(&self) -> Result<Vec<Image>> {
        let mut entries = self.entries()?;
        loop {
            match self.load_all(&entries) {
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    // Somebody may have removed an image between the two looks.
                    let now = self.entries()?;
                    if now == entries {
                        return self.load_all(&entries);
                    }
                    entries = now;
                }
                other => return other,
            }
        }
    }

    fn load_all(&self, entries: &[Entry]) -> Result<Vec<Image>> {
        let mut images: Vec<Image> = Vec::new();
        for entry in entries.iter().cloned() {
            if let Some(image) = images.iter_mut().find(|image| image.digest == entry.manifest.digest) {
                image.names.extend(entry.name);
                image.pulled = image.pulled.or(entry.pulled);
            } else {
                images.push(self.load(entry)?);
            }
        }
        Ok(images)
    }

    fn load(&self, entry: Entry) -> Result<Image> {
        let mut image = self.load_manifest(&entry.manifest)?;
        image.names.extend(entry.name);
        image.pulled = entry.pulled;
        Ok(image)
    }

    /// Reads manifest and configuration of an image that may not have a name yet.
    pub(crate) fn load_manifest(&self, descriptor: &Descriptor) -> Result<Image> {
        let bytes = self.read_document(descriptor.digest)?;
        let manifest: Manifest = Document::parse_manifest(&bytes, Some(&descriptor.media_type))?;
        let config = ImageConfig::from_json(&self.read_document(manifest.config.digest)?)?;
        check_layer_count(descriptor.digest, &manifest, &config)?;
        let blobs = manifest.layers.iter().map(|layer| layer.size).fold(manifest.config.size, u64::saturating_add);
        Ok(Image {
            digest: descriptor.digest,
            id: manifest.config.digest,
            names: Vec::new(),
            pulled: None,
            config,
            size: blobs.saturating_add(bytes.len() as u64),
            layers: manifest.layers,
            media_type: manifest.media_type,
            manifest_size: bytes.len() as u64,
            config_descriptor: manifest.config,
        })
    }
}

/// Every layer needs its diff id, and no diff id may be without a layer.
pub(crate) fn check_layer_count(digest: Digest, manifest: &Manifest, config: &ImageConfig) -> Result<()> {
    let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids.len());
    if layers == diff_ids {
        return Ok(());
    }
    let reason = format!("it has {layers} layers, but its configuration names {diff_ids} diff ids");
    Err(Error::manifest(digest, reason))
}
