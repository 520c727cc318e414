//! `Root`: a folder that nothing of a layer can lead out of. Every name is resolved by the kernel with
//! `openat2(RESOLVE_IN_ROOT)`, so absolute links and `..` inside the layer stay inside, also while somebody renames.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat, openat, openat2, readlinkat, statat};
use rustix::io::Errno;

use super::path::SafePath;
use crate::error::At as _;
use crate::{Error, Result};

/// An open folder as the root of names.
#[derive(Debug)]
pub(crate) struct Root {
    folder: OwnedFd,
}

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty()).at("open folder", path)?;
        Ok(Self { folder })
    }

    /// Opens a folder below, following links inside the root.
    pub(crate) fn folder(&self, path: &SafePath) -> rustix::io::Result<OwnedFd> {
        self.open_with(path, OFlags::RDONLY | OFlags::DIRECTORY, ResolveFlags::IN_ROOT)
    }

    /// Opens whatever is there, as a folder of a lower layer that no link may stand in the way to.
    pub(crate) fn plain(&self, path: &SafePath) -> rustix::io::Result<OwnedFd> {
        self.open_with(path, OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
    }

    /// Opens a regular file below for reading, through no link at all.
    pub(crate) fn file(&self, path: &SafePath) -> rustix::io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        self.open_with(path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS).map(File::from)
    }

    fn open_with(&self, path: &SafePath, flags: OFlags, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        let name = if path.is_root() { c".".to_owned() } else { c_string(path.bytes())? };
        loop {
            // EAGAIN: something was renamed meanwhile and the kernel could not tell whether it led out.
            match openat2(
                &self.folder,
                &name,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                resolve | ResolveFlags::NO_MAGICLINKS,
            ) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }
}

/// Looks at an entry of an open folder, never through a link.
pub(crate) fn look(folder: impl AsFd, name: &[u8]) -> rustix::io::Result<Stat> {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn read_link(folder: impl AsFd, name: &[u8]) -> rustix::io::Result<Vec<u8>> {
    readlinkat(folder, name, Vec::new()).map(CString::into_bytes)
}

fn c_string(bytes: &[u8]) -> rustix::io::Result<CString> {
    CString::new(bytes).map_err(|_| Errno::INVAL)
}

/// Turns a refusal of the kernel into the error of a layer's entry, or of the machine when it is the machine's.
pub(crate) fn trouble(subject: &str, path: &SafePath, doing: &'static str, errno: Errno) -> Error {
    match errno {
        Errno::NOSYS => Error::Unsupported {
            feature: "unpacking safely".to_owned(),
            hint: "it needs the system call openat2 (Linux 5.6 or later)".to_owned(),
        },
        Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::ISDIR | Errno::NAMETOOLONG => {
            Error::layer(subject, format!("cannot {doing} {path}: {}", std::io::Error::from(errno)))
        }
        errno => Error::Io { doing, path: path.to_string().into(), source: errno.into() },
    }
}
