//! The control socket: `down` and the power switches of nodes, one JSON line each way.
//!
//! The socket lies in the 0700 state folder and is 0600 itself. The answer to `down` comes when all is tidied.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;

use serde::{Deserialize, Serialize};

use super::Event;
use crate::error::{Error, PathContext, Result};
use crate::link::Result2;
use crate::state::Root;

/// What another process may ask of the running cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Order {
    /// Ends everything.
    Down,
    /// Switches a node off or on.
    Power {
        /// The node's name.
        node: String,
        /// Which way.
        on: bool,
    },
}

/// Takes orders until the process ends.
pub(super) fn listen(root: &Root, events: mpsc::Sender<Event>) -> Result<()> {
    let path = root.control_socket();
    let listener = UnixListener::bind(&path).at("bind", &path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).at("close to others", &path)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut line = String::new();
            let read = BufReader::new(&stream).read_line(&mut line);
            let Some(order) = read.ok().and_then(|_| serde_json::from_str(&line).ok()) else { continue };
            if events.send(Event::Order(order, stream)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Answers an order; one who did not wait for it is nobody's trouble.
pub(super) fn answer(mut stream: UnixStream, outcome: &Result2<()>) {
    if let Ok(mut line) = serde_json::to_vec(outcome) {
        line.push(b'\n');
        let _ = stream.write_all(&line);
    }
}

/// Gives an order to the cluster of this folder and waits until it is done.
pub(crate) fn send_order(root: &Root, order: &Order) -> Result<()> {
    let Ok(mut stream) = UnixStream::connect(root.control_socket()) else {
        return Err(super::sweep_if_idle(root));
    };
    let mut line = serde_json::to_vec(order).map_err(|error| Error::library("write an order", error))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(|source| Error::system("reach the cluster", source))?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(|source| Error::system("hear from the cluster", source))?;
    match serde_json::from_str::<Result2<()>>(&answer) {
        Ok(outcome) => outcome.map_err(|problem| Error::Half { problem: format!("answered: {problem}") }),
        Err(_) => Err(Error::Half { problem: "ended before it answered".to_owned() }),
    }
}
