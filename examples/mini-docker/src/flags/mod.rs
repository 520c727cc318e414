//! What people write behind flags, read into values: ports, mounts, environment, signals. Pure.

pub mod env;
pub mod mounts;
pub mod ports;
