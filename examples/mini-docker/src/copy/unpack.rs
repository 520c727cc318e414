//! From a tar stream to a tree. The stream is as little trusted as the tree.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, chownat, fchmod, futimens, linkat,
    mkdirat, openat, openat2, statat, symlinkat, unlinkat,
};
use tar::{Archive, Entry, EntryType};

use crate::error::{Error, Result};

/// Whose files the unpacked ones become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Those of whoever unpacks; bits that give away rights are dropped.
    Ours,
    /// Root's in the container, with all bits.
    Root,
    /// As the archive says.
    Archived,
}

/// Unpacks an archive below `folder`. Entries may rename their first part: `rename` gives its new name.
///
/// # Errors
/// `Io`, or `Refused` for an entry that would leave the folder.
pub fn unpack(folder: BorrowedFd<'_>, rename: Option<&Path>, ownership: Ownership, input: impl Read) -> Result<()> {
    let mut archive = Archive::new(input);
    for entry in archive.entries().map_err(Error::io("read", "the archive"))? {
        let mut entry = entry.map_err(Error::io("read", "the archive"))?;
        let path = entry.path().map_err(Error::io("read", "the archive"))?.into_owned();
        let path = safe(&path, rename)?;
        if !path.as_os_str().is_empty() {
            let place = Place { folder, path: &path, ownership, rename };
            place.put(&mut entry)?;
        }
    }
    Ok(())
}

/// A path of plain names only.
fn safe(path: &Path, rename: Option<&Path>) -> Result<PathBuf> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(PathBuf::from(name)),
            Component::CurDir | Component::RootDir => {}
            _ => {
                let message = format!("the archive's entry {} would leave its folder", path.display());
                return Err(Error::Refused { message });
            }
        }
    }
    if let (Some(first), Some(rename)) = (names.first_mut(), rename) {
        *first = rename.to_path_buf();
    }
    Ok(names.iter().collect())
}

struct Place<'a> {
    folder: BorrowedFd<'a>,
    path: &'a Path,
    ownership: Ownership,
    rename: Option<&'a Path>,
}

impl Place<'_> {
    fn failed(&self, doing: &'static str) -> impl FnOnce(rustix::io::Errno) -> Error {
        let path = self.path.to_path_buf();
        move |errno| Error::io(doing, path)(errno.into())
    }

    fn put(&self, entry: &mut Entry<'_, impl Read>) -> Result<()> {
        let above = self.folder_above()?;
        let name = Path::new(self.path.file_name().unwrap_or_default());
        let mode = Mode::from_raw_mode(entry.header().mode().unwrap_or(0o644) & self.allowed_bits());
        match entry.header().entry_type() {
            EntryType::Directory => self.folder(&above, name, mode)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.clear(&above, name)?;
                self.file(&above, name, mode, entry)?;
            }
            EntryType::Symlink => {
                self.clear(&above, name)?;
                let target = self.target(entry)?;
                symlinkat(&target, &above, name).map_err(self.failed("make the link"))?;
            }
            EntryType::Link => {
                let target = safe(&self.target(entry)?, self.rename)?;
                self.clear(&above, name)?;
                let from = Place { path: &target, ..*self };
                let from_name = Path::new(target.file_name().unwrap_or_default());
                linkat(from.folder_above()?, from_name, &above, name, AtFlags::empty())
                    .map_err(self.failed("make the link"))?;
            }
            // Devices are not made for an archive's sake, and nothing else is known.
            _ => return Ok(()),
        }
        self.own(&above, name, entry)
    }

    fn allowed_bits(&self) -> u32 {
        if self.ownership == Ownership::Ours { 0o777 } else { 0o7777 }
    }

    fn target(&self, entry: &Entry<'_, impl Read>) -> Result<PathBuf> {
        let target = entry.link_name().map_err(Error::io("read the link of", self.path))?;
        target.map(std::borrow::Cow::into_owned).ok_or_else(|| Error::Refused {
            message: format!("the archive's link {} leads nowhere", self.path.display()),
        })
    }

    /// Opens the folder above, made if need be; a link on the way is refused.
    fn folder_above(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let way = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let parts: Vec<Component<'_>> =
            self.path.parent().map(|above| above.components().collect()).unwrap_or_default();
        let mut at = openat2(self.folder, ".", flags, Mode::empty(), way).map_err(self.failed("open the folder of"))?;
        for part in parts {
            let name = Path::new(part.as_os_str());
            match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(self.failed("make the folder of")(errno)),
            }
            at = openat2(&at, name, flags, Mode::empty(), way).map_err(self.failed("open the folder of"))?;
        }
        Ok(at)
    }

    /// Takes away what is in the way, unless it is a folder.
    fn clear(&self, above: &OwnedFd, name: &Path) -> Result<()> {
        match unlinkat(above, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(rustix::io::Errno::ISDIR) => {
                let message = format!("cannot overwrite directory \"{}\" with non-directory", self.path.display());
                Err(Error::Refused { message })
            }
            Err(errno) => Err(self.failed("replace")(errno)),
        }
    }

    fn folder(&self, above: &OwnedFd, name: &Path, mode: Mode) -> Result<()> {
        match mkdirat(above, name, mode) {
            Ok(()) => rustix::fs::chmodat(above, name, mode, AtFlags::empty()).map_err(self.failed("set the mode of")),
            Err(rustix::io::Errno::EXIST) => {
                let stat = statat(above, name, AtFlags::SYMLINK_NOFOLLOW).map_err(self.failed("look at"))?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    return Ok(());
                }
                let message = format!("cannot overwrite non-directory \"{}\" with directory", self.path.display());
                Err(Error::Refused { message })
            }
            Err(errno) => Err(self.failed("make")(errno)),
        }
    }

    fn file(&self, above: &OwnedFd, name: &Path, mode: Mode, entry: &mut Entry<'_, impl Read>) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(above, name, flags, Mode::from_raw_mode(0o600)).map_err(self.failed("make"))?;
        let mut file = File::from(fd);
        std::io::copy(entry, &mut file).map_err(Error::io("write", self.path))?;
        fchmod(&file, mode).map_err(self.failed("set the mode of"))?;
        let seconds = i64::try_from(entry.header().mtime().unwrap_or(0)).unwrap_or(0);
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        futimens(&file, &Timestamps { last_access: time, last_modification: time })
            .map_err(self.failed("set the time of"))
    }

    fn own(&self, above: &OwnedFd, name: &Path, entry: &Entry<'_, impl Read>) -> Result<()> {
        if self.ownership != Ownership::Archived {
            return Ok(());
        }
        let id = |id: std::io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok());
        let (uid, gid) = (id(entry.header().uid()), id(entry.header().gid()));
        chownat(above.as_fd(), name, uid.map(Uid::from_raw), gid.map(Gid::from_raw), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.failed("set the owner of"))
    }
}
