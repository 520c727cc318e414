//! Simulation: the same control loop under virtual time, with everything random taken from one seed.

mod cluster;
mod kubelet;
mod rng;
mod store;

pub use cluster::Cluster;
pub use kubelet::{Behaviour, FakeKubelet};
pub use rng::Rng;
pub use store::{Refusal, Store};
