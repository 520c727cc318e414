//! The container's log: Docker's json-file format, rotated.
//!
//! One JSON object per line, as other programs expect it: `{"log":"…\n","stream":"stdout","time":"…"}`.
//! A line above 16 KiB is split into several records; only the last ends with a newline, so printing
//! the records one after the other gives the original bytes. [`LogWriter`] belongs to the supervisor,
//! [`LogReader`] to whoever wants to read, in another process.

mod entry;
mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use entry::Entry;
pub use read::{Follow, LogQuery, LogReader};
pub use write::LogWriter;

/// The name of the current log file; older ones have `.1`, `.2` … behind it.
const FILE: &str = "json.log";

/// How output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogOptions {
    /// Whether anything is kept at all.
    pub driver: LogDriver,
    /// The size in bytes from which on a new file is begun.
    pub max_size: u64,
    /// The number of files kept.
    pub max_files: u32,
}

/// Where output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogDriver {
    /// To files beside the container's state.
    JsonFile,
    /// Nowhere.
    None,
}

impl Default for LogOptions {
    /// Three files of 10 MB: unlike Docker's default, a chatty container cannot fill the disk.
    fn default() -> Self {
        Self { driver: LogDriver::JsonFile, max_size: 10 << 20, max_files: 3 }
    }
}

fn file_name(generation: u32) -> String {
    if generation == 0 { FILE.to_owned() } else { format!("{FILE}.{generation}") }
}

#[cfg(test)]
mod tests;
