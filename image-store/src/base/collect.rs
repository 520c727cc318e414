//! Collecting files of the host under the paths that they have there, with every link on the way, so that what worked
//! on the host works in the image.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::elf::Elf;
use super::libraries::{Finder, Found};
use super::{find_tool, wanted_tools};
use crate::error::At as _;
use crate::layer::{Content, Node};
use crate::{Error, Result};

const MOST_LINKS: u32 = 40;

/// Libraries that a program copied into the image later may count on.
const C_LIBRARY: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libresolv.so.2",
    "libc.musl",
];

const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where programs look for certificates, whichever distribution they were made for.
pub(super) const CERTIFICATE_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

const TERMINALS: [&str; 6] = ["d/dumb", "l/linux", "s/screen", "v/vt100", "x/xterm", "x/xterm-256color"];

/// Paths for an image, each once.
#[derive(Debug, Default)]
pub(super) struct Collector {
    finder: Finder,
    nodes: BTreeMap<Vec<u8>, (u32, Content)>,
    examined: BTreeSet<PathBuf>,
}

impl Collector {
    /// Everything collected, folders first, with fixed modes and times.
    pub(super) fn into_nodes(self) -> Vec<Node> {
        let node = |(path, (mode, content))| Node { path, mode, mtime: 0, content };
        self.nodes.into_iter().map(node).collect()
    }

    pub(super) fn put(&mut self, path: &str, mode: u32, content: Content) {
        let path = path.trim_start_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folders(Path::new(parent));
        }
        self.nodes.insert(path.as_bytes().to_vec(), (mode, content));
    }

    /// Takes the host's tools, and returns the names of those that it has.
    pub(super) fn host_tools(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for name in wanted_tools() {
            let Some(path) = find_tool(name) else { continue };
            self.take(&path)?;
            if self.libraries_of(&path).is_ok() {
                found.push(name.to_owned());
            }
        }
        self.shell()?;
        Ok(found)
    }

    /// Takes a static busybox and a link for each applet.
    pub(super) fn busybox(&mut self, path: &Path, applets: &[String]) -> Result<Vec<String>> {
        self.put("/bin/busybox", 0o755, Content::from_host(path)?);
        for applet in applets {
            let target = if applet == "busybox" { continue } else { b"busybox".to_vec() };
            self.put(&format!("/bin/{applet}"), 0o777, Content::Link(target));
        }
        // What scripts name by its place.
        self.put("/usr/bin/env", 0o777, Content::Link(b"../../bin/env".to_vec()));
        Ok(applets.to_vec())
    }

    /// `/bin/sh` under exactly this name, which everything relies on.
    fn shell(&mut self) -> Result<()> {
        let path = Path::new("/bin/sh");
        if path.exists() { self.take(path) } else { Ok(()) }
    }

    /// The C library and its loader, so that a dynamic program of this host runs when it is copied in.
    pub(super) fn c_library(&mut self) -> Result<()> {
        for name in C_LIBRARY {
            if let Some(path) = self.finder.default_library(name) {
                self.take(&path)?;
                self.libraries_of(&path)?;
            }
        }
        // Programs name the loader; a library of a static system does not.
        for tool in ["sh", "ls"] {
            let bytes = find_tool(tool).and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
            if let Some(interpreter) = Elf::parse(&bytes).and_then(|elf| elf.interpreter) {
                self.take(Path::new(&interpreter))?;
            }
        }
        Ok(())
    }

    pub(super) fn certificates(&mut self) -> Result<()> {
        if let Some(path) = CERTIFICATES.iter().map(Path::new).find(|path| std::fs::File::open(path).is_ok()) {
            self.put(CERTIFICATE_BUNDLE, 0o644, Content::from_host(path)?);
        }
        Ok(())
    }

    pub(super) fn terminals(&mut self) -> Result<()> {
        for name in TERMINALS {
            let folders = ["/lib/terminfo", "/usr/share/terminfo"].map(|folder| Path::new(folder).join(name));
            if let Some(path) = folders.iter().find(|path| path.is_file()) {
                self.put(&format!("/usr/share/terminfo/{name}"), 0o644, Content::from_host(path)?);
            }
        }
        Ok(())
    }

    /// Takes a file of the host, with every link that leads to it.
    pub(super) fn take(&mut self, path: &Path) -> Result<()> {
        let mut rest: Vec<Vec<u8>> = parts(path);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while !rest.is_empty() {
            let part = rest.remove(0);
            match &part[..] {
                b"." => continue,
                b".." => {
                    done.pop();
                    continue;
                }
                _ => {}
            }
            let here = done.join(std::ffi::OsStr::from_bytes(&part));
            let metadata = std::fs::symlink_metadata(&here).at("inspect", &here)?;
            if metadata.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Err(std::io::Error::from(rustix::io::Errno::LOOP)).at("follow", path);
                }
                let target = std::fs::read_link(&here).at("read link", &here)?;
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                self.insert(&here, 0o777, Content::Link(target.as_os_str().as_bytes().to_vec()));
                rest.splice(0..0, parts(&target));
            } else if metadata.is_dir() {
                self.insert(&here, 0o755, Content::Folder);
                done = here;
            } else {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
                self.insert(&here, mode, Content::from_host(&here)?);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the loader and every library that a program needs, and those that these need.
    pub(super) fn libraries_of(&mut self, program: &Path) -> Result<()> {
        let mut waiting = vec![program.to_owned()];
        let mut main: Option<Vec<String>> = None;
        while let Some(path) = waiting.pop() {
            let real = path.canonicalize().at("find", &path)?;
            if !self.examined.insert(real.clone()) {
                continue;
            }
            let bytes = std::fs::read(&real).at("read", &real)?;
            let Some(elf) = Elf::parse(&bytes) else { continue };
            let main = main.get_or_insert_with(|| elf.rpath.clone());
            if let Some(interpreter) = &elf.interpreter {
                self.take(Path::new(interpreter))?;
            }
            let origin = real.parent().unwrap_or(Path::new("/"));
            for name in &elf.needed {
                let found = self.finder.find(name, &elf, origin, main).ok_or_else(|| Error::Unsupported {
                    feature: format!("taking {}", program.display()),
                    hint: format!("its library {name} is not on this machine"),
                })?;
                self.library(name, &found)?;
                waiting.push(found.path);
            }
        }
        Ok(())
    }

    fn library(&mut self, name: &str, found: &Found) -> Result<()> {
        self.take(&found.path)?;
        if let (true, Some(folder)) = (found.needs_link, self.finder.link_folder().map(Path::to_owned)) {
            self.take(&folder)?;
            let folder = folder.canonicalize().at("find", &folder)?;
            let target = found.path.as_os_str().as_bytes().to_vec();
            self.insert(&folder.join(name), 0o777, Content::Link(target));
        }
        Ok(())
    }

    fn insert(&mut self, path: &Path, mode: u32, content: Content) {
        let path: Vec<u8> = path.as_os_str().as_bytes().iter().copied().skip_while(|byte| *byte == b'/').collect();
        self.nodes.entry(path).or_insert((mode, content));
    }

    fn folders(&mut self, path: &Path) {
        for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            self.insert(folder, 0o755, Content::Folder);
        }
    }
}

fn parts(path: &Path) -> Vec<Vec<u8>> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.as_bytes().to_vec()),
            Component::ParentDir => Some(b"..".to_vec()),
            _ => None,
        })
        .collect()
}
