//! Calls that end in a container: logs as a stream of bytes; exec, attach and ports by upgrade.

use std::io::{Read, Write};
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::mpsc;

use super::body::Out;
use super::connection::{Served, growing};
use super::exec::Upgrade;
use crate::{PodCall, PodVerb, Status};

/// How a process in a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// Nobody knows.
    Lost,
}

/// A process in a container, or the container's own, with its streams.
pub struct Session {
    /// Where the client's input goes; dropping it ends the input.
    pub stdin: Option<Box<dyn Write + Send>>,
    /// Output, until the end.
    pub stdout: Option<Box<dyn Read + Send>>,
    /// Error output, until the end.
    pub stderr: Option<Box<dyn Read + Send>>,
    /// Called with columns and rows when the client's terminal changes.
    pub resize: Option<Box<dyn FnMut(u16, u16) + Send>>,
    /// Blocks until the process has ended.
    pub wait: Box<dyn FnOnce() -> Exit + Send>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let streams = (self.stdin.is_some(), self.stdout.is_some(), self.stderr.is_some());
        f.debug_tuple("Session").field(&streams).finish()
    }
}

/// Whoever owns the containers. Methods may block: they run on threads of their own.
pub trait Delegate: Send + Sync {
    /// The log that `call` asks for, as its bytes; ends when a log that is not followed ends.
    ///
    /// # Errors
    /// The refusal to send instead.
    fn log(&self, call: &PodCall) -> Result<Box<dyn Read + Send>, Status>;

    /// Starts a process in a container, or attaches to the container's own.
    ///
    /// # Errors
    /// The refusal to send instead.
    fn exec(&self, call: &PodCall) -> Result<Session, Status>;
}

pub(super) async fn answer(
    served: &Arc<Served>,
    call: PodCall,
    upgrade: Option<Upgrade>,
) -> Result<hyper::Response<Out>, Status> {
    let Some(delegate) = served.options.delegate.clone() else {
        return Err(Status::not_implemented("access to containers"));
    };
    match (&call.verb, upgrade) {
        (PodVerb::Log(_), _) => {
            let reader = tokio::task::spawn_blocking(move || delegate.log(&call));
            let reader = reader.await.map_err(Status::internal)??;
            Ok(growing("text/plain", pump(reader)))
        }
        (PodVerb::Exec(_) | PodVerb::Attach(_), Some(upgrade)) => {
            let session = tokio::task::spawn_blocking(move || delegate.exec(&call));
            upgrade.serve(session.await.map_err(Status::internal)??)
        }
        (PodVerb::PortForward(_), _) => Err(Status::not_implemented("port forwarding")),
        (_, None) => Err(Status::bad_request("Upgrade request required: websocket, v5.channel.k8s.io")),
    }
}

/// Reads on a thread of its own until the end, or until nobody listens.
fn pump(mut reader: Box<dyn Read + Send>) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0_u8; 32 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    if sender.blocking_send(Bytes::copy_from_slice(&buffer[..count])).is_err() {
                        return;
                    }
                }
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
}
