//! The one error type of the crate: variants are named for what a caller can do about them.
//!
//! Display is one lower-case clause that names subject and step; the cause is the `source`, never repeated in it.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Digest, Platform};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that cannot be the name of an image.
    #[error("invalid reference {text:?}: {reason}")]
    InvalidReference {
        /// What was given (shortened).
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A text that is not a digest.
    #[error("invalid digest {text:?}: {reason}")]
    InvalidDigest {
        /// What was given (shortened).
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The store (or the registry) has no such image.
    #[error("no such image: {name}")]
    UnknownImage {
        /// The name as it was asked for.
        name: String,
    },
    /// An id prefix that fits several images.
    #[error("image id {prefix} is ambiguous: it fits {matches} images")]
    AmbiguousId {
        /// The prefix as given.
        prefix: String,
        /// How many images it fits.
        matches: usize,
    },
    /// The image cannot go, because something still needs it.
    #[error("image {image} is in use by {by}")]
    InUse {
        /// The image.
        image: String,
        /// Who holds it.
        by: String,
    },
    /// Content does not have the digest that it was named by.
    #[error("{subject} has digest {found}, expected {expected}")]
    WrongDigest {
        /// Which content.
        subject: String,
        /// The digest it was named by.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// Content does not have the size that it was announced with.
    #[error("{subject} has {found} bytes, expected {expected}")]
    WrongSize {
        /// Which content.
        subject: String,
        /// The announced size.
        expected: u64,
        /// The size it has (or had reached when it was refused).
        found: u64,
    },
    /// A manifest, index, configuration or layer that breaks its format, or a limit.
    #[error("invalid {what} {subject}: {reason}")]
    Invalid {
        /// What kind of content: `manifest`, `layer`, ...
        what: &'static str,
        /// Which one.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An image index without an entry for the wanted platform.
    #[error("image {name} is not available for {wanted} (it has: {available})")]
    NoPlatform {
        /// The image.
        name: String,
        /// The wanted platform.
        wanted: Platform,
        /// The platforms that the index offers.
        available: String,
    },
    /// Well formed, but not something that this crate or machine can do.
    #[error("{feature} is not supported: {hint}")]
    Unsupported {
        /// What was asked for.
        feature: String,
        /// What to do instead.
        hint: String,
    },
    /// The registry refused the credentials, or wants some.
    #[error("registry {registry} denied access to {subject}: {reason}")]
    Denied {
        /// Host and port.
        registry: String,
        /// The repository.
        subject: String,
        /// What the registry said.
        reason: String,
    },
    /// The registry could not be reached, or broke off.
    #[error("cannot reach registry {registry} while {doing}")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// The step.
        doing: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry answered with an error.
    #[error("registry {registry} failed while {doing}: {reason}")]
    Registry {
        /// Host and port.
        registry: String,
        /// The step.
        doing: String,
        /// What it answered.
        reason: String,
    },
    /// An operation of the operating system failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// What kind of trouble an [`Error`] is, for coarse decisions such as an exit code or an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text, manifest or layer is malformed.
    Invalid,
    /// There is no such image.
    NotFound,
    /// Something still needs it, or the request is ambiguous.
    Conflict,
    /// Content is not what its name says.
    Corrupt,
    /// Not possible here.
    Unsupported,
    /// Credentials are missing or wrong.
    Denied,
    /// The registry is down or failing.
    Unavailable,
    /// The operating system failed us.
    Io,
}

impl Error {
    /// The kind of this error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidReference { .. } | Self::InvalidDigest { .. } | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::UnknownImage { .. } | Self::NoPlatform { .. } => ErrorKind::NotFound,
            Self::AmbiguousId { .. } | Self::InUse { .. } => ErrorKind::Conflict,
            Self::WrongDigest { .. } | Self::WrongSize { .. } => ErrorKind::Corrupt,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Unreachable { .. } | Self::Registry { .. } => ErrorKind::Unavailable,
            Self::Io { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn layer(subject: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        let subject = subject.to_string();
        let subject = subject.strip_prefix("layer ").unwrap_or(&subject).to_owned();
        Self::Invalid { what: "layer", subject, reason: reason.into() }
    }

    pub(crate) fn manifest(subject: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        Self::Invalid { what: "manifest", subject: subject.to_string(), reason: reason.into() }
    }
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Gives a bare system error its step and its path, which is the only way into [`Error::Io`].
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|error| Error::Io { doing, path: path.as_ref().to_owned(), source: error.into() })
    }
}

#[cfg(test)]
mod tests;
