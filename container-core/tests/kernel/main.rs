//! Cases that need a real kernel: launches, limits, terminals, and what must not be possible inside.

mod join;
mod life;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut cases = Vec::new();
    cases.extend(life::cases());
    cases.extend(join::cases());
    test_lane::main(cases)
}
