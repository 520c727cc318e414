//! Mount steps. Every mount is made detached and attached by descriptor, and what lies inside the container is only
//! resolved after the old root is gone: a symbolic link of an image cannot lead out of it.

use core::ffi::CStr;

use crate::abi::*;
use crate::op::{Op, Slot, attach};
use crate::run::Run;
use crate::sys::{self, Errno, Result};

/// Performs the mount steps; `None` when the op is none of them.
pub(crate) fn step(run: &mut Run, op: Op) -> Option<Result<()>> {
    Some(match op {
        Op::Propagation { flags } => sys::mount(c"", c"/", c"", flags, c""),
        Op::Mount { source, target, fstype, flags, data } => mount(run, [source.0, target.0, fstype.0, data.0], flags),
        Op::NewMount { slot, fstype, attrs, options } => new_mount(run, slot, fstype.0, attrs, options.0),
        Op::CloneTree { slot, source, recursive } => clone_tree(run, slot, source.0, recursive),
        Op::MountAttrs { slot, set, clear, propagation, recursive } => {
            attributes(run, slot, [set, clear, propagation], recursive)
        }
        Op::Enter { path } => enter(run, path.0),
        Op::Attach { slot, target, flags } => attach(run, slot, target.0, flags),
        Op::Dir { slot, name, mode } => directory(run, slot, name.0, mode),
        Op::Node { slot, name, mode, major, minor, uid, gid } => {
            node(run, slot, name.0, [mode, major, minor], [uid, gid])
        }
        Op::Link { slot, name, target } => link(run, slot, name.0, target.0),
        Op::Mask { null, empty, path } => mask(run, null, empty, path.0),
        Op::ReadOnly { path } => read_only(run, path.0),
        Op::RootAttrs { set } => sys::mount_setattr(AT_FDCWD, c"/", 0, u64::from(set), 0, 0),
        Op::NoLink { path } => no_link(run, path.0),
        Op::Cwd { path } => working_folder(run, path.0),
        _ => return None,
    })
}

fn mount(run: &Run, [source, target, fstype, data]: [u32; 4], flags: u32) -> Result<()> {
    let plan = &run.plan;
    sys::mount(plan.text(source)?, plan.text(target)?, plan.text(fstype)?, flags, plan.text(data)?)
}

fn new_mount(run: &mut Run, slot: Slot, fstype: u32, attrs: u32, options: u32) -> Result<()> {
    let context = sys::fsopen(run.plan.text(fstype)?)?;
    for pair in run.plan.list(options)?.chunks_exact(2) {
        let [key, value] = pair else { return Err(Errno(EINVAL)) };
        let key = Some(run.plan.text(*key)?);
        if *value == u32::MAX {
            sys::fsconfig(context, FSCONFIG_SET_FLAG, key, None)?;
        } else {
            sys::fsconfig(context, FSCONFIG_SET_STRING, key, Some(run.plan.text(*value)?))?;
        }
    }
    sys::fsconfig(context, FSCONFIG_CMD_CREATE, None, None)?;
    let mount = sys::fsmount(context, attrs)?;
    sys::close(context);
    run.fill(slot, mount)
}

fn clone_flags(recursive: u32) -> u32 {
    OPEN_TREE_CLONE | if recursive == 0 { 0 } else { AT_RECURSIVE }
}

fn clone_tree(run: &mut Run, slot: Slot, source: u32, recursive: u32) -> Result<()> {
    let tree = sys::open_tree(AT_FDCWD, run.plan.text(source)?, clone_flags(recursive))?;
    run.fill(slot, tree)
}

fn attributes(run: &Run, slot: Slot, [set, clear, propagation]: [u32; 3], recursive: u32) -> Result<()> {
    let flags = AT_EMPTY_PATH | if recursive == 0 { 0 } else { AT_RECURSIVE };
    let [set, clear, propagation] = [set, clear, propagation].map(u64::from);
    sys::mount_setattr(run.slot(slot)?, c"", flags, set, clear, propagation)
}

/// The new root's mount covers the old one's place, then the old one, found under it, is let go.
fn enter(run: &Run, path: u32) -> Result<()> {
    sys::chdir(run.plan.text(path)?)?;
    sys::pivot_root(c".", c".")?;
    sys::umount(c".", MNT_DETACH)?;
    sys::chdir(c"/")
}

/// Opens a path inside the root without side effects on what it names.
fn locate(path: &CStr, no_links: bool) -> Result<i32> {
    let resolve = RESOLVE_IN_ROOT | if no_links { RESOLVE_NO_SYMLINKS } else { 0 };
    sys::openat2(AT_FDCWD, path, O_PATH, 0, resolve)
}

fn attach(run: &mut Run, slot: Slot, target: u32, flags: u32) -> Result<()> {
    let mount = run.slot(slot)?;
    let path = run.plan.text(target)?;
    let no_links = flags & attach::NO_LINKS != 0;
    let onto = match locate(path, no_links) {
        Err(Errno(ENOENT)) if flags & attach::CREATE != 0 => {
            make_target(path, sys::mode_of(mount, c"")? & S_IFMT == S_IFDIR)?;
            locate(path, no_links)?
        }
        found => found?,
    };
    let moved = sys::move_mount(mount, onto);
    sys::close(onto);
    if flags & attach::KEEP == 0 {
        run.drain(slot);
    }
    moved
}

