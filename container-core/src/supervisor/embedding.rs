//! What an embedding program adds to a supervised container: its launch, its network, its traces.
//!
//! container-core knows neither images nor networks; the program that embeds it does, through this
//! trait. All of it runs in the supervisor process.

use std::error::Error;

use serde_json::Value;

use super::dir::ContainerDir;
use super::state::Definition;
use crate::{Container, Launch, Runtime};

/// Why a container could not be launched: one line, and Docker's exit code for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Subject, step and cause.
    pub message: String,
    /// 125, 126 or 127.
    pub code: i32,
}

impl Failure {
    /// Writes an error and its causes in one line. The code is 125.
    #[must_use]
    pub fn new(error: &(dyn Error + 'static)) -> Self {
        Self { message: chain(error), code: 125 }
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self { code: i32::from(error.docker_exit_code()), ..Self::new(&error) }
    }
}

/// Writes an error and its causes in one line, each after a colon.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// What an embedding program adds to a supervised container.
pub trait Embedding {
    /// The runtime that launches.
    fn runtime(&self) -> &Runtime;

    /// Makes the launch of the next run. Standard streams are set by the supervisor.
    ///
    /// # Errors
    /// The container is not started then.
    fn prepare(&self, definition: &Definition, dir: &ContainerDir) -> Result<Launch, Failure>;

    /// Attaches what the container needs from outside (links, addresses, published ports) while its first process
    /// waits before its program. What is returned is kept in the state for `detach` and for readers.
    ///
    /// # Errors
    /// The container is not started then, and `detach` is called.
    fn attach(&self, definition: &Definition, dir: &ContainerDir, container: &Container) -> Result<Value, Failure>;

    /// Takes over what a killed supervisor had attached to a container that still runs.
    ///
    /// # Errors
    /// Reported in the state; the container goes on.
    fn take_over(&self, definition: &Definition, dir: &ContainerDir, attachment: &Value) -> Result<(), Failure>;

    /// Takes away everything that `prepare` and `attach` made outside the container's folder. Called after each run,
    /// and again after a crash, when it may find nothing or only a part: `attachment` is null then.
    ///
    /// # Errors
    /// Reported in the state.
    fn detach(&self, definition: &Definition, dir: &ContainerDir, attachment: &Value) -> Result<(), Failure>;

    /// The container's folder is gone. What the embedding program kept for it elsewhere may go too.
    fn removed(&self, definition: &Definition);
}
