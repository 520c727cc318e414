//! A container outlives its launcher: the supervisor, its state directory and its protocol.

mod dir;
mod error;
mod files;
mod id;
mod log;
mod names;
mod policy;
pub mod protocol;
mod state;
mod time;
mod words;

pub use dir::{ContainerDir, StateRoot};
pub use error::{Result, SupervisorError};
pub use files::Lock;
pub use id::{is_id, is_prefix, new_id};
pub use log::{Entry, Follow, LogDriver, LogOptions, LogQuery, LogReader, LogWriter};
pub use policy::{Decision, Ended, NotAPolicy, RestartMachine, RestartPolicy};
pub use state::{Definition, Exit, LOST, State, Status};
pub use time::{NotATime, Time};
