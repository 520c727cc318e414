//! From a tree to a tar stream.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use tar::{Builder, EntryType, Header};

use crate::error::{Error, Result};

/// Deeper trees are refused: nobody made them by hand.
const DEEPEST: usize = 1000;

/// Packs what `name` is in `folder`, calling it `shown` in the archive. An empty `shown` packs a folder's contents only.
///
/// # Errors
/// `Io`.
pub fn pack(folder: BorrowedFd<'_>, name: &Path, shown: &Path, out: impl Write) -> Result<()> {
    let mut packer = Packer { builder: Builder::new(out) };
    packer.entry(folder, name, shown, 0)?;
    packer.builder.into_inner().and_then(|mut out| out.flush()).map_err(Error::io("write", "the archive"))
}

struct Packer<W: Write> {
    builder: Builder<W>,
}

impl<W: Write> Packer<W> {
    fn entry(&mut self, folder: BorrowedFd<'_>, name: &Path, shown: &Path, depth: usize) -> Result<()> {
        let at = |errno: rustix::io::Errno| Error::io("read", shown)(errno.into());
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(at)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.folder(folder, name, shown, &stat, depth),
            FileType::RegularFile => self.file(folder, name, shown, &stat),
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new()).map_err(at)?;
                let mut header = header(&stat, EntryType::Symlink, 0);
                let target = PathBuf::from(String::from_utf8_lossy(target.as_bytes()).into_owned());
                self.builder.append_link(&mut header, shown, target).map_err(Error::io("write", shown))
            }
            FileType::Fifo => self.empty(shown, header(&stat, EntryType::Fifo, 0)),
            // Sockets cannot be carried, devices are the other machine's.
            _ => Ok(()),
        }
    }

    fn empty(&mut self, shown: &Path, mut header: Header) -> Result<()> {
        self.builder.append_data(&mut header, shown, std::io::empty()).map_err(Error::io("write", shown))
    }

    fn file(&mut self, folder: BorrowedFd<'_>, name: &Path, shown: &Path, stat: &Stat) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = openat(folder, name, flags, Mode::empty()).map_err(|errno| Error::io("open", shown)(errno.into()))?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mut header = header(stat, EntryType::Regular, size);
        // A file that shrinks meanwhile is filled up with zeros, one that grows is cut: the size is written already.
        let exact = File::from(fd).chain(std::io::repeat(0)).take(size);
        self.builder.append_data(&mut header, shown, exact).map_err(Error::io("copy", shown))
    }

    fn folder(&mut self, above: BorrowedFd<'_>, name: &Path, shown: &Path, stat: &Stat, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(Error::Refused { message: format!("{} is nested too deeply", shown.display()) });
        }
        let at = |errno: rustix::io::Errno| Error::io("open", shown)(errno.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(above, name, flags, Mode::empty()).map_err(at)?;
        if !shown.as_os_str().is_empty() {
            self.empty(&shown.join(""), header(stat, EntryType::Directory, 0))?;
        }
        let mut names: Vec<PathBuf> = Vec::new();
        for entry in Dir::read_from(&fd).map_err(at)? {
            names.extend(plain_name(entry.map_err(at)?.file_name()));
        }
        names.sort_unstable();
        for name in names {
            self.entry(fd.as_fd(), &name, &shown.join(&name), depth + 1)?;
        }
        Ok(())
    }
}

fn plain_name(name: &CStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    (name != Path::new(".") && name != Path::new("..")).then(|| name.to_path_buf())
}

fn header(stat: &Stat, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(u64::from(stat.st_uid));
    header.set_gid(u64::from(stat.st_gid));
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header
}
