//! The reading side: from the end backwards for `tail`, forwards over rotated files, and on while it grows.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Entry, file_name};
use crate::supervisor::error::{Result, io_at};
use crate::supervisor::time::Time;

/// No writer keeps more files.
const MOST_FILES: u32 = 1000;
/// The longest line that can be a record: 16 KiB of bytes that each take six characters, and the frame.
const LONGEST_LINE: u64 = 128 * 1024;

/// Which records are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogQuery {
    /// Only the last so many.
    pub tail: Option<usize>,
    /// None before this moment.
    pub since: Option<Time>,
    /// None after this moment.
    pub until: Option<Time>,
}

impl LogQuery {
    fn takes(&self, entry: &Entry) -> bool {
        self.since.is_none_or(|since| entry.time >= since) && self.until.is_none_or(|until| entry.time <= until)
    }

    fn is_past(&self, entry: &Entry) -> bool {
        self.until.is_some_and(|until| entry.time > until)
    }
}

/// What a follower meets at the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// More may come: look again.
    Again,
    /// The log is complete.
    Done,
}

/// Reads a container's log.
#[derive(Debug)]
pub struct LogReader {
    dir: PathBuf,
    query: LogQuery,
    current: Option<OpenFile>,
    /// Files between the one being read and the newest.
    rest: VecDeque<OpenFile>,
    /// Records still to skip, because only the last `tail` are wanted.
    skip: usize,
    past: bool,
}

#[derive(Debug)]
struct OpenFile {
    reader: BufReader<File>,
    inode: u64,
    /// A line whose end has not been written yet.
    part: Vec<u8>,
}

impl LogReader {
    /// Opens the log in `dir`; a log that nobody has written to is empty.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(dir: &Path, query: LogQuery) -> Result<Self> {
        let mut reader = Self {
            dir: dir.to_path_buf(),
            query,
            current: None,
            rest: open_all(dir)?,
            skip: 0,
            past: query.tail == Some(0) && query.until.is_some(),
        };
        if let Some(tail) = query.tail {
            reader.seek_to_tail(tail)?;
        }
        Ok(reader)
    }

    /// Drops whole files and bytes in front of the last `tail` records. With a window of time, records outside it do
    /// not count, so that those are read and counted instead.
    fn seek_to_tail(&mut self, tail: usize) -> Result<()> {
        if self.query.since.is_some() || self.query.until.is_some() {
            let mut all =
                Self { query: LogQuery { tail: None, ..self.query }, ..Self::open(&self.dir, LogQuery::default())? };
            let mut count = 0;
            while all.next_entry()?.is_some() {
                count += 1;
            }
            self.skip = usize::saturating_sub(count, tail);
            return Ok(());
        }
        let mut wanted = tail;
        for index in (0..self.rest.len()).rev() {
            let path = self.dir.join(file_name(0));
            let found = seek_back(&mut self.rest[index].reader, wanted).map_err(io_at("read", &path))?;
            wanted -= found;
            if wanted == 0 {
                self.rest.drain(..index);
                break;
            }
        }
        Ok(())
    }

    /// Gives the next record; nothing at the end of what is written so far.
    ///
    /// # Errors
    /// `Io`.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        while !self.past {
            let Some(line) = self.next_line()? else { return Ok(None) };
            let Some(entry) = Entry::parse(&line) else { continue };
            self.past = self.query.is_past(&entry);
            if !self.query.takes(&entry) {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            return Ok(Some(entry));
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if self.current.is_none() {
                self.current = self.rest.pop_front();
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            let path = self.dir.join(file_name(0));
            if let Some(line) = current.next_line().map_err(io_at("read", &path))? {
                return Ok(Some(line));
            }
            if self.rest.is_empty() {
                return Ok(None);
            }
            self.current = None;
        }
    }

    /// Looks for what came since the last end: a grown file, or newer files after a rotation.
    ///
    /// `writing` says whether a writer was alive *before* this call; when not, and nothing new was found, the log is
    /// complete.
    ///
    /// # Errors
    /// `Io`.
    pub fn look_again(&mut self, writing: bool) -> Result<Follow> {
        if self.past {
            return Ok(Follow::Done);
        }
        let inode = self.current.as_ref().map(|file| file.inode);
        let mut files = open_all(&self.dir)?;
        if let Some(at) = files.iter().position(|file| Some(file.inode) == inode) {
            files.drain(..=at);
        }
        let newer = !files.is_empty();
        self.rest = files;
        if newer || writing {
            return Ok(Follow::Again);
        }
        // The writer was gone before; one more look at the current file tells whether it left something.
        let unread =
            self.current.as_mut().is_some_and(|file| file.reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty()));
        Ok(if unread { Follow::Again } else { Follow::Done })
    }
}

impl OpenFile {
    fn next_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut self.part)?;
        let whole = self.part.ends_with(b"\n") || self.part.len() as u64 >= LONGEST_LINE;
        Ok((read > 0 && whole).then(|| std::mem::take(&mut self.part)))
    }
}

/// Opens all files of the log, oldest first. A rotation in between only makes one file appear twice; that is undone.
fn open_all(dir: &Path) -> Result<VecDeque<OpenFile>> {
    let mut files: VecDeque<OpenFile> = VecDeque::new();
    for generation in 0..MOST_FILES {
        let path = dir.join(file_name(generation));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // While the newest is being renamed there is none; older ones may still follow.
                if generation == 0 {
                    continue;
                }
                break;
            }
            Err(error) => return Err(io_at("open", &path)(error)),
        };
        let inode = file.metadata().map_err(io_at("read", &path))?.ino();
        if files.iter().all(|known| known.inode != inode) {
            files.push_front(OpenFile { reader: BufReader::with_capacity(64 * 1024, file), inode, part: Vec::new() });
        }
    }
    Ok(files)
}

/// Moves to the beginning of the last `wanted` lines and tells how many there are.
fn seek_back(reader: &mut BufReader<File>, wanted: usize) -> std::io::Result<usize> {
    const STEP: u64 = 64 * 1024;
    let mut at = reader.seek(SeekFrom::End(0))?;
    let mut found = 0;
    let mut buffer = Vec::new();
    while at > 0 {
        let from = at.saturating_sub(STEP);
        reader.seek(SeekFrom::Start(from))?;
        buffer.clear();
        reader.by_ref().take(at - from).read_to_end(&mut buffer)?;
        for (index, _) in buffer.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = from + index as u64 + 1;
            if found == wanted {
                reader.seek(SeekFrom::Start(after))?;
                return Ok(found);
            }
            // The newline at the very end closes the last line; each earlier one closes the line before.
            found += 1;
        }
        at = from;
    }
    reader.seek(SeekFrom::Start(0))?;
    Ok(found.min(wanted))
}
