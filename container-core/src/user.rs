//! Users as people write them, looked up in the container's own files.
//!
//! The files come from an image and are not trusted: they are read inside its root without following anything out of
//! it, up to a bound, and a text that is not plainly a number or a name is refused rather than guessed.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::options::{Launch, Rootfs};
use crate::spec::{Process, User};
use crate::{Error, Result};

/// No sensible file of users is larger.
const MAX_BYTES: u64 = 1 << 20;
/// Ids above this have special meanings in places.
const MAX_ID: u32 = i32::MAX.cast_unsigned();

/// A user as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its numbers.
    pub user: User,
    /// Its home folder.
    pub home: String,
}

/// The two files that know users and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    passwd: String,
    group: String,
}

impl Files {
    /// Uses texts that were read elsewhere.
    #[must_use]
    pub const fn new(passwd: String, group: String) -> Self {
        Self { passwd, group }
    }

    /// Reads the files of a root that is not mounted yet.
    ///
    /// # Errors
    /// `Io` names the file that exists and cannot be read.
    pub fn of_rootfs(rootfs: &Rootfs) -> Result<Self> {
        let layers: Vec<&Path> = match rootfs {
            Rootfs::Path(path) => vec![path],
            Rootfs::Overlay { lower, upper, .. } => std::iter::once(upper).chain(lower).map(AsRef::as_ref).collect(),
        };
        Ok(Self { passwd: of_layers(&layers, "etc/passwd")?, group: of_layers(&layers, "etc/group")? })
    }

    /// Reads the files as a running process sees them.
    ///
    /// # Errors
    /// `Io` when the process is gone.
    pub fn of_process(pid: i32) -> Result<Self> {
        let root = format!("/proc/{pid}/root");
        let layers = [Path::new(&root)];
        Ok(Self { passwd: of_layers(&layers, "etc/passwd")?, group: of_layers(&layers, "etc/group")? })
    }

    /// Finds the user that a text such as `uid[:gid]` or `name[:group]` means. An empty text means root.
    ///
    /// # Errors
    /// `UnknownUser` when it means nobody.
    pub fn resolve(&self, text: &str) -> Result<Resolved> {
        let unknown = |reason: &str| Error::UnknownUser { user: text.to_owned(), reason: reason.to_owned() };
        let (name, group) = match text.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (text, None),
        };
        if group.is_some_and(|group| group.is_empty() || group.contains(':')) {
            return Err(unknown("the group is not a plain name or number"));
        }
        let name = if name.is_empty() { "0" } else { name };
        let entry = self.entry(name).map_err(|()| unknown("the id is out of range"))?;
        let (uid, gid, login, home) = match (entry, number(name)) {
            (Some(entry), _) => entry,
            (None, Ok(Some(uid))) => (uid, 0, None, "/"),
            (None, _) => return Err(unknown("no matching entries in passwd file")),
        };
        let mut user = User { uid, gid, ..User::default() };
        match group {
            Some(group) => user.gid = self.gid(group).map_err(unknown)?,
            None => user.additional_gids = login.map(|login| self.memberships(login)).unwrap_or_default(),
        }
        Ok(Resolved { user, home: if home.is_empty() { "/".to_owned() } else { home.to_owned() } })
    }

    /// The line of `passwd` with this name or, for a number, this id. Lines that make no sense are passed over.
    #[allow(clippy::type_complexity, reason = "uid, gid, login, home; used once")]
    fn entry(&self, name: &str) -> std::result::Result<Option<(u32, u32, Option<&str>, &str)>, ()> {
        let wanted = number(name)?;
        Ok(self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let login = fields.next()?;
            let (uid, gid) = (number(fields.nth(1)?).ok()??, number(fields.next()?).ok()??);
            let home = fields.nth(1).unwrap_or_default();
            let fits = wanted.map_or(login == name, |id| uid == id);
            fits.then_some((uid, gid, Some(login), home))
        }))
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let gid = number(fields.nth(1)?).ok()??;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }

    fn gid(&self, text: &str) -> std::result::Result<u32, &'static str> {
        match number(text) {
            Err(()) => Err("the group id is out of range"),
            Ok(Some(gid)) => Ok(gid),
            Ok(None) => self
                .groups()
                .find_map(|(name, gid, _)| (name == text).then_some(gid))
                .ok_or("no matching entries in group file"),
        }
    }

    fn memberships(&self, login: &str) -> Vec<u32> {
        let member = |members: &str| members.split(',').any(|member| member == login);
        let mut gids: Vec<u32> =
            self.groups().filter(|(_, _, members)| member(members)).map(|(_, gid, _)| gid).collect();
        gids.dedup();
        gids
    }
}

