//! The tar writer: the same nodes give the same bytes, today and with the next version of any library.
//!
//! Plain POSIX headers, PAX records only where a name or number does not fit, owner 0:0, no user names, fixed times.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use super::header::{BLOCK, checksums};
use super::pax;
use crate::Result;
use crate::error::At as _;

/// One thing to put into a layer, under a clean relative path.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) path: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) mtime: u64,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Folder,
    Link(Vec<u8>),
    Bytes(Vec<u8>),
    /// A file of the host, with the length it must still have.
    Host(PathBuf, u64),
}

impl Content {
    /// A file of the host with the length it has now.
    pub(crate) fn from_host(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).at("inspect", path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")).at("read", path);
        }
        Ok(Self::Host(path.to_owned(), metadata.len()))
    }
}

/// Writes nodes one after the other.
pub(crate) struct TarWriter<W> {
    out: W,
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    pub(crate) fn node(&mut self, node: &Node) -> Result<()> {
        let (flag, size, link): (u8, u64, &[u8]) = match &node.content {
            Content::Folder => (b'5', 0, b""),
            Content::Link(target) => (b'2', 0, target),
            Content::Bytes(bytes) => (b'0', bytes.len() as u64, b""),
            Content::Host(_, size) => (b'0', *size, b""),
        };
        let mut name = node.path.clone();
        if flag == b'5' {
            name.push(b'/');
        }
        let mut records = Vec::new();
        if name.len() > 100 {
            pax::write(&mut records, b"path", &name);
        }
        if link.len() > 100 {
            pax::write(&mut records, b"linkpath", link);
        }
        if size >= 1 << 33 {
            pax::write(&mut records, b"size", size.to_string().as_bytes());
        }
        self.write(|out| {
            if !records.is_empty() {
                out.write_all(&header(b"PaxHeaders/0", b'x', 0o644, records.len() as u64, node.mtime, b""))?;
                out.write_all(&records)?;
                pad(out, records.len() as u64)?;
            }
            out.write_all(&header(&name, flag, node.mode, size, node.mtime, link))
        })?;
        match &node.content {
            Content::Bytes(bytes) => self.write(|out| out.write_all(bytes))?,
            Content::Host(path, size) => {
                let file = File::open(path).at("open", path)?;
                let copied = io::copy(&mut file.take(*size), &mut self.out).at("copy", path)?;
                if copied != *size {
                    let source = io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read");
                    return Err(source).at("copy", path);
                }
            }
            Content::Folder | Content::Link(_) => {}
        }
        self.write(|out| pad(out, size))
    }

    /// Writes the end of the archive.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.write(|out| out.write_all(&[0; 2 * BLOCK]))?;
        Ok(self.out)
    }

    fn write(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) -> Result<()> {
        write(&mut self.out).at("write layer", "")
    }
}

fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let rest = (size.wrapping_neg() % BLOCK as u64) as usize;
    out.write_all(&[0; BLOCK][..rest])
}

pub(super) fn header(name: &[u8], flag: u8, mode: u32, size: u64, mtime: u64, link: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |start: usize, bytes: &[u8], room: usize| {
        let count = bytes.len().min(room);
        block[start..start + count].copy_from_slice(&bytes[..count]);
    };
    put(0, name, 100);
    put(100, format!("{mode:07o}").as_bytes(), 7);
    put(108, b"0000000", 7);
    put(116, b"0000000", 7);
    put(124, format!("{:011o}", size % (1 << 33)).as_bytes(), 11);
    put(136, format!("{mtime:011o}").as_bytes(), 11);
    put(156, &[flag], 1);
    put(157, link, 100);
    put(257, b"ustar\x0000", 8);
    let (sum, _) = checksums(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
