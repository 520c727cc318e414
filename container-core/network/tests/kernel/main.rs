//! Tests against the real kernel. Every case has a fresh network namespace of its own, so the host is untouched; an
//! ordinary user runs all of them inside one user namespace.

mod bridge;
mod crash;
mod outer;
mod publish;
mod service;
mod world;

fn main() -> std::process::ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = outer::roles(&arguments).or_else(|| crash::roles(&arguments)) {
        return code;
    }
    let tried = outer::try_as_ordinary_user();
    world::become_root();
    let mut cases = Vec::new();
    cases.extend(bridge::cases());
    cases.extend(crash::cases());
    cases.extend(publish::cases());
    cases.extend(outer::cases(tried));
    cases.extend(service::cases());
    test_lane::main(cases)
}
