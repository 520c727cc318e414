//! What can go wrong outside a request: reading manifests, serving, calling a server.
//!
//! A refused request is not here: it is a [`crate::Status`], in Kubernetes' own words.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A manifest is no YAML.
    #[error("line {line}, column {column}: {problem}")]
    Yaml {
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What was expected, or is wrong.
        problem: String,
    },
    /// A manifest is YAML, but no object of the API.
    #[error("document {document}: {problem}")]
    Manifest {
        /// Number of the document, from 1.
        document: usize,
        /// What it lacks.
        problem: String,
    },
    /// The server refused a request.
    #[error("{doing}")]
    Refused {
        /// What was asked for.
        doing: String,
        /// The refusal.
        #[source]
        source: crate::Status,
    },
    /// No connection, or it broke.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}
