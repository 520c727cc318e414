//! A Kubernetes cluster of real containers in one process: the wiring of all the crates.
//!
//! ```text
//!   the process the user started (outside half)        process 1 of its own namespaces (inside half)
//!   ┌─────────────────────────────────────────┐  link  ┌──────────────────────────────────────────────┐
//!   │ pulls, registry, host ports, down       │◄──────►│ API engine ◄─ control loop (orchestrate-core)│
//!   └─────────────────────────────────────────┘        │ node agents ─► container-core, image-store   │
//!        ▲ control.sock          api.sock, dial.sock ─►│ Service rules ─► container-network           │
//!        │ commands ────────────────────────────────►  └──────────────────────────────────────────────┘
//! ```
//!
//! Whatever decides lives in the libraries; this package owns time, threads, sockets and the state folder. Killing
//! either half ends everything: the kernel takes processes, mounts, links and rules with the namespaces, and the next
//! command on the same state folder removes cgroups and files.
#![forbid(unsafe_code)]

mod app;
mod cli;
mod client;
mod demo;
mod dial;
mod enter;
mod error;
mod http1;
mod inside;
mod link;
mod node;
mod outside;
mod state;

pub use cli::{Cli, run};
pub use error::{Error, Result};
pub use state::Root;
