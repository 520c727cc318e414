//! The engine behind a socket: HTTP/1.1 on loopback with a bearer token, or on a unix socket.
//!
//! The socket is handed in, so its owner decides who can reach it. Every connection runs on one
//! runtime thread; requests take the engine's lock for microseconds, watches wait for its bell, and
//! calls that end in a container go to the [`Delegate`]. With the feature `tls` the listener makes an
//! identity of its own, which the kubeconfig vouches for.

mod auth;
mod body;
mod connection;
mod exec;
mod exec_client;
mod pods;
mod shared;
#[cfg(feature = "tls")]
mod tls;
mod ws;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

pub use auth::{Kubeconfig, Token, write_kubeconfig};
pub use exec_client::{Duplex, Streams, exec};
pub use pods::{Delegate, Exit, Session};
pub use shared::{Clock, SharedApi};
#[cfg(feature = "tls")]
pub use tls::Identity;

/// A bound socket.
#[derive(Debug)]
pub enum Socket {
    /// Loopback TCP; give it a token.
    Tcp(std::net::TcpListener),
    /// A unix socket, guarded by its mode.
    Unix(std::os::unix::net::UnixListener),
}

/// How to serve.
#[derive(Clone, Default)]
pub struct Options {
    /// The credential that every request must carry; without one everybody is let in.
    pub token: Option<Token>,
    /// Who carries out logs, exec and port forwarding.
    pub delegate: Option<Arc<dyn Delegate>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let delegate = self.delegate.is_some();
        f.debug_struct("Options").field("token", &self.token).field("delegate", &delegate).finish()
    }
}

/// A listener at work. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Ends watches, lets requests under way finish, and waits for that.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic of the listener's thread has been printed by it.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Serves `api` on `socket` from a thread of its own.
///
/// # Errors
/// The socket cannot be used without blocking, or no thread can be made.
pub fn spawn(api: SharedApi, socket: Socket, options: Options) -> io::Result<Running> {
    start(socket, |stopped| connection::Served::new(api, options, stopped))
}

/// As [`spawn`], over TLS.
///
/// # Errors
/// As [`spawn`].
#[cfg(feature = "tls")]
pub fn spawn_tls(api: SharedApi, socket: Socket, options: Options, identity: Identity) -> io::Result<Running> {
    start(socket, |stopped| connection::Served::new(api, options, stopped).speaking_as(identity))
}

fn start(socket: Socket, serve: impl FnOnce(watch::Receiver<bool>) -> connection::Served) -> io::Result<Running> {
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    match &socket {
        Socket::Tcp(listener) => listener.set_nonblocking(true)?,
        Socket::Unix(listener) => listener.set_nonblocking(true)?,
    }
    let served = Arc::new(serve(stopped));
    let thread = std::thread::Builder::new().name("apiserver".to_owned()).spawn(move || {
        runtime.block_on(accept(&served, socket));
        // Threads that read a container's output end with their container; do not wait for them.
        runtime.shutdown_background();
    })?;
    Ok(Running { stop, thread: Some(thread) })
}

/// Serves until the listener is stopped.
async fn accept(served: &Arc<connection::Served>, socket: Socket) {
    let (alive, mut all_gone) = tokio::sync::mpsc::channel::<()>(1);
    match socket {
        Socket::Tcp(listener) => {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            while let Some(stream) = served.next(|| async { listener.accept().await.map(|(s, _)| s) }).await {
                // Small answers should not wait for more to send with them.
                let _ = stream.set_nodelay(true);
                connection::start(served, stream, &alive);
            }
        }
        Socket::Unix(listener) => {
            let Ok(listener) = tokio::net::UnixListener::from_std(listener) else { return };
            while let Some(stream) = served.next(|| async { listener.accept().await.map(|(s, _)| s) }).await {
                connection::start(served, stream, &alive);
            }
        }
    }
    drop(alive);
    let patience = std::time::Duration::from_secs(2);
    let _ = tokio::time::timeout(patience, all_gone.recv()).await;
}
