//! Without root: a namespace in which an ordinary user is root, shared by everything of one state root.
//!
//! Supervisors live in it, and so do `exec` and `cp` for as long as they last; pulling and listing stay outside. The
//! whole process moves, so it happens first thing in `main`, before there are threads.
//!
//! What cannot work without root is refused with its reason, never left out silently.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use container_network::outer::{OuterNamespace, helper_main};

use crate::cli;
use crate::engine::default_root;
use crate::error::Result;

/// The hidden argument that leads to the helpers of the namespace.
const HELPER: &str = "outer-helper";

/// Tells whether this process is an ordinary user's.
#[must_use]
pub fn is_rootless() -> bool {
    !nix::unistd::geteuid().is_root()
}

/// Becomes a helper of the namespace when the first argument says so.
#[must_use]
pub fn helper() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == HELPER).then(|| helper_main(&arguments.collect::<Vec<OsString>>()))
}

/// Enters the namespace if the command needs it. Everybody else stays where they are.
///
/// # Errors
/// `Network` where the kernel forbids user namespaces.
pub fn enter_if_needed(cli: &mut cli::Cli) -> Result<Option<OuterNamespace>> {
    use cli::Command::{Cp, Exec, Rm, Supervise};
    if !is_rootless() || !matches!(cli.command, Supervise { .. } | Exec(_) | Cp(_) | Rm(_)) {
        return Ok(None);
    }
    // Settled before this process becomes root, whose place is another.
    let root = cli.root.take().map_or_else(default_root, Ok)?;
    let entered = enter(&root)?;
    cli.root = Some(root);
    Ok(Some(entered))
}

fn enter(root: &Path) -> Result<OuterNamespace> {
    let helper = || {
        let mut command = Command::new("/proc/self/exe");
        command.arg(HELPER);
        command
    };
    Ok(OuterNamespace::enter(&root.join("outer"), helper)?)
}
