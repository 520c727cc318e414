//! Docker's sentences over container-core, image-store and container-network: the wiring as a library.
//!
//! There is no daemon. A command opens the [`Engine`] of a state root, reads or changes what is
//! there, and ends; a container that runs is watched by a supervisor, which is this program started
//! again with a hidden argument. An embedding program can use the pieces the same way: flags become
//! a definition ([`create`]), a definition becomes a launch ([`launch`]), and [`wiring`] is what its
//! own supervisors need.
//!
//! Absent on purpose: builds, Compose, swarm, plugins, user-defined networks, and the Engine API.

#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod copy;
pub mod create;
pub mod details;
mod engine;
mod error;
pub mod files;
pub mod flags;
pub mod launch;
pub mod outer;
pub mod session;
pub mod text;
pub mod volumes;
pub mod wiring;

pub use engine::{Engine, Seen};
pub use error::{Error, Result};
