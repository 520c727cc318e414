#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod action;
pub mod control;
pub mod controllers;
mod error;
pub mod net;
pub mod node;
pub mod objects;
pub mod schedule;
pub mod sim;
pub mod time;
pub mod world;

pub use action::{Action, Plan};
pub use error::Error;
pub use objects::{Key, Kind, Object, Resource};
pub use time::Time;
pub use world::{Change, World};
