//! `cp`: between a container and this machine, or a tar stream.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use container_core::supervisor::Status;

use crate::cli::CpArgs;
use crate::copy::{Kind, Ownership, Tree, pack, unpack};
use crate::engine::{Engine, Seen};
use crate::error::{Error, Result};
use crate::launch::Layers;

/// One side of a copy.
enum Side<'a> {
    Container(&'a str, &'a str),
    Local(&'a str),
    Stream,
}

impl<'a> Side<'a> {
    /// `name:path` is a container's, unless it looks like a path before the colon.
    fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Stream,
            Some((name, path)) if !name.is_empty() && !name.starts_with(['/', '.']) => Self::Container(name, path),
            _ => Self::Local(text),
        }
    }
}

pub(super) fn cp(engine: &Engine, args: &CpArgs) -> Result<u8> {
    match (Side::parse(&args.source), Side::parse(&args.destination)) {
        (Side::Container(name, path), to @ (Side::Local(_) | Side::Stream)) => {
            let files = Files::of(engine, name)?;
            copy_out(&files.tree, &inside(path)?, &to, args)
        }
        (from @ (Side::Local(_) | Side::Stream), Side::Container(name, path)) => {
            let files = Files::of(engine, name)?;
            files.require_writable()?;
            copy_in(&files.tree, &from, &inside(path)?, args)
        }
        (Side::Container(..), Side::Container(..)) => Err(Error::usage("copying between containers is not supported")),
        _ => Err(Error::usage("must specify at least one container source")),
    }
    .map(|()| 0)
}

/// A container's path, from its root.
fn inside(path: &str) -> Result<PathBuf> {
    if path.is_empty() {
        return Err(Error::usage("the path in the container is empty"));
    }
    Ok(Path::new("/").join(path))
}

/// A container's files: as its programs see them, or its layers when it does not run.
struct Files {
    tree: Tree,
    read_only: bool,
    _lock: Option<container_core::supervisor::Lock>,
}

impl Files {
    fn of(engine: &Engine, name: &str) -> Result<Self> {
        let seen = engine.see(name)?;
        if matches!(seen.state.status, Status::Running | Status::Paused) {
            return Ok(Self { tree: Tree::of_process(seen.state.pid)?, read_only: false, _lock: None });
        }
        // With the lock held nobody starts it, and no second mount writes to the same layer.
        let lock = seen.dir.lock()?;
        let tree = layers(engine, &seen)?;
        Ok(Self { tree, read_only: seen.details.read_only, _lock: Some(lock) })
    }

    fn require_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(Error::Refused { message: "container rootfs is marked read-only".to_owned() });
        }
        Ok(())
    }
}

fn layers(engine: &Engine, seen: &Seen) -> Result<Tree> {
    let store = engine.store();
    let snapshot = store.unpack(&store.resolve(&seen.details.image_digest)?)?;
    Layers::of(&seen.dir, snapshot)?.tree()
}

/// What is to be copied: the folder it is in, its name there, and whether only its contents are meant.
struct Source {
    folder: OwnedFd,
    name: PathBuf,
    kind: Kind,
    contents_only: bool,
}

impl Source {
    fn find(tree: &Tree, path: &Path, follow: bool) -> Result<Self> {
        let text = path.as_os_str().as_encoded_bytes();
        let contents_only = text.ends_with(b"/.");
        let follow = follow || contents_only || text.ends_with(b"/");
        let missing = || Error::Refused { message: format!("Could not find the file {}", path.display()) };
        let kind = tree.kind(path, follow)?.ok_or_else(missing)?;
        if text.ends_with(b"/") && kind == Kind::File {
            return Err(Error::Refused { message: format!("{} is not a directory", path.display()) });
        }
        if path.file_name().is_none() || contents_only {
            let folder = tree.folder(path)?;
            return Ok(Self { folder, name: PathBuf::from("."), kind, contents_only: true });
        }
        let (folder, name) = tree.parent(path, follow)?;
        Ok(Self { folder, name, kind, contents_only })
    }

    fn shown(&self) -> &Path {
        if self.contents_only { Path::new("") } else { &self.name }
    }
}