/// Makes the folders of a path, and at its end a folder or an empty file.
fn make_target(path: &CStr, folder: bool) -> Result<()> {
    let mut buffer = [0_u8; 4096];
    let bytes = path.to_bytes();
    let whole = buffer.get_mut(..bytes.len()).ok_or(Errno(ENAMETOOLONG))?;
    whole.copy_from_slice(bytes);
    for at in 1..bytes.len() {
        if bytes.get(at) == Some(&b'/') {
            end_at(&mut buffer, at, 0);
            make_folder(&buffer)?;
            end_at(&mut buffer, at, b'/');
        }
    }
    if folder {
        return make_folder(&buffer);
    }
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    match sys::openat2(AT_FDCWD, path, flags, 0o644, RESOLVE_IN_ROOT) {
        Ok(file) => {
            sys::close(file);
            Ok(())
        }
        Err(Errno(EEXIST)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn end_at(buffer: &mut [u8; 4096], at: usize, byte: u8) {
    if let Some(place) = buffer.get_mut(at) {
        *place = byte;
    }
}

fn make_folder(buffer: &[u8; 4096]) -> Result<()> {
    let path = CStr::from_bytes_until_nul(buffer).map_err(|_| Errno(ENAMETOOLONG))?;
    match sys::mkdirat(AT_FDCWD, path, 0o755) {
        Ok(()) | Err(Errno(EEXIST)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn directory(run: &Run, slot: Slot, name: u32, mode: u32) -> Result<()> {
    sys::mkdirat(run.slot(slot)?, run.plan.text(name)?, mode)
}

fn node(run: &Run, slot: Slot, name: u32, [mode, major, minor]: [u32; 3], [uid, gid]: [u32; 2]) -> Result<()> {
    let (dir, name) = (run.slot(slot)?, run.plan.text(name)?);
    sys::mknodat(dir, name, mode, major, minor)?;
    if uid != 0 || gid != 0 {
        sys::fchownat(dir, name, uid, gid)?;
    }
    Ok(())
}

fn link(run: &Run, slot: Slot, name: u32, target: u32) -> Result<()> {
    sys::symlinkat(run.plan.text(target)?, run.slot(slot)?, run.plan.text(name)?)
}

/// A file is hidden by a null device, a folder by an empty read-only file system; both by descriptor, so that what an
/// image put at `/dev/null` does not matter.
fn mask(run: &Run, null: Slot, empty: Slot, path: u32) -> Result<()> {
    let onto = match locate(run.plan.text(path)?, true) {
        Ok(onto) => onto,
        Err(Errno(ENOENT | ENOTDIR)) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let folder = sys::mode_of(onto, c"")? & S_IFMT == S_IFDIR;
    let source = run.slot(if folder { empty } else { null })?;
    let moved = match sys::open_tree(source, c"", clone_flags(0) | AT_EMPTY_PATH) {
        Ok(cover) => {
            let moved = sys::move_mount(cover, onto);
            sys::close(cover);
            moved
        }
        // Before Linux 6.15 a mount that is attached nowhere cannot be copied: it covers the first path itself.
        Err(Errno(EINVAL)) => sys::move_mount(source, onto),
        Err(errno) => Err(errno),
    };
    sys::close(onto);
    moved
}

fn read_only(run: &Run, path: u32) -> Result<()> {
    let onto = match locate(run.plan.text(path)?, true) {
        Ok(onto) => onto,
        Err(Errno(ENOENT | ENOTDIR)) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let tree = sys::open_tree(onto, c"", clone_flags(1) | AT_EMPTY_PATH)?;
    sys::mount_setattr(tree, c"", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0)?;
    let moved = sys::move_mount(tree, onto);
    sys::close(tree);
    sys::close(onto);
    moved
}

fn no_link(run: &Run, path: u32) -> Result<()> {
    match locate(run.plan.text(path)?, true) {
        Ok(found) => {
            sys::close(found);
            Ok(())
        }
        Err(Errno(ENOENT)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Magic links are not followed, so `/proc/self/fd/7` leads nowhere.
fn working_folder(run: &Run, path: u32) -> Result<()> {
    let path = run.plan.text(path)?;
    let open = || sys::openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
    let folder = match open() {
        Err(Errno(ENOENT)) => {
            make_target(path, true)?;
            open()?
        }
        found => found?,
    };
    let entered = sys::fchdir(folder);
    sys::close(folder);
    entered
}

/// Puts the terminal at `/dev/console`, both named by descriptor.
pub(crate) fn bind_console(terminal: i32) -> Result<()> {
    make_target(c"/dev/console", false)?;
    let onto = locate(c"/dev/console", true)?;
    let cover = sys::open_tree(terminal, c"", clone_flags(0) | AT_EMPTY_PATH)?;
    let moved = sys::move_mount(cover, onto);
    sys::close(cover);
    sys::close(onto);
    moved
}
