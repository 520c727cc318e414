//! Turning one layer into a folder of its own that overlay can stack: whiteouts become device 0/0, opaque folders get
//! overlay's mark, and everything keeps owner, mode, links, times and attributes.
//!
//! Two steps, so that layers can be written at the same time: [`apply`] needs nothing but the layer; [`Applied::finish`]
//! looks into the layers below for what this one only implies (a parent folder that it does not mention, a hard link to
//! a file it does not contain). Whiteouts speak about the layers below, wherever in the archive they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, XattrFlags, chmodat, fsetxattr, linkat, makedev, mkdirat, mknodat, openat,
    symlinkat,
};
use rustix::io::Errno;

use super::attributes::{Attributes, Shortfalls};
use super::path::SafePath;
use super::remove::remove_at;
use super::root::{Root, look, read_link, trouble};
use super::tar::{Entry, Kind, TarReader};
use crate::error::At as _;
use crate::store::Limits;
use crate::{Error, Result};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const MOST_LINKS: u32 = 40;

/// Which extended attributes overlay will look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Markers {
    /// `trusted.overlay.*`: mounts by root.
    Trusted,
    /// `user.overlay.*`: mounts with `userxattr`, inside a user namespace.
    User,
}

impl Markers {
    pub(crate) fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }
}

/// A layer whose entries are on disk, and what is left to do once the layers below are known.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) shortfalls: Shortfalls,
    /// The layer hides everything below it.
    pub(crate) opaque_root: bool,
    folders: BTreeMap<SafePath, Attributes>,
    implied: BTreeSet<SafePath>,
    missing_links: Vec<(SafePath, SafePath)>,
}

/// Writes the entries of an uncompressed layer below `root`, and reads the stream to its end.
pub(crate) fn apply(layer: impl Read, root: &Root, markers: Markers, limits: Limits, subject: &str) -> Result<Applied> {
    let mut reader = TarReader::new(layer, subject.to_owned());
    let mut writer = Writer { root, markers, subject, applied: Applied::default(), parent: None };
    let (mut entries, mut bytes) = (0, 0_u64);
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        if let Kind::File { size } = entry.kind {
            bytes = bytes.saturating_add(size);
        }
        if entries > limits.layer_entries || bytes > limits.layer_bytes {
            let Limits { layer_entries, layer_bytes } = limits;
            let reason = format!("it is larger than the limit of {layer_entries} entries and {layer_bytes} bytes");
            return Err(Error::layer(subject, reason));
        }
        writer.entry(entry, &mut reader)?;
    }
    reader.drain()?;
    Ok(writer.applied)
}

struct Writer<'a> {
    root: &'a Root,
    markers: Markers,
    subject: &'a str,
    applied: Applied,
    /// The folder that the last entry went into; archives list a folder's entries together.
    parent: Option<(SafePath, Rc<OwnedFd>)>,
}

