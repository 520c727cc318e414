//! What the registry keeps, as values under keys that look like paths: in memory, or in files.
//!
//! Keys are made of checked names and digests only (see `route`). A file is written aside and renamed, so a reader sees
//! a value whole or not at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Storage;
use crate::Result;
use crate::error::At as _;

pub(super) enum Backend {
    Memory(Mutex<BTreeMap<String, Vec<u8>>>),
    Dir(PathBuf),
}

const UPLOADS: &str = "uploads";

impl Backend {
    pub(super) fn open(storage: Storage) -> Result<Self> {
        match storage {
            Storage::Memory => Ok(Self::Memory(Mutex::default())),
            Storage::Dir(root) => {
                // Uploads do not survive their registry.
                crate::layer::remove_tree(&root.join(UPLOADS))?;
                make_folder(&root.join(UPLOADS))?;
                Ok(Self::Dir(root))
            }
        }
    }

    /// The length of a value.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        match self {
            Self::Memory(map) => lock(map).get(key).map(|value| value.len() as u64),
            Self::Dir(root) => {
                std::fs::metadata(root.join(key)).ok().filter(std::fs::Metadata::is_file).map(|found| found.len())
            }
        }
    }

    /// At most `length` bytes of a value from `offset` on.
    pub(super) fn read(&self, key: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(map) => {
                let map = lock(map);
                let value = map.get(key).ok_or(io::ErrorKind::NotFound)?;
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(value.len());
                Ok(value[start..start.saturating_add(length).min(value.len())].to_vec())
            }
            Self::Dir(root) => {
                let file = File::open(root.join(key))?;
                let mut bytes = vec![0; length];
                let mut filled = 0;
                while filled < length {
                    match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
                        0 => break,
                        count => filled += count,
                    }
                }
                bytes.truncate(filled);
                Ok(bytes)
            }
        }
    }

    /// A small value, whole.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let size = usize::try_from(self.size(key)?).ok()?;
        String::from_utf8(self.read(key, 0, size).ok()?).ok()
    }

    pub(super) fn write(&self, key: &str, value: &[u8]) -> Result<()> {
        match self {
            Self::Memory(map) => {
                lock(map).insert(key.to_owned(), value.to_vec());
                Ok(())
            }
            Self::Dir(root) => {
                let aside = format!("{UPLOADS}/{}", crate::store::unique_name());
                self.append(&aside, value)?;
                rename(root, &aside, key)
            }
        }
    }

    pub(super) fn append(&self, key: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Memory(map) => {
                lock(map).entry(key.to_owned()).or_default().extend_from_slice(bytes);
                Ok(())
            }
            Self::Dir(root) => {
                let path = root.join(key);
                let opened = File::options().create(true).append(true).mode(0o600).open(&path);
                opened.and_then(|mut file| file.write_all(bytes)).at("write", &path)
            }
        }
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        match self {
            Self::Memory(map) => {
                let mut map = lock(map);
                if let Some(value) = map.remove(from) {
                    map.insert(to.to_owned(), value);
                }
                Ok(())
            }
            Self::Dir(root) => rename(root, from, to),
        }
    }

    /// Removes a value, and tells whether there was one.
    pub(super) fn remove(&self, key: &str) -> bool {
        match self {
            Self::Memory(map) => lock(map).remove(key).is_some(),
            Self::Dir(root) => std::fs::remove_file(root.join(key)).is_ok(),
        }
    }

    /// The last parts of the keys directly below `folder`, in order.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        match self {
            Self::Memory(map) => {
                let start = format!("{folder}/");
                let map = lock(map);
                let keys = map.range(start.clone()..).map(|(key, _)| key);
                let below = keys.map_while(|key| key.strip_prefix(&start));
                below.filter(|rest| !rest.contains('/')).map(str::to_owned).collect()
            }
            Self::Dir(root) => {
                let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
                let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
                let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
                names.sort();
                names
            }
        }
    }
}

fn rename(root: &Path, from: &str, to: &str) -> Result<()> {
    let (from, to) = (root.join(from), root.join(to));
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    std::fs::rename(&from, &to).at("rename into place", &to)
}

fn make_folder(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).at("make folder", path)
}

/// A panic elsewhere leaves a map whole: every change of it is one step.
fn lock(map: &Mutex<BTreeMap<String, Vec<u8>>>) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
