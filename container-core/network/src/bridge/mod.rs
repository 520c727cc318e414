//! A bridge network: one address per container, names, published ports; gone with its last container.
//!
//! **The lease file is the truth, the kernel is made to match it.** Every operation takes the network's lock, changes
//! the file (whole: temporary file, rename), and then *converges* the kernel: bridge, links, forwarding and rules are
//! all computed from the file, so a process killed between any two steps leaves a state that the next operation (or
//! [`Network::repair`]) heals. The order:
//!
//! | attach | detach |
//! |---|---|
//! | 1. lease into the file | 1. lease out of the file |
//! | 2. bridge, its address, forwarding, rules | 2. rules (as a whole, from the file), so no packet is sent to the address |
//! | 3. veth pair, far end born in the container's namespace | 3. links on the bridge that no lease names |
//! | 4. address and default route inside | 4. with the last lease: bridge, table, forwarding as it was, file |
//!
//! A lease written at step 1 of an attach that died is dropped by `repair`, which asks the caller who is alive.
//! Absent on purpose: who is alive (the caller knows its containers), name resolution (see `files`).

mod config;
mod converge;
mod network;
mod rules;
mod state;

pub use config::NetworkConfig;
pub(crate) use config::check_link_name;
pub use network::{Attachment, Endpoint, Network};
pub use state::Lease;
