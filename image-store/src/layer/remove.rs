//! Removing a tree that an untrusted layer made: links are never followed, depth costs neither stack nor descriptors.
//!
//! Folders deeper than one level are first moved up to the top, so two open folders are enough for any depth.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, chmodat, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::Result;
use crate::error::At as _;

/// Removes `path` and everything in it. What is already gone is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    remove_at(CWD, path).at("remove", path)
}

/// The same for an entry of an open folder.
pub(super) fn remove_at<P: Arg + Copy>(at: BorrowedFd<'_>, path: P) -> rustix::io::Result<()> {
    gone_is_fine(remove(at, path))
}

fn remove<P: Arg + Copy>(at: BorrowedFd<'_>, path: P) -> rustix::io::Result<()> {
    match unlinkat(at, path, AtFlags::empty()) {
        // EPERM is what POSIX says for a folder, EISDIR what Linux says.
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    chmodat(at, path, Mode::RWXU, AtFlags::empty())?;
    let top = open_folder(at, path)?;
    let mut counter = 0_u64;
    loop {
        let children = list(&top)?;
        if children.is_empty() {
            return unlinkat(at, path, AtFlags::REMOVEDIR);
        }
        for (name, is_folder) in children {
            if is_folder {
                empty_into(&top, &name, &mut counter)?;
                gone_is_fine(unlinkat(&top, &name, AtFlags::REMOVEDIR))?;
            } else {
                gone_is_fine(unlinkat(&top, &name, AtFlags::empty()))?;
            }
        }
    }
}

/// Unlinks the files in `top/name` and moves its folders up into `top`.
fn empty_into(top: &OwnedFd, name: &CStr, counter: &mut u64) -> rustix::io::Result<()> {
    gone_is_fine(chmodat(top, name, Mode::RWXU, AtFlags::empty()))?;
    let folder = match open_folder(top, name) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    for (child, is_folder) in list(&folder)? {
        if !is_folder {
            gone_is_fine(unlinkat(&folder, &child, AtFlags::empty()))?;
            continue;
        }
        gone_is_fine(chmodat(&folder, &child, Mode::RWXU, AtFlags::empty()))?;
        loop {
            *counter += 1;
            let free = format!(".{counter}");
            match renameat_with(&folder, &child, top, free.as_str(), RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                other => break gone_is_fine(other)?,
            }
        }
    }
    Ok(())
}

fn gone_is_fine(outcome: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match outcome {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn open_folder<P: Arg>(at: impl AsFd, path: P) -> rustix::io::Result<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn list(folder: &OwnedFd) -> rustix::io::Result<Vec<(CString, bool)>> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            entries.push((name.to_owned(), entry.file_type() == FileType::Directory));
        }
    }
    Ok(entries)
}
