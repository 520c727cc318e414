//! The proxy's stream half: accept, connect to the container, copy both ways, keep half-closed connections half open.

use super::proxy::readable;
use nix::poll::PollTimeout;
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Connections of one port at a time; more wait in the kernel's queue.
const MOST: usize = 1024;
/// A container that does not answer for so long gets no connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// A copying thread needs little.
const STACK: usize = 64 << 10;

/// The open connections of one port: both ends each, so that they can be cut.
#[derive(Default)]
struct Connections {
    open: Mutex<Open>,
    fewer: Condvar,
}

#[derive(Default)]
struct Open {
    streams: BTreeMap<u64, [TcpStream; 2]>,
    /// The proxy has ended: a connection that was about to begin must not.
    ended: bool,
}

/// Serves one port until stopped, then cuts its connections.
pub(super) fn serve(listener: &TcpListener, target: SocketAddrV4, stopped: &OwnedFd) {
    let connections = Arc::new(Connections::default());
    // Between the poll and the accept a client may have gone: the accept must not wait for the next.
    let _ = listener.set_nonblocking(true);
    let mut number = 0;
    while readable(&[listener.as_fd()], stopped, PollTimeout::NONE).is_some() {
        match listener.accept() {
            Ok((client, _)) => {
                number += 1;
                connections.wait_for_room();
                connections.begin(number, client, target);
            }
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EMFILE as i32) => {
                connections.wait_for_fewer();
            }
            Err(_) => {}
        }
    }
    connections.cut();
}

impl Connections {
    fn begin(self: &Arc<Self>, number: u64, client: TcpStream, target: SocketAddrV4) {
        let this = Arc::clone(self);
        let builder = std::thread::Builder::new().name("proxy connection".to_owned()).stack_size(STACK);
        // Without a thread for it the connection is closed, which the client sees.
        let _ = builder.spawn(move || {
            // Refused, or cut in the middle: either way the client sees its connection end.
            let _ = this.carry(number, &client, target);
        });
    }

    fn carry(&self, number: u64, client: &TcpStream, target: SocketAddrV4) -> io::Result<()> {
        client.set_nonblocking(false)?;
        let server = TcpStream::connect_timeout(&SocketAddr::V4(target), PATIENCE)?;
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let both = [client.try_clone()?, server.try_clone()?];
        {
            let mut open = self.lock();
            if open.ended {
                return Ok(());
            }
            open.streams.insert(number, both);
        }
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(STACK);
            let back = builder.spawn_scoped(scope, || copy(&server, client));
            if back.is_ok() {
                copy(client, &server);
            }
        });
        self.lock().streams.remove(&number);
        self.fewer.notify_one();
        Ok(())
    }

    fn wait_for_room(&self) {
        let open = self.lock();
        drop(self.fewer.wait_timeout_while(open, PATIENCE, |open| open.streams.len() >= MOST));
    }

    /// No file descriptor is left: one connection must end before the next can begin.
    fn wait_for_fewer(&self) {
        drop(self.fewer.wait_timeout(self.lock(), Duration::from_millis(100)));
    }

    fn cut(&self) {
        let mut open = self.lock();
        open.ended = true;
        for stream in open.streams.values().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies until the sender has said all, then says so to the receiver. The standard copy splices inside the kernel.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    if io::copy(&mut from, &mut to).is_err() {
        let _ = from.shutdown(Shutdown::Both);
    }
    let _ = to.shutdown(Shutdown::Write);
}
