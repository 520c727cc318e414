//! Upstream's behaviour, told as tables and short stories over the public surface.

mod agents;
mod deployments;
mod garbage;
mod lab;
mod nodes;
mod phases;
mod pods;
mod services;
