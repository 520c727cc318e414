#![doc = include_str!("../README.md")]

mod caps;
pub mod cgroup;
pub mod compile;
mod container;
mod error;
mod exec;
mod exit;
mod family;
pub mod host;
mod id;
mod launch;
mod options;
pub mod plan;
mod process;
mod record;
mod runtime;
pub mod seccomp;
mod signal;
pub mod spec;
pub mod supervisor;
pub mod user;

pub use container::Container;
pub use error::{Error, Problem, Result, Status};
pub use exec::{Exec, Process};
pub use exit::{Ended, ExitStatus};
pub use host::Host;
pub use id::ContainerId;
pub use options::{Launch, Missing, NamespaceKind, Rootfs, Size, Stdio};
pub use plan::LaunchPlan;
pub use record::{Adopted, Record};
pub use runtime::Runtime;
pub use signal::Signal;
pub use spec::Spec;
