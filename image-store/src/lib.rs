#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod base;
mod build;
mod config;
mod digest;
mod error;
mod fault;
mod layer;
mod manifest;
mod platform;
mod reference;
mod registry;
#[cfg(feature = "registry-server")]
pub mod registry_server;
mod snapshot;
mod store;

pub use build::{LayerContent, LayerEntry};
pub use config::{Healthcheck, History, ImageConfig};
pub use digest::Digest;
pub use error::{Error, ErrorKind, Result};
pub use manifest::Descriptor;
pub use platform::Platform;
pub use reference::Reference;
pub use registry::{Credential, Progress, PullOptions, Pulled, Registry, Stage};
pub use snapshot::{Shortfalls, Snapshot};
pub use store::{Freed, Image, Limits, Removed, Store};
