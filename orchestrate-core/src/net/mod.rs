//! The network as tables: which addresses exist, and where traffic to a Service goes.
//!
//! Compilers from the world to neutral, printable values; an executor turns differences into rules. Policies, DNS and
//! routes between machines are absent so far, and so is IPv6.

mod allocate;
mod cidr;
mod services;

pub(crate) use allocate::reconcile;
pub use allocate::{Networks, cluster_ip, free_address, load_balancer_ip, node_port, pod_cidr};
pub use cidr::Cidr;
pub use services::{Entry, Frontend, ServiceTable, services};