/// Where it goes: a folder, and the name there when the copy gets another one.
struct Target {
    folder: OwnedFd,
    rename: Option<PathBuf>,
    /// A folder to be made first.
    make: bool,
}

impl Target {
    fn find(tree: &Tree, path: &Path, source: &Source) -> Result<Self> {
        match tree.kind(path, true)? {
            Some(Kind::Folder) => Ok(Self { folder: tree.folder(path)?, rename: None, make: false }),
            Some(Kind::File) if source.kind == Kind::Folder => {
                Err(Error::Refused { message: format!("cannot copy directory to file {}", path.display()) })
            }
            Some(Kind::File) => {
                let (folder, name) = tree.parent(path, true)?;
                Ok(Self { folder, rename: Some(name), make: false })
            }
            None if source.kind == Kind::File && path.as_os_str().as_encoded_bytes().ends_with(b"/") => {
                Err(Error::Refused { message: format!("no such directory: {}", path.display()) })
            }
            None => {
                let (folder, name) = tree.parent(path, false)?;
                Ok(Self { folder, rename: Some(name), make: source.contents_only })
            }
        }
    }

    /// A folder whose contents are copied to a new name: that folder is made, and is the target then.
    fn settle(self) -> Result<Self> {
        let (true, Some(name)) = (self.make, &self.rename) else { return Ok(self) };
        let failed = |errno: rustix::io::Errno| Error::io("make", name.clone())(errno.into());
        rustix::fs::mkdirat(&self.folder, name, rustix::fs::Mode::from_raw_mode(0o755)).map_err(failed)?;
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW;
        let folder = rustix::fs::openat(&self.folder, name, flags, rustix::fs::Mode::empty());
        let folder = folder.map_err(|errno| Error::io("open", name.clone())(errno.into()))?;
        Ok(Self { folder, rename: None, make: false })
    }
}

fn copy_out(tree: &Tree, path: &Path, to: &Side<'_>, args: &CpArgs) -> Result<()> {
    let source = Source::find(tree, path, args.follow_link)?;
    let Side::Local(to) = to else {
        let shown = if source.contents_only { Path::new(".") } else { source.shown() };
        return pack(source.folder.as_fd(), &source.name, shown, std::io::stdout().lock());
    };
    let ownership = if args.archive { Ownership::Archived } else { Ownership::Ours };
    transfer(&source, &Tree::host()?, &local(to)?, ownership)
}

fn copy_in(tree: &Tree, from: &Side<'_>, path: &Path, args: &CpArgs) -> Result<()> {
    let ownership = if args.archive { Ownership::Archived } else { Ownership::Root };
    let Side::Local(from) = from else {
        if tree.kind(path, true)? != Some(Kind::Folder) {
            let message = format!("destination \"{}\" must be a directory to unpack a stream", path.display());
            return Err(Error::Refused { message });
        }
        return unpack(tree.folder(path)?.as_fd(), None, ownership, std::io::stdin().lock());
    };
    let source = Source::find(&Tree::host()?, &local(from)?, args.follow_link)?;
    transfer(&source, tree, path, ownership)
}

/// An absolute path that keeps a trailing slash or `/.`, since both mean something.
fn local(path: &str) -> Result<PathBuf> {
    let mut full = std::path::absolute(path).map_err(Error::io("resolve", path))?.into_os_string();
    for end in ["/.", "/"] {
        let there = full.as_encoded_bytes().ends_with(end.as_bytes());
        if (path.ends_with(end) || (end == "/." && path == ".")) && !there {
            full.push(end);
            break;
        }
    }
    Ok(full.into())
}

/// Packs on one thread and unpacks on this one.
fn transfer(source: &Source, tree: &Tree, path: &Path, ownership: Ownership) -> Result<()> {
    let target = Target::find(tree, path, source)?.settle()?;
    let (reader, writer) = std::io::pipe().map_err(Error::io("make a pipe for", path))?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(|| pack(source.folder.as_fd(), &source.name, source.shown(), writer));
        let unpacked = unpack(target.folder.as_fd(), target.rename.as_deref(), ownership, reader);
        let packed = packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        unpacked.and(packed)
    })
}
