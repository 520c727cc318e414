//! A container outlives its launcher: the supervisor, its state directory and its protocol.
//!
//! A detached container is watched by a small process of its own, which holds its log, terminal,
//! restart policy and exit status ([`main`]). What is known about it lies in a folder that any
//! program may read ([`StateRoot`], [`ContainerDir`]), and what a command does to it goes through
//! [`Operator`]. An embedding program brings its images and networks by [`Embedding`], and starts
//! itself again to become a supervisor.
//!
//! Absent on purpose: images, networks, volumes, and any daemon that knows all containers.

mod client;
mod dir;
mod embedding;
mod error;
mod files;
mod id;
mod log;
mod names;
mod operate;
mod policy;
pub mod protocol;
mod serve;
mod state;
mod time;
mod words;

pub use client::Control;
pub use dir::{ContainerDir, StateRoot};
pub use embedding::{Embedding, Failure, chain};
pub use files::Lock;
pub use id::{is_id, is_prefix, new_id};
pub use log::{Entry, Follow, LogDriver, LogOptions, LogQuery, LogReader, LogWriter};
pub use operate::{Operator, StartOptions, Started};
pub use policy::{Decision, Ended, NotAPolicy, RestartMachine, RestartPolicy};
pub use serve::main;
pub use state::{Definition, Exit, LOST, State, Status};
pub use time::{NotATime, Time};
