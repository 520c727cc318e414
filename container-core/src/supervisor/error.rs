//! Why a state directory could not be read, written or watched.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the supervisor layer: subject, step and cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The system refused a step.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of the state directory is not what this version writes.
    #[error("{} is not readable by this version: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No container matches.
    #[error("No such container: {reference}")]
    NoSuchContainer {
        /// The name or id as it was given.
        reference: String,
    },
    /// Several containers match a short id.
    #[error("multiple IDs found with provided prefix: {reference}")]
    Ambiguous {
        /// The prefix as it was given.
        reference: String,
    },
    /// The name belongs to another container.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{by}\". You have to remove (or \
         rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name.
        name: String,
        /// The id of its owner.
        by: String,
    },
    /// The name has characters that a name may not have.
    #[error("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    BadName {
        /// The name as it was given.
        name: String,
    },
    /// The container is not in a state that allows the step.
    #[error("{message}")]
    WrongState {
        /// One clause that names the container and the step.
        message: String,
    },
    /// The supervisor reported that a request failed.
    #[error("{message}")]
    Refused {
        /// Its words.
        message: String,
        /// What a command line should exit with: 125, 126 or 127.
        code: i32,
    },
    /// The supervisor went away before it answered.
    #[error("the supervisor of container {id} ended before it answered")]
    SupervisorGone {
        /// The container.
        id: String,
    },
}

/// What the functions of this layer return.
pub type Result<T> = std::result::Result<T, SupervisorError>;

/// Gives an I/O error its step and path.
pub(crate) fn io_at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SupervisorError {
    let path = path.to_path_buf();
    move |source| SupervisorError::Io { doing, path, source }
}