/// A text of digits only is a number (or out of range); anything else is a name.
fn number(text: &str) -> std::result::Result<Option<u32>, ()> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    text.parse().ok().filter(|id| *id <= MAX_ID).map(Some).ok_or(())
}

/// Sets the process's user, and its home in the environment unless there is one.
pub(crate) fn apply(found: &Resolved, process: &mut Process) {
    let umask = process.user.umask;
    process.user = User { umask, ..found.user.clone() };
    if !process.env.iter().any(|entry| entry.starts_with("HOME=")) {
        process.env.push(format!("HOME={}", found.home));
    }
}

impl Launch {
    /// Replaces the user's text by its numbers.
    pub(crate) fn resolve_user(&mut self) -> Result<()> {
        let Some(text) = self.user.take() else { return Ok(()) };
        let more = self.spec.process.user.additional_gids.clone();
        let found = Files::of_rootfs(&self.rootfs)?.resolve(&text)?;
        apply(&found, &mut self.spec.process);
        self.spec.process.user.additional_gids.extend(more);
        Ok(())
    }
}

/// The topmost layer that says anything about the file decides. A file that is nowhere is empty.
fn of_layers(layers: &[&Path], path: &str) -> Result<String> {
    for layer in layers {
        let Ok(root) = File::open(layer) else { continue };
        if whiteout(&root, "etc") || whiteout(&root, path) {
            break;
        }
        if let Some(text) = read(&root, path).map_err(Error::io("read", layer.join(path)))? {
            return Ok(text);
        }
    }
    Ok(String::new())
}

fn open(root: &File, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(root.as_fd(), path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve))
}

/// A device 0:0 in a layer says: what lower layers have here is deleted.
fn whiteout(root: &File, path: &str) -> bool {
    let found = open(root, path, OFlag::O_PATH | OFlag::O_NOFOLLOW).map(File::from);
    let metadata = found.ok().and_then(|file| file.metadata().ok());
    metadata.is_some_and(|metadata| metadata.file_type().is_char_device() && metadata.rdev() == 0)
}

/// `None`: not there. Never waits for a pipe, never reads a device.
fn read(root: &File, path: &str) -> std::io::Result<Option<String>> {
    let file = match open(root, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::Files;

    fn files() -> Files {
        Files::new(
            "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n1234:x:77:78::/odd:\nbroken\n:::\n"
                .into(),
            "root:x:0:\ndata:x:2000:web,other\nmore:x:2001:web\nbad:x:x:web\n".into(),
        )
    }

    #[test]
    fn names_numbers_and_groups() {
        let of = |text: &str| {
            let found = files().resolve(text).unwrap();
            (found.user.uid, found.user.gid, found.user.additional_gids, found.home)
        };
        assert_eq!(of("web"), (1000, 1001, vec![2000, 2001], "/home/web".into()));
        assert_eq!(of("1000"), (1000, 1001, vec![2000, 2001], "/home/web".into()));
        assert_eq!(of("web:data"), (1000, 2000, vec![], "/home/web".into()));
        assert_eq!(of("5:6"), (5, 6, vec![], "/".into()));
        assert_eq!(of(""), (0, 0, vec![], "/root".into()));
        assert_eq!(of(":data").1, 2000);
        // A login made of digits is no number's name: the number is what was meant.
        assert_eq!(of("1234"), (1234, 0, vec![], "/".into()));
    }

    #[test]
    fn odd_texts_mean_nobody() {
        for text in [
            "nobody",
            "-1",
            "+0",
            "0x0",
            " 0",
            "0 ",
            "4294967296",
            "2147483648",
            "web:",
            "web:nothing",
            "a:b:c",
            "0:4294967295",
            "٣",
            "web\n",
            "1e3",
            "../root",
        ] {
            assert!(files().resolve(text).is_err(), "{text:?}");
        }
    }
}
