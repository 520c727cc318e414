//! Building: one more layer of given files on a base (or on nothing), with a changed configuration.
//!
//! The layer is an uncompressed, reproducible tar: the same base and files give the same digest, whoever builds and
//! whenever. Running commands inside an image is not done here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::layer::{Content, Node, SafePath, TarWriter};
use crate::manifest::{Descriptor, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::store::Lease;
use crate::{Digest, Error, History, Image, ImageConfig, Reference, Result, Store};

/// One file, folder or link for a new layer. Owned by root, with a fixed time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerEntry {
    /// Where in the image, such as `/srv/app`.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
    /// What is there.
    pub content: LayerContent,
}

/// What an entry of a new layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerContent {
    /// A folder.
    Folder,
    /// A symbolic link to this target.
    Link(String),
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A file with the bytes of this file of the host, streamed.
    HostFile(PathBuf),
}

impl LayerEntry {
    /// A file with the given bytes.
    pub fn file(path: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode, content: LayerContent::Bytes(bytes.into()) }
    }

    /// A file with the bytes of a file of the host.
    pub fn host_file(path: impl Into<String>, mode: u32, source: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode, content: LayerContent::HostFile(source.into()) }
    }

    /// A folder.
    pub fn folder(path: impl Into<String>, mode: u32) -> Self {
        Self { path: path.into(), mode, content: LayerContent::Folder }
    }

    /// A symbolic link.
    pub fn link(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self { path: path.into(), mode: 0o777, content: LayerContent::Link(target.into()) }
    }
}

impl Store {
    /// Puts one more layer with `files` on `base`, lets `configure` change the configuration, and names the result.
    ///
    /// Folders on the way to a file are made with mode 0755 unless the base has them.
    ///
    /// # Errors
    /// `Invalid` for a path that cannot be in a layer, `UnknownImage` when the base is gone, `Io`.
    pub fn build_layer(
        &self,
        base: &Image,
        files: &[LayerEntry],
        configure: impl FnOnce(&mut ImageConfig),
        name: &Reference,
    ) -> Result<Image> {
        let lease = self.lease()?;
        if !lease.pin(self, base.digest)? {
            return Err(Error::UnknownImage { name: base.id.to_string() });
        }
        self.assemble(&lease, Some(base), &nodes(files)?, configure, name)
    }

    pub(crate) fn assemble(
        &self,
        lease: &Lease,
        base: Option<&Image>,
        nodes: &[Node],
        configure: impl FnOnce(&mut ImageConfig),
        name: &Reference,
    ) -> Result<Image> {
        let (digest, size) = self.write_layer_blob(lease, nodes)?;
        let mut config = base.map(|base| base.config.clone()).unwrap_or_default();
        let mut layers = base.map(|base| base.layers.clone()).unwrap_or_default();
        config.diff_ids.push(digest);
        config.history.push(History { created_by: Some("image-store".to_owned()), ..History::default() });
        configure(&mut config);
        layers.push(Descriptor::new(OCI_LAYER, digest, size));
        let config = config.to_json();
        let manifest = Manifest::new(Descriptor::of(OCI_CONFIG, &config), layers).to_json();
        for document in [&config, &manifest] {
            lease.pin(self, Digest::of(document))?;
            self.put_blob(document)?;
        }
        let image = self.load_manifest(&Descriptor::of(OCI_MANIFEST, &manifest))?;
        self.tag(&image, name)?;
        self.resolve(&image.digest.to_string())
    }

    fn write_layer_blob(&self, lease: &Lease, nodes: &[Node]) -> Result<(Digest, u64)> {
        let writer = self.blob_writer()?;
        let mut tar = TarWriter::new(std::io::BufWriter::with_capacity(128 << 10, writer));
        for node in nodes {
            tar.node(node)?;
        }
        let writer = tar.finish()?.into_inner().map_err(|error| Error::Io {
            doing: "write layer",
            path: self.ingest_dir(),
            source: error.into_error(),
        })?;
        writer.commit_with(self, |digest| lease.pin(self, digest).map(drop))
    }
}

/// Sorted by path, each path once (the last entry wins), folders before what is in them.
fn nodes(files: &[LayerEntry]) -> Result<Vec<Node>> {
    let mut nodes = BTreeMap::new();
    for file in files {
        let refuse = |reason: &str| Error::Invalid {
            what: "layer entry",
            subject: file.path.chars().take(200).collect(),
            reason: reason.to_owned(),
        };
        let path = SafePath::parse(file.path.as_bytes()).map_err(refuse)?;
        if path.is_root() {
            return Err(refuse("it is the root"));
        }
        let content = match &file.content {
            LayerContent::Folder => Content::Folder,
            LayerContent::Link(target) => Content::Link(target.clone().into_bytes()),
            LayerContent::Bytes(bytes) => Content::Bytes(bytes.clone()),
            LayerContent::HostFile(source) => Content::from_host(source)?,
        };
        let node = Node { path: path.bytes().to_vec(), mode: file.mode & 0o7777, mtime: 0, content };
        nodes.insert(path, node);
    }
    Ok(nodes.into_values().collect())
}