impl Writer<'_> {
    fn entry(&mut self, entry: Entry, reader: &mut TarReader<impl Read>) -> Result<()> {
        let path = SafePath::parse(&entry.path).map_err(|reason| reader.invalid(reason))?;
        if path.is_root() {
            return match entry.kind {
                Kind::Folder => {
                    self.applied.folders.insert(path, entry.into());
                    Ok(())
                }
                _ => Err(reader.invalid("the root is not a folder")),
            };
        }
        if path.name().starts_with(WHITEOUT) {
            return self.whiteout(&path).map_err(|reason| reason.unwrap_or_else(|| bad_whiteout(reader)));
        }
        let parent = self.parent(&path.parent())?;
        let trouble = |doing, errno| trouble(self.subject, &path, doing, errno);
        match &entry.kind {
            Kind::Folder => self.folder(&parent, path, entry),
            Kind::File { .. } => {
                let file = self.create(&parent, &path)?;
                copy(reader, &file, &path)?;
                let shortfalls = &mut self.applied.shortfalls;
                Attributes::from(entry).give(&file, shortfalls).map_err(|errno| trouble("set attributes of", errno))
            }
            Kind::HardLink { target } => {
                let target = SafePath::parse(target).map_err(|reason| reader.invalid(reason))?;
                self.hard_link(&parent, path, target)
            }
            Kind::Symlink { target } => {
                self.make(&parent, &path, || symlinkat(&target[..], &*parent, path.name()))?;
                self.name_attributes(&parent, &path, entry)
            }
            Kind::Character { major, minor } => {
                self.device(&parent, &path, FileType::CharacterDevice, makedev(*major, *minor), entry)
            }
            Kind::Block { major, minor } => {
                self.device(&parent, &path, FileType::BlockDevice, makedev(*major, *minor), entry)
            }
            Kind::Fifo => self.device(&parent, &path, FileType::Fifo, 0, entry),
        }
    }

    /// The open folder at `path`, made if the layer only implies it.
    fn parent(&mut self, path: &SafePath) -> Result<Rc<OwnedFd>> {
        if let Some((cached, folder)) = &self.parent
            && cached == path
        {
            return Ok(Rc::clone(folder));
        }
        let folder = Rc::new(self.ensure_folder(path, 0)?);
        self.parent = Some((path.clone(), Rc::clone(&folder)));
        Ok(folder)
    }

    fn ensure_folder(&mut self, path: &SafePath, links: u32) -> Result<OwnedFd> {
        let (mut missing, mut there) = (Vec::new(), path.clone());
        let mut folder = loop {
            match self.root.folder(&there) {
                Ok(folder) => break folder,
                Err(Errno::NOENT | Errno::NOTDIR) if !there.is_root() => {
                    let parent = there.parent();
                    missing.push(std::mem::replace(&mut there, parent));
                }
                Err(errno) => return Err(trouble(self.subject, path, "open folder", errno)),
            }
        };
        while let Some(next) = missing.pop() {
            folder = self.imply_folder(&folder, &next, links)?;
        }
        Ok(folder)
    }

    /// Makes the folder `path` in its open parent, in the place of what cannot be one.
    fn imply_folder(&mut self, parent: &OwnedFd, path: &SafePath, links: u32) -> Result<OwnedFd> {
        let wrong = |errno| trouble(self.subject, path, "make folder", errno);
        let mut made = false;
        match look(parent, path.name()) {
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(wrong(errno)),
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Symlink => {
                // A link to a folder that this layer does not mention: that one is implied.
                let target = read_link(parent, path.name()).map_err(wrong)?;
                let target = path.follow(&target).map_err(|reason| Error::layer(self.subject, reason))?;
                if links == MOST_LINKS || target == *path {
                    return Err(wrong(Errno::LOOP));
                }
                return self.ensure_folder(&target, links + 1);
            }
            // A file, or a whiteout, where a later entry needs a folder.
            Ok(found) => {
                made = found.st_rdev == 0 && is_character(found.st_mode);
                self.replace(parent, path, made)?;
            }
        }
        let wrong = |errno| trouble(self.subject, path, "make folder", errno);
        if !made {
            mkdirat(parent, path.name(), Mode::RWXU).map_err(wrong)?;
        }
        self.applied.implied.insert(path.clone());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(parent, path.name(), flags, Mode::empty()).map_err(wrong)
    }

    /// Takes away what is there, to make room for a folder; a folder in the place of a whiteout is opaque.
    fn replace(&mut self, parent: &OwnedFd, path: &SafePath, whiteout: bool) -> Result<()> {
        self.clear(parent, path)?;
        if whiteout {
            mkdirat(parent, path.name(), Mode::RWXU)
                .map_err(|errno| trouble(self.subject, path, "make folder", errno))?;
            self.make_opaque(parent, path)?;
        }
        Ok(())
    }

    fn folder(&mut self, parent: &OwnedFd, path: SafePath, entry: Entry) -> Result<()> {
        match look(parent, path.name()) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {}
            Ok(found) => self.replace(parent, &path, found.st_rdev == 0 && is_character(found.st_mode))?,
            Err(_) => {}
        }
        match mkdirat(parent, path.name(), Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(trouble(self.subject, &path, "make folder", errno)),
        }
        self.applied.implied.remove(&path);
        self.applied.folders.insert(path, entry.into());
        Ok(())
    }

    /// Opens a new file, in the place of whatever had its name.
    fn create(&mut self, parent: &OwnedFd, path: &SafePath) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        self.make(parent, path, || openat(parent, path.name(), flags, mode)).map(File::from)
    }

    /// Makes an entry; when the name is taken, the later entry wins.
    fn make<T>(&mut self, parent: &OwnedFd, path: &SafePath, make: impl Fn() -> rustix::io::Result<T>) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.clear(parent, path)?;
                make()
            }
            other => other,
        }
        .map_err(|errno| trouble(self.subject, path, "create", errno))
    }

    fn clear(&mut self, parent: &OwnedFd, path: &SafePath) -> Result<()> {
        use std::os::fd::AsFd as _;
        self.applied.folders.remove(path);
        self.applied.implied.remove(path);
        // What is below a folder stands together in the order of names.
        let (first, end) = path.range_below();
        while let Some((below, _)) = self.applied.folders.range(&first..&end).next() {
            let below = below.clone();
            self.applied.folders.remove(&below);
        }
        while let Some(below) = self.applied.implied.range(&first..&end).next().cloned() {
            self.applied.implied.remove(&below);
        }
        self.parent = None;
        remove_at(parent.as_fd(), path.name()).map_err(|errno| trouble(self.subject, path, "replace", errno))
    }

    fn hard_link(&mut self, parent: &OwnedFd, path: SafePath, target: SafePath) -> Result<()> {
        if target == path {
            return Ok(());
        }
        let wrong = |errno| trouble(self.subject, &path, "link", errno);
        let found = match self.root.folder(&target.parent()) {
            Ok(folder) => look(&folder, target.name()).map(|found| (folder, found)),
            Err(errno) => Err(errno),
        };
        let (folder, found) = match found {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.applied.missing_links.push((path, target));
                return Ok(());
            }
            other => other.map_err(wrong)?,
        };
        if found.st_rdev == 0 && is_character(found.st_mode) {
            return Err(Error::layer(self.subject, format!("{path} is a link to {target}, which the layer removes")));
        }
        self.make(parent, &path, || linkat(&folder, target.name(), parent, path.name(), AtFlags::empty()))
    }

    fn name_attributes(&mut self, parent: &OwnedFd, path: &SafePath, entry: Entry) -> Result<()> {
        Attributes::from(entry)
            .give_to_name(parent, path.name(), &mut self.applied.shortfalls)
            .map_err(|errno| trouble(self.subject, path, "set attributes of", errno))
    }

    fn device(&mut self, parent: &OwnedFd, path: &SafePath, kind: FileType, device: u64, entry: Entry) -> Result<()> {
        let mode = Mode::from_raw_mode(entry.mode);
        let made = self.make(parent, path, || match mknodat(parent, path.name(), kind, mode, device) {
            // Only root may make devices; a runtime gives containers the usual ones anyway.
            Err(Errno::PERM) if kind != FileType::Fifo => Ok(false),
            other => other.map(|()| true),
        })?;
        if !made {
            self.applied.shortfalls.devices += 1;
            return Ok(());
        }
        self.name_attributes(parent, path, entry)?;
        // mknod obeys the umask. The name is our own device in a folder that nobody else writes to.
        chmodat(parent, path.name(), mode, AtFlags::empty())
            .map_err(|errno| trouble(self.subject, path, "set mode of", errno))
    }

    /// `Err(None)` stands for a whiteout that means nothing.
    fn whiteout(&mut self, path: &SafePath) -> std::result::Result<(), Option<Error>> {
        let folder = path.parent();
        if path.name() == OPAQUE {
            self.parent(&folder)?;
            if folder.is_root() {
                self.applied.opaque_root = true;
                return Ok(());
            }
            let above = self.parent(&folder.parent())?;
            return Ok(self.make_opaque(&above, &folder)?);
        }
        let name = &path.name()[WHITEOUT.len()..];
        if name.starts_with(WHITEOUT) {
            // Notes that aufs left for itself.
            return Ok(());
        }
        if matches!(name, b"" | b"." | b"..") {
            return Err(None);
        }
        let hidden = folder.join(name);
        let parent = self.parent(&folder)?;
        match look(&*parent, name) {
            Err(Errno::NOENT) => {
                let wrong = |errno| trouble(self.subject, &hidden, "make whiteout", errno);
                Ok(mknodat(&*parent, name, FileType::CharacterDevice, Mode::empty(), 0).map_err(wrong)?)
            }
            // The same layer has a folder of this name: the one below must not shine through.
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                Ok(self.make_opaque(&parent, &hidden)?)
            }
            Ok(_) => Ok(()),
            Err(errno) => Err(Some(trouble(self.subject, &hidden, "inspect", errno))),
        }
    }

    /// Marks the folder `path`, which is an entry of `parent`. A link in its place is left alone.
    fn make_opaque(&self, parent: &OwnedFd, path: &SafePath) -> Result<()> {
        let wrong = |errno| trouble(self.subject, path, "mark opaque", errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(parent, path.name(), flags, Mode::empty()).map_err(wrong)?;
        fsetxattr(&folder, self.markers.opaque(), b"y", XattrFlags::empty()).map_err(wrong)
    }
}

