//! Simulation: the same control loop under virtual time, with everything random taken from one seed.

mod rng;
mod store;

pub use rng::Rng;
pub use store::{Refusal, Store};
