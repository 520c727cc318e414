//! The embedded base image: a shell and the core tools out of the host's own files, so that `run` works on a machine
//! that reaches no registry.
//!
//! What goes in: the tools of [`wanted_tools`] that the host has (a static busybox with its applets, if there is one,
//! else each tool), the libraries that their ELF headers name, the C library, CA certificates, a few terminal
//! descriptions. `passwd`, `group` and the like are synthesised. Modes are normalised, so nothing is set-id; nothing is
//! read from /etc (but the certificates), /home, /root or /var, so nothing private goes in. The same bytes in give the
//! same digest out, for root and for everybody else.

mod busybox;
mod cache;
mod collect;
mod elf;
mod etc;
mod libraries;

use std::path::{Path, PathBuf};

use self::collect::Collector;
use crate::layer::Node;
use crate::{Error, History, Image, LayerEntry, Platform, Reference, Result, Store};

/// The name of the base image.
pub const NAME: &str = "base:latest";

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where tools are looked for, in this order.
const TOOL_FOLDERS: [&str; 6] =
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/run/current-system/sw/bin", "/usr/local/bin"];

const WANTED: &str = "sh bash [ awk base64 basename cat chgrp chmod chown chroot cksum cmp comm cp cut date dd df diff dirname du \
    echo env expr false find fold free getent grep groups gunzip gzip head hostname id ip join kill less link ln \
    ls md5sum mkdir mkfifo mknod mktemp more mount mv nice nohup nproc od paste pgrep pidof pkill printenv printf \
    ps pwd readlink realpath rm rmdir sed seq setsid sha256sum shuf sleep sort split stat stty sync tac tail tar \
    tee test timeout top touch tr true truncate tty umount uname uniq unlink uptime wc which whoami xargs yes";

/// Without these there is no base image.
const NEEDED: [&str; 6] = ["sh", "ls", "cat", "echo", "sleep", "id"];

/// Where the tools come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tools {
    /// A static busybox if the host has one, else the host's tools.
    Best,
    /// The host's tools, each with its libraries.
    Host,
    /// A static busybox with its applets.
    Busybox,
}

/// The tools that are taken from the host when there is no busybox, if they are there.
pub fn wanted_tools() -> impl Iterator<Item = &'static str> {
    WANTED.split(' ')
}

/// Makes sure that the store has `base:latest`, and returns it. An image that already has this name is left alone.
///
/// # Errors
/// `Unsupported` when the host has no shell and core tools that could be taken, `Io`.
pub fn ensure(store: &Store) -> Result<Image> {
    match store.resolve(NAME) {
        Err(Error::UnknownImage { .. }) => {
            let recipe = Recipe::from_host(Tools::Best)?;
            recipe.build(store, &Reference::parse(NAME)?)
        }
        other => other,
    }
}

/// Collects a program of the host with all libraries that it needs to run in an image that may have none of them.
///
/// # Errors
/// `Io`, or `Unsupported` when a library is missing on the host.
pub fn program(source: &Path, target: &str) -> Result<Vec<LayerEntry>> {
    let mut collector = Collector::default();
    collector.libraries_of(source)?;
    let mut entries: Vec<LayerEntry> = collector.into_nodes().into_iter().filter_map(entry).collect();
    entries.push(LayerEntry::host_file(target, 0o755, source));
    Ok(entries)
}

fn entry(node: Node) -> Option<LayerEntry> {
    use crate::layer::Content;
    let path = format!("/{}", String::from_utf8(node.path).ok()?);
    Some(match node.content {
        // A folder would change the mode of the one below; it is implied.
        Content::Folder => return None,
        Content::Link(target) => LayerEntry::link(path, String::from_utf8(target).ok()?),
        Content::Bytes(bytes) => LayerEntry::file(path, node.mode, bytes),
        Content::Host(source, _) => LayerEntry::host_file(path, node.mode, source),
    })
}

/// What goes into a base image, before it is built.
#[derive(Debug)]
pub struct Recipe {
    nodes: Vec<Node>,
    tools: Vec<String>,
}

impl Recipe {
    /// Looks at the host's files.
    ///
    /// # Errors
    /// `Unsupported` naming the tools that are missing, `Io`.
    pub fn from_host(tools: Tools) -> Result<Self> {
        let mut collector = Collector::default();
        let busybox = match tools {
            Tools::Host => None,
            Tools::Best | Tools::Busybox => find_tool("busybox").and_then(|path| busybox::applets(&path)),
        };
        let found = match (busybox, tools) {
            (Some((path, applets)), _) => collector.busybox(&path, &applets)?,
            (None, Tools::Busybox) => return Err(missing("a static busybox")),
            (None, _) => collector.host_tools()?,
        };
        let absent: Vec<&str> = NEEDED.into_iter().filter(|needed| !found.iter().any(|tool| tool == needed)).collect();
        if !absent.is_empty() {
            return Err(missing(&absent.join(", ")));
        }
        collector.c_library()?;
        collector.certificates()?;
        collector.terminals()?;
        etc::synthesise(&mut collector);
        Ok(Self { nodes: collector.into_nodes(), tools: found })
    }

    /// The tools that are in it.
    #[must_use]
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    /// The paths that are in it, each with the file of the host that it is taken from, if any.
    pub fn paths(&self) -> impl Iterator<Item = (String, Option<&Path>)> {
        self.nodes.iter().map(|node| {
            let source = match &node.content {
                crate::layer::Content::Host(path, _) => Some(path.as_path()),
                _ => None,
            };
            (format!("/{}", String::from_utf8_lossy(&node.path)), source)
        })
    }

    /// Builds the image and gives it `name`.
    ///
    /// # Errors
    /// `Io`.
    pub fn build(&self, store: &Store, name: &Reference) -> Result<Image> {
        let lease = store.lease()?;
        let platform = Platform::host();
        store.assemble(
            &lease,
            None,
            &self.nodes,
            |config| {
                config.architecture = platform.architecture;
                config.os = platform.os;
                config.variant = platform.variant;
                config.created = Some("1970-01-01T00:00:00Z".to_owned());
                config.env = vec![PATH.to_owned()];
                config.cmd = Some(vec!["/bin/sh".to_owned()]);
                config.history = vec![History {
                    created: config.created.clone(),
                    created_by: Some("the host's own files".to_owned()),
                    ..History::default()
                }];
            },
            name,
        )
    }
}

fn missing(what: &str) -> Error {
    Error::Unsupported {
        feature: "the base image".to_owned(),
        hint: format!("this machine lacks {what}; pull an image from a registry instead"),
    }
}

fn find_tool(name: &str) -> Option<PathBuf> {
    TOOL_FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| is_readable_program(path))
}

fn is_readable_program(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    path.is_file() && access(path, Access::EXEC_OK | Access::READ_OK).is_ok()
}

#[cfg(test)]
mod tests;