fn bad_whiteout<R: Read>(reader: &TarReader<R>) -> Error {
    reader.invalid("a whiteout names nothing")
}

fn is_character(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::CharacterDevice
}

fn copy<R: Read>(reader: &mut TarReader<R>, mut file: &File, path: &SafePath) -> Result<()> {
    let mut buffer = [0_u8; 64 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => file.write_all(&buffer[..count]).at("write", path.to_string())?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reader.broken(&error)),
        }
    }
}

impl Applied {
    /// Completes the layer with what the layers below (nearest first) say, and gives the folders their attributes.
    pub(crate) fn finish(mut self, root: &Root, below: &[Root], subject: &str) -> Result<Self> {
        for (path, target) in std::mem::take(&mut self.missing_links) {
            self.copy_up(root, below, &path, &target, subject)?;
        }
        for path in std::mem::take(&mut self.implied) {
            let attributes = below.iter().find_map(|layer| inherited(layer, &path)).unwrap_or_else(plain_folder);
            self.folders.entry(path).or_insert(attributes);
        }
        self.folders.entry(SafePath::default()).or_insert_with(plain_folder);
        // Deepest first, because making anything inside a folder changes its time, and modes may shut us out.
        for (path, attributes) in self.folders.iter().rev() {
            let wrong = |errno| trouble(subject, path, "set attributes of", errno);
            let folder = match root.folder(&path.parent()) {
                Ok(parent) if !path.is_root() => openat(
                    &parent,
                    path.name(),
                    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                ),
                other => other,
            }
            .map_err(wrong)?;
            attributes.give(&folder, &mut self.shortfalls).map_err(wrong)?;
        }
        Ok(self)
    }

