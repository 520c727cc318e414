//! What can go wrong on the way from a command to the cluster, told for the person who typed it.
//!
//! The libraries keep their own errors; here they become the source of one of these. [`Error::report`] makes the one
//! line that the binary prints.

use std::path::PathBuf;

use thiserror::Error;

/// A command's failure: subject, step, and the cause as its source.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A step on a file or folder failed.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was to be done, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A call to the operating system failed.
    #[error("cannot {doing}{}", hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
    System {
        /// What was to be done.
        doing: String,
        /// What to do about it, where that is known.
        hint: Option<&'static str>,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// No cluster answers for this state folder.
    #[error("no cluster is running in {} (start one with `mini-cluster up -d`)", root.display())]
    NotRunning {
        /// The state folder.
        root: PathBuf,
    },
    /// A cluster runs already.
    #[error("a cluster is already running in {} (`mini-cluster down` ends it)", root.display())]
    AlreadyRunning {
        /// The state folder.
        root: PathBuf,
    },
    /// The API answered with a failure.
    #[error("Error from server{}: {message}", if reason.is_empty() { String::new() } else { format!(" ({reason})") })]
    Api {
        /// The Status object's reason.
        reason: String,
        /// The Status object's message.
        message: String,
    },
    /// What was typed or written in a manifest makes no sense.
    #[error("{subject}: {problem}")]
    Input {
        /// The file, argument or object.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A library refused a step.
    #[error("cannot {doing}")]
    Library {
        /// What was to be done.
        doing: String,
        /// The library's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The other half of the cluster is gone or answered nonsense.
    #[error("the cluster process {problem}")]
    Half {
        /// What happened.
        problem: String,
    },
    /// The inside half could not start; its own words.
    #[error("{message}")]
    Start {
        /// The whole chain on one line.
        message: String,
    },
    /// The demo saw something that must not happen.
    #[error("the demo did not hold: {what}")]
    Demo {
        /// What was seen instead.
        what: String,
    },
}

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps a library's error.
    pub(crate) fn library(
        doing: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Library { doing: doing.into(), source: source.into() }
    }

    /// Wraps a system call's errno.
    pub(crate) fn system(doing: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self::System { doing: doing.into(), hint: None, source: source.into() }
    }

    /// The whole chain on one line.
    #[must_use]
    pub fn report(&self) -> String {
        chain(self)
    }
}

/// An error and its sources, joined by colons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    line
}

/// Adds the path that a step was about: no bare `io::Error` leaves a module.
pub(crate) trait PathContext<T> {
    /// Names the verb and the path.
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> PathContext<T> for std::result::Result<T, E> {
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::File { doing, path: path.into(), source: source.into() })
    }
}
