//! The Kubernetes objects that this crate decides about, as slim types with the API's own JSON.
//!
//! `Object` is one of them; `Kind` names them, `Key` names one of them. Fields that are not named here are carried
//! along. Validation, defaults and versions are the API server's business and deliberately absent.

mod apps;
mod config;
mod container;
mod int_or_string;
mod kind;
mod meta;
mod node;
mod placement;
mod pod;
mod pod_status;
mod quantity;
mod selector;
mod service;
#[cfg(test)]
mod tests;
mod volume;
mod wire;

pub use apps::*;
pub use config::*;
pub use container::*;
pub use int_or_string::IntOrString;
pub use kind::{Key, Kind, Name, Object, Resource};
pub use meta::*;
pub use node::*;
pub use placement::*;
pub use pod::*;
pub use pod_status::*;
pub use quantity::Quantity;
pub use selector::*;
pub use service::*;
pub use volume::*;
pub use wire::Extra;
