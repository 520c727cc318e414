//! A tree of files and the safe ways into it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, open, openat2, statat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

use crate::error::{Error, Result};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// Anything else.
    File,
}

/// A root folder below which paths are resolved.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    shown: PathBuf,
}

impl Tree {
    /// The host's own files.
    ///
    /// # Errors
    /// `Io`.
    pub fn host() -> Result<Self> {
        Self::at(Path::new("/"))
    }

    /// The files that a running process sees.
    ///
    /// # Errors
    /// `Io` when it has ended.
    pub fn of_process(pid: i32) -> Result<Self> {
        Self::at(Path::new(&format!("/proc/{pid}/root")))
    }

    fn at(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(|errno| Error::io("open", path)(errno.into()))?;
        Ok(Self { root, shown: PathBuf::new() })
    }

    /// The files of a container that does not run: its layers, mounted for this process only and never attached to a
    /// folder, so that nothing is left however this process ends.
    ///
    /// # Errors
    /// `Io` when the kernel refuses the mount.
    pub fn overlay(lower: &[PathBuf], upper: &Path, work: &Path, userxattr: bool) -> Result<Self> {
        let mount = || -> rustix::io::Result<OwnedFd> {
            let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
            for folder in lower {
                fsconfig_set_string(fs.as_fd(), "lowerdir+", folder)?;
            }
            fsconfig_set_string(fs.as_fd(), "upperdir", upper)?;
            fsconfig_set_string(fs.as_fd(), "workdir", work)?;
            if userxattr {
                rustix::mount::fsconfig_set_flag(fs.as_fd(), "userxattr")?;
            }
            fsconfig_create(fs.as_fd())?;
            let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
            fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        let root = mount().map_err(|errno| Error::io("mount the layers above", upper)(errno.into()))?;
        Ok(Self { root, shown: PathBuf::new() })
    }

    /// Opens the folder at `path`, links followed within the tree.
    ///
    /// # Errors
    /// `Io` when there is none.
    pub fn folder(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(&self.root, relative(path), flags, Mode::empty(), ResolveFlags::IN_ROOT)
            .map_err(|errno| Error::io("open", self.shown.join(path))(errno.into()))
    }

    /// What is at `path`; nothing when there is nothing. A link at its end is followed when `follow` says so.
    ///
    /// # Errors
    /// `Io` for everything but absence.
    pub fn kind(&self, path: &Path, follow: bool) -> Result<Option<Kind>> {
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        let found = match openat2(&self.root, relative(path), flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::io("look at", path)(errno.into())),
        };
        let stat = rustix::fs::fstat(&found).map_err(|errno| Error::io("look at", path)(errno.into()))?;
        let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        Ok(Some(if folder { Kind::Folder } else { Kind::File }))
    }

    /// Opens the folder that holds `path` and gives the last name in it. With `follow`, a link there is followed first.
    ///
    /// # Errors
    /// `Io`; `Usage` when the path has no last name.
    pub fn parent(&self, path: &Path, follow: bool) -> Result<(OwnedFd, PathBuf)> {
        let mut path = path.to_path_buf();
        for _ in 0..40 {
            let name = path.file_name().ok_or_else(|| Error::usage(format!("{} has no name", path.display())))?;
            let name = PathBuf::from(name);
            let above = path.parent().unwrap_or(Path::new("/")).to_path_buf();
            let folder = self.folder(&above)?;
            let is_link = || {
                statat(&folder, &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
            };
            if !follow || !is_link() {
                return Ok((folder, name));
            }
            let target = rustix::fs::readlinkat(&folder, &name, Vec::new())
                .map_err(|errno| Error::io("read the link", path.clone())(errno.into()))?;
            let target = PathBuf::from(std::ffi::OsString::from(target.to_string_lossy().into_owned()));
            // Folders above are links followed by the kernel within the tree, `..` at the root stays there.
            path = above.join(target);
        }
        Err(Error::io("follow the links of", path)(std::io::Error::from_raw_os_error(40)))
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// The kernel resolves below the root; an empty path is the root itself.
fn relative(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new("/") } else { path }
}
