//! What a command can fail with, and the exit code that follows.

use std::io;
use std::path::PathBuf;

/// A command's failure. Printed with its causes in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line makes no sense.
    #[error("{message}")]
    Usage {
        /// One clause that names the text.
        message: String,
    },
    /// One of several steps failed, and what failed was printed already.
    #[error("")]
    Told,
    /// A container cannot be made as asked.
    #[error("{message}")]
    Refused {
        /// Subject and reason.
        message: String,
    },
    /// About a container.
    #[error(transparent)]
    Runtime(#[from] container_core::Error),
    /// About images.
    #[error(transparent)]
    Image(#[from] image_store::Error),
    /// About networks.
    #[error(transparent)]
    Network(#[from] container_network::Error),
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
}

/// What commands return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into() }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// What the program in the container would have returned: 127 when it was not found, 126 when it could not be
    /// executed. Nothing for failures of other kinds.
    #[must_use]
    pub fn program_code(&self) -> Option<u8> {
        let code = match self {
            Self::Runtime(container_core::Error::Refused { code, .. }) => *code,
            Self::Runtime(error) => i32::from(error.docker_exit_code()),
            _ => return None,
        };
        u8::try_from(code).ok().filter(|code| matches!(code, 126 | 127))
    }
}
