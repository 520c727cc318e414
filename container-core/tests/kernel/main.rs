//! Cases that need a real kernel: launches, limits, terminals, and what must not be possible inside.

mod confined;
mod host;
mod join;
mod life;
mod limits;
mod rootless;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut cases = Vec::new();
    cases.extend(life::cases());
    cases.extend(join::cases());
    cases.extend(limits::cases());
    cases.extend(confined::cases());
    cases.extend(host::cases());
    cases.extend(rootless::cases());
    let code = test_lane::main(cases);
    support::clean();
    code
}
