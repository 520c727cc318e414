//! Layers that mean harm, layers that are merely odd, and streams that are not layers at all.

mod faithful;
mod hostile;
mod streams;

use std::path::{Path, PathBuf};

use super::apply::{Applied, Markers, apply};
use super::pax;
use super::root::Root;
use super::write::header;
use crate::Result;
use crate::store::Limits;

/// Builds archives byte by byte, with whatever names.
#[derive(Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn entry(mut self, flag: u8, name: &str, link: &str, content: &[u8]) -> Self {
        self.push(&header(name.as_bytes(), flag, 0o755, content.len() as u64, 1000, link.as_bytes()), content);
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(b'0', name, "", content.as_bytes())
    }

    fn folder(self, name: &str) -> Self {
        self.entry(b'5', name, "", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, b"")
    }

    /// Records for the entry that comes next.
    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        for (key, value) in records {
            pax::write(&mut bytes, key.as_bytes(), value);
        }
        self.entry(b'x', "pax", "", &bytes)
    }

    fn push(&mut self, header: &[u8], content: &[u8]) {
        self.0.extend_from_slice(header);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// A folder for a layer, and beside it a tree that nobody may touch.
struct Yard {
    _folder: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

fn yard() -> Yard {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    std::fs::create_dir(&root).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("canary"), "alive").unwrap();
    Yard { _folder: folder, root, outside }
}

impl Yard {
    fn apply(&self, archive: &[u8], below: &[&Path]) -> Result<Applied> {
        let root = Root::open(&self.root)?;
        let applied = apply(archive, &root, markers(), Limits::default(), "layer test")?;
        let below: Vec<Root> = below.iter().map(|path| Root::open(path)).collect::<Result<_>>()?;
        applied.finish(&root, &below, "layer test")
    }

    /// Everything about the tree outside that an archive could change.
    fn outside_state(&self) -> Vec<(PathBuf, u32, u64, Vec<u8>)> {
        use std::os::unix::fs::MetadataExt as _;
        let mut state = Vec::new();
        for path in [self.outside.clone(), self.outside.join("canary")] {
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let names: Vec<u8> = std::fs::read(&path).unwrap_or_else(|_| {
                let entries = std::fs::read_dir(&path).unwrap();
                entries.flat_map(|entry| entry.unwrap().file_name().into_encoded_bytes()).collect()
            });
            state.push((path, metadata.mode(), metadata.nlink(), names));
        }
        state
    }
}

fn markers() -> Markers {
    if rustix::process::geteuid().is_root() { Markers::Trusted } else { Markers::User }
}
