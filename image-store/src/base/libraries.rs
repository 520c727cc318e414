//! Where the loader of the host would find a library: run paths, then its cache, then its default folders.
//!
//! The order is that of glibc's ld.so(8), without the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::elf::Elf;

/// Finds libraries as the host's loader does.
#[derive(Debug)]
pub(super) struct Finder {
    cache: BTreeMap<String, Vec<String>>,
    folders: Vec<PathBuf>,
}

/// A library on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// It was found by something that the image does not have (the cache), in a folder the loader does not know.
    pub(super) needs_link: bool,
}

impl Default for Finder {
    fn default() -> Self {
        let cache = std::fs::read("/etc/ld.so.cache").unwrap_or_default();
        Self { cache: super::cache::parse(&cache), folders: default_folders() }
    }
}

/// The folders that loaders search by themselves: those of multi-arch Debian, of 64-bit Red Hat, and of everybody.
fn default_folders() -> Vec<PathBuf> {
    let triplet = match std::env::consts::ARCH {
        "arm" => "arm-linux-gnueabihf".to_owned(),
        "x86" => "i386-linux-gnu".to_owned(),
        arch => format!("{arch}-linux-gnu"),
    };
    let mut folders: Vec<PathBuf> =
        [format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")].into_iter().map(PathBuf::from).collect();
    folders.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
    folders.retain(|folder| folder.is_dir());
    folders
}

impl Finder {
    /// Finds `name` for the object `elf`, which lies in the folder `origin`; `main` is the program's own run path.
    pub(super) fn find(&self, name: &str, elf: &Elf, origin: &Path, main: &[String]) -> Option<Found> {
        let fits = |path: &Path| {
            std::fs::read(path).ok().and_then(|bytes| Elf::parse(&bytes)).is_some_and(|other| other.kind == elf.kind)
        };
        if name.contains('/') {
            let path = PathBuf::from(name);
            return fits(&path).then_some(Found { path, needs_link: false });
        }
        let run = if elf.runpath.is_empty() { [&elf.rpath[..], main].concat() } else { elf.runpath.clone() };
        let run = run.iter().map(|folder| expand(folder, origin)).filter(|folder| folder.is_absolute());
        if let Some(path) = run.map(|folder| folder.join(name)).find(|path| fits(path)) {
            return Some(Found { path, needs_link: false });
        }
        let default = self.folders.iter().map(|folder| folder.join(name)).find(|path| fits(path));
        let cached = self.cache.get(name).into_iter().flatten().map(PathBuf::from).find(|path| fits(path));
        match (cached, default) {
            (Some(cached), Some(default)) if same_file(&cached, &default) => {
                Some(Found { path: default, needs_link: false })
            }
            (Some(cached), _) => {
                let known = cached.parent().is_some_and(|folder| self.folders.iter().any(|other| other == folder));
                Some(Found { path: cached, needs_link: !known })
            }
            (None, default) => default.map(|path| Found { path, needs_link: false }),
        }
    }

    /// The first default folder: where a library goes that only the cache knew.
    pub(super) fn link_folder(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// A library in a default folder, of any kind.
    pub(super) fn default_library(&self, name: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok() == other.canonicalize().ok()
}

fn expand(folder: &str, origin: &Path) -> PathBuf {
    let origin = origin.to_string_lossy();
    PathBuf::from(folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
}
