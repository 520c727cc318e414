//! The Kubernetes API as a function in your process.
//!
//! [`ApiServer::handle`] takes a moment, a request and gives the reply that a Kubernetes API server
//! of version 1.33 would give, over the real paths and in the real words. There is no socket, clock,
//! thread or randomness in it: time is an argument, and everything that looks random (uids, names)
//! comes from the seed. [`ApiServer::poll`] drives watches the same way.
//!
//! The flow of a write: `path` (what is meant) → `decode` + `schema` (known fields, canonical
//! values) → `defaults` → `validate` → `store` (revision, change log). The flow of a read: `store` →
//! `selector` → `form` (object, metadata or `table`). Refusals are [`Status`] objects.
//!
//! # The front page
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod apply;
mod base64;
pub mod control;
mod convert;
mod decode;
mod defaults;
mod discovery;
mod error;
mod form;
#[cfg(feature = "listener")]
pub mod listener;
mod patch;
mod path;
mod pods;
pub mod print;
mod protobuf;
mod quantity;
mod random;
mod read;
mod request;
mod resource;
pub mod rollout;
mod schema;
mod selector;
mod server;
#[cfg(test)]
mod server_tests;
mod status;
mod store;
mod table;
pub mod time;
mod validate;
mod value;
mod watch;
mod write;
pub mod yaml;

pub use error::Error;
pub use pods::{ExecOptions, LogOptions, PodCall, PodVerb};
pub use request::{Body, Method, PatchKind, Reply, Request, Response, decode, encode, parse_query};
pub use resource::{RESOURCES, Resource, find, named, of_kind};
pub use server::{ApiServer, Config, Event};
pub use status::{Problem, Status};
pub use store::ChangeKind;
pub use watch::{Polled, Watch, WatchEvent};
