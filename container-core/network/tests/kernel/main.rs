//! Tests against the real kernel. Every case has a fresh network namespace of its own, so the host is untouched; an
//! ordinary user runs all of them inside one user namespace.

mod bridge;
mod publish;
mod world;

fn main() -> std::process::ExitCode {
    world::become_root();
    let mut cases = Vec::new();
    cases.extend(bridge::cases());
    cases.extend(publish::cases());
    test_lane::main(cases)
}