    /// A hard link to a file of a lower layer becomes a copy of that file.
    fn copy_up(
        &mut self,
        root: &Root,
        below: &[Root],
        path: &SafePath,
        target: &SafePath,
        subject: &str,
    ) -> Result<()> {
        let found = below.iter().find_map(|layer| layer.file(target).ok());
        let Some(mut source) = found.filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file())) else {
            return Err(Error::layer(subject, format!("{path} is a link to {target}, which does not exist")));
        };
        let wrong = |errno| trouble(subject, path, "link", errno);
        let parent = root.folder(&path.parent()).map_err(wrong)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut copy = File::from(openat(&parent, path.name(), flags, Mode::RUSR | Mode::WUSR).map_err(wrong)?);
        std::io::copy(&mut source, &mut copy).at("copy", path.to_string())?;
        let metadata = source.metadata().at("inspect", target.to_string())?;
        attributes_of(&metadata).give(&copy, &mut self.shortfalls).map_err(wrong)
    }
}

fn plain_folder() -> Attributes {
    Attributes { mode: 0o755, uid: 0, gid: 0, mtime: (0, 0), xattrs: Vec::new() }
}

fn inherited(layer: &Root, path: &SafePath) -> Option<Attributes> {
    let folder = File::from(layer.plain(path).ok()?);
    let metadata = folder.metadata().ok().filter(std::fs::Metadata::is_dir)?;
    Some(attributes_of(&metadata))
}

fn attributes_of(metadata: &std::fs::Metadata) -> Attributes {
    use std::os::unix::fs::MetadataExt as _;
    Attributes {
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: (metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap_or_default()),
        xattrs: Vec::new(),
    }
}
