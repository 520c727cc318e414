//! Manifests and indexes of the OCI image specification, and Docker's schema 2, which say the same in other words.
//!
//! Parsing is strict where mischief starts: a document that is both manifest and index, or whose content is not what
//! its media type says, is refused. Sizes are bounded before anything is parsed. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::or_default;
use crate::{Digest, Error, Platform, Result};

/// The largest manifest, index or configuration that is read.
pub(crate) const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Layers in one image; overlay takes 500 in one mount.
const MOST_LAYERS: usize = 500;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Points at content: what it is, what it is called, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of content.
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The platform that it is for, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free data.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, platform: None, annotations: BTreeMap::new() }
    }

    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}

/// One image for one platform: its configuration and its layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// Several images, one per platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) manifests: Vec<Descriptor>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    Manifest(Manifest),
    Index(Index),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde_json::Value>,
}

impl Manifest {
    pub(crate) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: OCI_MANIFEST.to_owned(), config, layers }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys cannot fail to serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Document {
    /// Reads a manifest or an index. `announced` is the media type that a descriptor or a response header gave.
    pub(crate) fn parse(bytes: &[u8], announced: Option<&str>) -> Result<Self> {
        let invalid = |reason: String| Error::manifest(Digest::of(bytes), reason);
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(invalid(format!("it is longer than {LARGEST_DOCUMENT} bytes")));
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        if raw.schema_version != 2 || raw.fs_layers.is_some() {
            return Err(Error::Unsupported {
                feature: format!("manifest schema version {}", raw.schema_version),
                hint: "push the image again with a program of this decade".to_owned(),
            });
        }
        let stated = raw.media_type.as_deref();
        if let (Some(stated), Some(announced)) = (stated, announced)
            && stated != announced
        {
            return Err(invalid(format!("it says {stated}, but was announced as {announced}")));
        }
        let media_type = stated.or(announced);
        match (raw.manifests, raw.config, raw.layers) {
            (Some(manifests), None, None) if media_type.is_none_or(is_index) => Ok(Self::Index(Index { manifests })),
            (None, Some(config), Some(layers)) if media_type.is_none_or(is_manifest) => {
                if layers.len() > MOST_LAYERS {
                    return Err(invalid(format!("it has {} layers, more than {MOST_LAYERS}", layers.len())));
                }
                let media_type = media_type.unwrap_or(OCI_MANIFEST).to_owned();
                Ok(Self::Manifest(Manifest { schema_version: 2, media_type, config, layers }))
            }
            (Some(_), ..) if media_type.is_none_or(is_index) => {
                Err(invalid("it is a manifest and an index at the same time".to_owned()))
            }
            _ => Err(invalid(format!("its members do not fit its media type {}", media_type.unwrap_or("(none)")))),
        }
    }

    /// Reads what must be the manifest of one image.
    pub(crate) fn parse_manifest(bytes: &[u8], announced: Option<&str>) -> Result<Manifest> {
        match Self::parse(bytes, announced)? {
            Self::Manifest(manifest) => Ok(manifest),
            Self::Index(_) => Err(Error::manifest(Digest::of(bytes), "an index stands where an image must be")),
        }
    }
}

pub(crate) fn is_index(media_type: &str) -> bool {
    media_type == OCI_INDEX || media_type == DOCKER_LIST
}

pub(crate) fn is_manifest(media_type: &str) -> bool {
    media_type == OCI_MANIFEST || media_type == DOCKER_MANIFEST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Descriptor {
        Descriptor::of(OCI_CONFIG, b"{}")
    }

    #[test]
    fn round_trip_that_the_specification_crate_reads() {
        let manifest = Manifest::new(descriptor(), vec![Descriptor::of(OCI_LAYER, b"x")]);
        let bytes = manifest.to_json();
        assert_eq!(Document::parse_manifest(&bytes, Some(OCI_MANIFEST)).unwrap(), manifest);
        let oracle = oci_spec::image::ImageManifest::from_reader(&bytes[..]).unwrap();
        assert_eq!(oracle.layers().len(), 1);
    }

    #[test]
    fn refuses_ambiguous_and_mislabelled_documents() {
        let config = serde_json::to_string(&descriptor()).unwrap();
        let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#);
        assert!(Document::parse(both.as_bytes(), None).is_err());
        let image = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        assert!(Document::parse(image.as_bytes(), None).is_ok());
        assert!(Document::parse(image.as_bytes(), Some(OCI_INDEX)).is_err());
        let stated = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[]}}"#);
        assert!(Document::parse(stated.as_bytes(), Some(DOCKER_MANIFEST)).is_err());
        let old = r#"{"schemaVersion":1,"fsLayers":[]}"#;
        assert!(matches!(Document::parse(old.as_bytes(), None), Err(Error::Unsupported { .. })));
        assert!(Document::parse(b"[", None).is_err());
    }
}
