//! The writing side: splits output into records and begins a new file when one is full.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{LogDriver, LogOptions, entry, file_name};
use crate::supervisor::error::{Result, io_at};
use crate::supervisor::protocol::Stream;
use crate::supervisor::time::Time;

/// Docker's bound for one record.
const LONGEST: usize = 16 * 1024;

/// Writes a container's output to its log.
#[derive(Debug)]
pub struct LogWriter {
    dir: PathBuf,
    options: LogOptions,
    file: Option<File>,
    size: u64,
    /// The unfinished lines of the two streams.
    parts: [Vec<u8>; 2],
    records: Vec<u8>,
    torn: bool,
}

impl LogWriter {
    /// Opens the log in `dir` for appending.
    ///
    /// # Errors
    /// `Io` when the folder or the file cannot be made.
    pub fn open(dir: &Path, options: LogOptions) -> Result<Self> {
        let mut writer = Self {
            dir: dir.to_path_buf(),
            options,
            file: None,
            size: 0,
            parts: [Vec::new(), Vec::new()],
            records: Vec::new(),
            torn: false,
        };
        if writer.options.driver == LogDriver::JsonFile {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_at("create", dir))?;
            writer.open_file()?;
        }
        Ok(writer)
    }

    fn open_file(&mut self) -> Result<()> {
        let path = self.dir.join(file_name(0));
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_at("open", &path))?;
        self.size = file.metadata().map_err(io_at("read", &path))?.len();
        // A killed writer may have left half a record: the next one begins on a line of its own.
        self.torn = self.size > 0 && !ends_with_newline(&mut file);
        self.file = Some(file);
        Ok(())
    }

    /// Takes output as it comes. Whole lines are written at once; the rest waits for its end.
    ///
    /// # Errors
    /// `Io` when the disk refuses; the records of this call are lost then, and the next call tries anew.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], now: Time) -> Result<()> {
        if self.file.is_none() && self.options.driver == LogDriver::None {
            return Ok(());
        }
        let time = now.to_string();
        let mut part = std::mem::take(&mut self.parts[stream as usize]);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            part.extend_from_slice(piece);
            while part.len() > LONGEST {
                let at = split_point(&part);
                let rest = part.split_off(at);
                entry::put(&mut self.records, &part, stream, &time);
                part = rest;
            }
            if part.ends_with(b"\n") {
                entry::put(&mut self.records, &part, stream, &time);
                part.clear();
            }
        }
        self.parts[stream as usize] = part;
        self.flush()
    }

    /// Writes unfinished lines as they are: the run is over.
    ///
    /// # Errors
    /// As [`LogWriter::write`].
    pub fn end_of_run(&mut self, now: Time) -> Result<()> {
        let time = now.to_string();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let part = std::mem::take(&mut self.parts[stream as usize]);
            if !part.is_empty() && self.options.driver == LogDriver::JsonFile {
                entry::put(&mut self.records, &part, stream, &time);
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.records);
        let mut written = Ok(());
        if !records.is_empty() {
            written = self.append(&records);
            self.torn = self.torn || written.is_err();
        }
        self.records = records;
        self.records.clear();
        written
    }

    /// Appends whole records, a new file beginning only between two of them.
    fn append(&mut self, mut records: &[u8]) -> Result<()> {
        while !records.is_empty() {
            if self.size >= self.options.max_size {
                self.rotate()?;
            }
            if self.file.is_none() {
                self.open_file()?;
            }
            let room = usize::try_from(self.options.max_size.saturating_sub(self.size)).unwrap_or(usize::MAX);
            let end = end_of_record(records, room);
            let path = self.dir.join(file_name(0));
            let Some(file) = &mut self.file else { return Ok(()) };
            if std::mem::take(&mut self.torn) {
                file.write_all(b"\n").map_err(io_at("write", &path))?;
                self.size += 1;
            }
            file.write_all(&records[..end]).map_err(io_at("write", &path))?;
            self.size += end as u64;
            records = &records[end..];
        }
        Ok(())
    }

    /// Moves `json.log` to `json.log.1` and so on; the oldest falls off.
    fn rotate(&mut self) -> Result<()> {
        self.file = None;
        let newest = self.dir.join(file_name(0));
        if self.options.max_files <= 1 {
            remove(&newest)?;
            return self.open_file();
        }
        for generation in (0..self.options.max_files - 1).rev() {
            let (from, to) = (self.dir.join(file_name(generation)), self.dir.join(file_name(generation + 1)));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_at("rotate", &from)(error)),
                _ => {}
            }
        }
        self.open_file()
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_at("rotate", path)(error)),
        _ => Ok(()),
    }
}

fn ends_with_newline(file: &mut File) -> bool {
    let mut last = [0];
    file.seek(SeekFrom::End(-1)).is_ok() && file.read_exact(&mut last).is_ok() && last == *b"\n"
}

/// Where to cut a line that is too long: at the bound, but never inside a character.
fn split_point(line: &[u8]) -> usize {
    let is_inside = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (LONGEST - 3..=LONGEST).rev().find(|at| !is_inside(*at)).unwrap_or(LONGEST)
}

/// The end of the first record that reaches `room`, so that a file passes its size by less than a record.
fn end_of_record(records: &[u8], room: usize) -> usize {
    let from = room.min(records.len()).saturating_sub(1);
    records[from..].iter().position(|byte| *byte == b'\n').map_or(records.len(), |at| from + at + 1)
}
