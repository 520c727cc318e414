//! The real binary from end to end, in network and mount namespaces of its own, so that the host stays untouched.

mod bad;
mod crash;
mod files;
mod images;
mod life;
mod logs;
mod network;
mod options;
mod rootless;
mod run;
mod terminal;
mod world;

use std::os::fd::AsFd;
use std::process::ExitCode;

use container_network::Namespace;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

fn main() -> ExitCode {
    if nix::unistd::geteuid().is_root()
        && let Err(error) = own_namespaces()
    {
        eprintln!("cannot make namespaces for the tests: {error}");
        return ExitCode::FAILURE;
    }
    let mut cases = Vec::new();
    cases.extend(run::cases());
    cases.extend(life::cases());
    cases.extend(logs::cases());
    cases.extend(options::cases());
    cases.extend(network::cases());
    cases.extend(files::cases());
    cases.extend(images::cases());
    cases.extend(terminal::cases());
    cases.extend(bad::cases());
    cases.extend(crash::cases());
    cases.extend(rootless::cases());
    test_lane::main(cases)
}

/// Moves this process, before it has threads, into a fresh network namespace and a mount namespace of its own.
fn own_namespaces() -> Result<(), Box<dyn std::error::Error>> {
    let network = Namespace::create()?;
    setns(network.as_fd(), CloneFlags::CLONE_NEWNET)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    Ok(())
}
