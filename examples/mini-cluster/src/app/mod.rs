//! The demo application: a small HTTP server that says who answers.
//!
//! It runs inside containers as a hidden subcommand of the same binary. `GET /` answers pod name, version and
//! greeting as JSON; `/env` the environment; `/healthz` 200 or, once told to fail with `POST /fail`, 503;
//! `POST /recover` heals it; `POST /exit?code=3` ends the process; `/slow?ms=200` answers late; `/files/NAME` serves
//! from the data folder; `/peer` relays what a neighbour on the same network answers. On SIGTERM it finishes what it
//! has begun, goes on accepting for a short drain, and exits with 0.
//!
//! Deliberately absent: TLS, anything that is not needed to watch a cluster at work.

mod answers;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What the hidden subcommand takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// TCP port to listen on.
    #[arg(long, default_value_t = 80)]
    port: u16,
    /// Folder that `/files/NAME` serves from.
    #[arg(long, default_value = "/data")]
    data: PathBuf,
    /// Writes one line into this file at start.
    #[arg(long)]
    leave_note: Option<PathBuf>,
    /// Neighbour whose answer `/peer` relays, as `127.0.0.1:8081`.
    #[arg(long)]
    peer: Option<SocketAddr>,
    /// Fails its health check from the start.
    #[arg(long)]
    broken: bool,
    /// How long to go on accepting after SIGTERM, in milliseconds.
    #[arg(long, default_value_t = 300)]
    drain_ms: u64,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn main(options: &Options) -> std::io::Result<()> {
    let identity = answers::Identity::from_environment();
    if let Some(note) = &options.leave_note {
        std::fs::write(note, format!("a note from {}\n", identity.pod))?;
    }
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.port));
    println!("{} version {} listens on {address}", identity.pod, identity.version);
    let app = answers::App::new(identity, options.data.clone(), options.peer, options.broken);
    server::serve(address, app, Duration::from_millis(options.drain_ms))
}
