//! The tar reader: a stream of bytes in, one [`Entry`] at a time out, its content read through the reader itself.
//!
//! Own code, because a layer's entries must mean here exactly what they mean to the tools that wrote them (PAX times and
//! sizes, GNU names), and because every length is bounded before memory is taken for it.

use std::io::{self, Read};

use super::header::{BLOCK, Flag, Header, is_zero};
use super::pax::Records;
use crate::{Error, Result};

/// The longest PAX or GNU long-name record.
const LONGEST_RECORD: u64 = 1 << 20;

/// One entry, after everything that was said about it has been put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File { size: u64 },
    Folder,
    Symlink { target: Vec<u8> },
    HardLink { target: Vec<u8> },
    Character { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
}

/// Reads entries from a stream. Reading from it gives the content of the entry that came last.
#[derive(Debug)]
pub(crate) struct TarReader<R> {
    inner: R,
    /// Names the layer in errors.
    subject: String,
    position: u64,
    /// Content of the current entry that has not been read.
    content: u64,
    /// Zero bytes that fill its last block.
    padding: u64,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(inner: R, subject: String) -> Self {
        Self { inner, subject, position: 0, content: 0, padding: 0 }
    }

    /// The next entry, or `None` at the end of the archive.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut records: Option<Records> = None;
        let (mut long_name, mut long_link) = (None, None);
        loop {
            self.skip(self.content + self.padding)?;
            (self.content, self.padding) = (0, 0);
            let Some(block) = self.block()? else {
                let dangling = records.is_some() || long_name.is_some() || long_link.is_some();
                return if dangling { Err(self.invalid("it ends between a record and its entry")) } else { Ok(None) };
            };
            let header = Header::parse(&block).map_err(|reason| self.invalid(reason))?;
            match header.flag {
                Flag::Pax => {
                    let bytes = self.record(header.size)?;
                    records = Some(Records::parse(&bytes).map_err(|reason| self.invalid(reason))?);
                }
                Flag::PaxGlobal => {
                    // Like the tools that make images, this reader applies nothing of it to later entries.
                    let bytes = self.record(header.size)?;
                    Records::parse(&bytes).map_err(|reason| self.invalid(reason))?;
                }
                Flag::LongName => long_name = Some(without_nul(self.record(header.size)?)),
                Flag::LongLink => long_link = Some(without_nul(self.record(header.size)?)),
                _ => {
                    let records = records.unwrap_or_default();
                    let entry = merge(header, records, long_name, long_link).map_err(|why| self.invalid(why))?;
                    if let Kind::File { size } = entry.kind {
                        self.content = size;
                        self.padding = size.wrapping_neg() % BLOCK as u64;
                    }
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Reads to the end of the stream, because a digest covers what follows the archive too.
    pub(crate) fn drain(&mut self) -> Result<()> {
        let mut buffer = [0_u8; 16 << 10];
        while self.inner.read(&mut buffer).map_err(|error| self.broken(&error))? > 0 {}
        Ok(())
    }

    pub(crate) fn invalid(&self, reason: &str) -> Error {
        Error::layer(&self.subject, format!("{reason} (before byte {})", self.position))
    }

    pub(crate) fn broken(&self, error: &io::Error) -> Error {
        self.invalid(&error.to_string())
    }

    /// One header block, or `None` at the end: a block of zeros, or the end of the stream at a block's edge.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.invalid("it ends within a header")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        self.position += BLOCK as u64;
        Ok((!is_zero(&block)).then_some(block))
    }

    fn record(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > LONGEST_RECORD {
            return Err(self.invalid("a PAX or long-name record is longer than 1 MiB"));
        }
        let mut bytes = Vec::new();
        (&mut self.inner).take(size).read_to_end(&mut bytes).map_err(|error| self.broken(&error))?;
        if bytes.len() as u64 != size {
            return Err(self.invalid("it ends within a record"));
        }
        self.position += size;
        self.skip(size.wrapping_neg() % BLOCK as u64)?;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        let skipped =
            io::copy(&mut (&mut self.inner).take(count), &mut io::sink()).map_err(|error| self.broken(&error))?;
        self.position += skipped;
        if skipped < count { Err(self.invalid("it ends within an entry")) } else { Ok(()) }
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a file"));
        }
        self.content -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn merge(
    header: Header,
    records: Records,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
) -> Result<Entry, &'static str> {
    let path = records.path.or(long_name).unwrap_or(header.name);
    let target = records.link.or(long_link).unwrap_or(header.link);
    if target.contains(&0) {
        return Err("a link's target has a NUL byte");
    }
    let size = records.size.unwrap_or(header.size);
    let (major, minor) = header.device;
    let kind = match header.flag {
        Flag::Folder => Kind::Folder,
        // Decided by the whole name, of which the header may hold only the beginning.
        Flag::OldFile if path.ends_with(b"/") => Kind::Folder,
        Flag::Symlink => Kind::Symlink { target },
        Flag::HardLink => Kind::HardLink { target },
        Flag::Character => Kind::Character { major, minor },
        Flag::Block => Kind::Block { major, minor },
        Flag::Fifo => Kind::Fifo,
        _ => Kind::File { size },
    };
    // The last id means "leave it" to the kernel.
    let id =
        |value: u64| u32::try_from(value).ok().filter(|id| *id != u32::MAX).ok_or("a user or group id is too large");
    Ok(Entry {
        path,
        kind,
        mode: header.mode,
        uid: id(records.uid.unwrap_or(header.uid))?,
        gid: id(records.gid.unwrap_or(header.gid))?,
        mtime: records.mtime.unwrap_or((header.mtime, 0)),
        xattrs: records.xattrs,
    })
}
