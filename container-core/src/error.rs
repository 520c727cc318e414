//! What can go wrong, named for what the caller can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::ContainerId;

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// One thing wrong with a specification: where, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as a path such as `process.args`.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.what)
    }
}

/// Where a container stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Everything is set up; the program waits for `start`.
    Created,
    /// The program runs.
    Running,
    /// All processes are frozen.
    Paused,
    /// The program ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// Everything this crate can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A container's name breaks a rule.
    #[error("invalid container id {id:?}: it {reason}")]
    InvalidId {
        /// The name.
        id: String,
        /// The rule.
        reason: &'static str,
    },
    /// The specification cannot be carried out; every problem is listed.
    #[error("invalid specification: {}", list(problems))]
    InvalidSpec {
        /// All of them, not the first.
        problems: Vec<Problem>,
    },
    /// A text that should have been a specification is none.
    #[error("cannot read the specification")]
    Malformed {
        /// Where and why.
        source: serde_json::Error,
    },
    /// The container is not in a state that allows the call.
    #[error("container {id} is {found}, not {need}")]
    WrongStatus {
        /// The container.
        id: ContainerId,
        /// What the call needs.
        need: Status,
        /// What it is.
        found: Status,
    },
    /// This machine or this user cannot do what was asked.
    #[error("{feature} is not possible here: {hint}")]
    Unsupported {
        /// What was asked for.
        feature: String,
        /// Why not, or what would help.
        hint: String,
    },
    /// A step of the launch failed inside the container.
    #[error("cannot launch {id}: {op} (step {step} of {steps}, from {origin})")]
    Launch {
        /// The container.
        id: ContainerId,
        /// Index of the step in the plan.
        step: usize,
        /// Number of steps of the plan.
        steps: usize,
        /// The step as the plan prints it.
        op: String,
        /// The field of the specification it came from.
        origin: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The process that was being launched died before its program began.
    #[error("cannot launch {id}: the child ended early ({how})")]
    ChildLost {
        /// The container.
        id: ContainerId,
        /// How it ended.
        how: String,
    },
    /// The program does not exist in the container (a shell would exit with 127).
    #[error("exec: {command:?}: executable file not found in $PATH")]
    CommandNotFound {
        /// The program asked for.
        command: String,
    },
    /// The program exists and cannot be executed (a shell would exit with 126).
    #[error("exec: {command:?}")]
    NotExecutable {
        /// The program asked for.
        command: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The working folder is missing, no folder, or outside the container.
    #[error("cannot enter the working folder {path:?}")]
    WorkingFolder {
        /// The folder asked for.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A user or group text does not name anybody.
    #[error("user {user:?}: {reason}")]
    UnknownUser {
        /// The text.
        user: String,
        /// Why it names nobody.
        reason: String,
    },
    /// A signal text does not name a signal.
    #[error("no such signal: {text:?}")]
    UnknownSignal {
        /// The text.
        text: String,
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
    AmbiguousContainer {
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
    /// A file could not be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel refused a call that names no file.
    #[error("cannot {doing}")]
    Kernel {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// The exit status Docker gives for this failure: 127 and 126 when the program could not be found or executed,
    /// else 125.
    #[must_use]
    pub const fn docker_exit_code(&self) -> u8 {
        match self {
            Self::CommandNotFound { .. } => 127,
            Self::NotExecutable { .. } | Self::WorkingFolder { .. } => 126,
            _ => 125,
        }
    }

    pub(crate) fn kernel(doing: &'static str) -> impl FnOnce(nix::errno::Errno) -> Self {
        move |errno| Self::Kernel { doing, source: errno.into() }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
