//! The store against the real kernel, real users, real processes and real peers. What cannot run here says why.
//!
//! The same program plays the other process of a case when [`child::ROLE`] is set.

mod child;
mod crash;
mod faults;
mod http;
mod machine;
mod peers;
mod protocol;
mod registry;
mod util;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(child::ROLE) {
        return child::play(&role);
    }
    let cases =
        [registry::cases(), machine::cases(), crash::cases(), peers::cases(), protocol::cases(), faults::cases()];
    test_lane::main(cases.into_iter().flatten().collect())
}
