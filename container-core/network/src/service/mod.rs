//! Services: one stable address in front of many endpoints, as flat data maps in the kernel.
//!
//! [`ServiceTable`] (a value: sorted, printable, [`trace`]able) → difference from what was applied last → one nf_tables
//! batch ([`ServiceProgram`]). The shape, and why: a data map gives each `address . protocol . port` the number of its
//! endpoints, a tiny verdict map leads to one chain per such number, which throws the dice and takes the endpoint from
//! one more data map. A change costs the same with 10 Services and with 50,000; a chain per Service, the usual shape,
//! costs time squared. Pods and the node's own processes take the same way (prerouting and output).
//!
//! An address that is ours without endpoints, or a port that no Service has, is refused at once, not left to time out.
//! Absent on purpose: what a Service object means (the caller compiles that), node ports, session affinity.

mod conntrack;
mod plan;
mod program;
mod table;
mod trace;

pub use conntrack::forget_connections;
pub use program::{Applied, Balance, ServiceConfig, ServiceProgram};
pub(crate) use table::refusal;
pub use table::{Refusal, ServiceEntry, ServiceTable};
pub use trace::{Outcome, Packet, trace};
