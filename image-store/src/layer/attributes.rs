//! Owner, extended attributes, mode and times of an entry, in the order in which the kernel does not undo them: a change
//! of owner clears set-id bits and capabilities, so it comes first.
//!
//! Where the owner cannot be set (no privilege, or an id that the user namespace does not map) the entry stays with the
//! caller, and files and folders remember the true owner in `user.containers.override_stat`, as other rootless tools do.

use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fsetxattr, futimens, utimensat,
};
use rustix::io::Errno;

use super::tar::Entry;

const OVERRIDE: &str = "user.containers.override_stat";

/// What could not be done as the layer wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shortfalls {
    /// Entries whose owner became the caller.
    pub(crate) squashed: u64,
    /// Device nodes left out.
    pub(crate) devices: u64,
    /// Extended attributes left out.
    pub(crate) xattrs: u64,
}

/// Everything about an entry but its name and content.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl From<Entry> for Attributes {
    fn from(entry: Entry) -> Self {
        let Entry { mode, uid, gid, mtime, xattrs, .. } = entry;
        Self { mode, uid, gid, mtime, xattrs }
    }
}

impl Attributes {
    /// Gives them to an open file or folder.
    pub(crate) fn give(&self, file: impl AsFd, shortfalls: &mut Shortfalls) -> rustix::io::Result<()> {
        let file = file.as_fd();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        match fchown(file, Some(uid), Some(gid)) {
            Err(Errno::PERM | Errno::INVAL) => {
                shortfalls.squashed += 1;
                if (self.uid, self.gid) != (0, 0) {
                    let owner = format!("{}:{}:0{:o}", self.uid, self.gid, self.mode);
                    optional(fsetxattr(file, OVERRIDE, owner.as_bytes(), XattrFlags::empty()))?;
                }
            }
            other => other?,
        }
        for (name, value) in &self.xattrs {
            if !is_wanted(name) || !optional(fsetxattr(file, &name[..], value, XattrFlags::empty()))? {
                shortfalls.xattrs += 1;
            }
        }
        fchmod(file, Mode::from_raw_mode(self.mode))?;
        futimens(file, &self.times())
    }

    /// Gives owner and time to an entry that cannot be opened: a link, a device.
    pub(crate) fn give_to_name(
        &self,
        folder: impl AsFd,
        name: &[u8],
        shortfalls: &mut Shortfalls,
    ) -> rustix::io::Result<()> {
        let folder = folder.as_fd();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        match chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::PERM | Errno::INVAL) => shortfalls.squashed += 1,
            other => other?,
        }
        utimensat(folder, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: self.mtime.0, tv_nsec: i64::from(self.mtime.1) };
        Timestamps { last_access: time, last_modification: time }
    }
}

/// What an image may set. Overlay's own attributes would let a layer reach into others; labels and trusted attributes
/// belong to the host.
fn is_wanted(name: &[u8]) -> bool {
    let user = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") && name != OVERRIDE.as_bytes();
    user || name == b"security.capability" || name.starts_with(b"system.posix_acl_")
}

/// A file system without such attributes, or a caller who may not set this one, is no reason to fail.
fn optional(outcome: rustix::io::Result<()>) -> rustix::io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS | Errno::INVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}
