//! Shorthands for the crate's error in the layer of state directories.

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use crate::{Error, Result};

/// Gives an I/O error its step and path.
pub(crate) fn io_at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    Error::io(doing, PathBuf::from(path))
}
