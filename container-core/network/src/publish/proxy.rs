//! [`PortProxy`]: threads that carry what reaches a reserved socket to the container, until dropped.

use super::reserve::Held;
use super::{PortMapping, Reservation, tcp, udp};
use crate::{Error, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Carries published ports in user space. Dropping it ends its threads and connections and frees the ports.
#[derive(Debug)]
pub struct PortProxy {
    mappings: Vec<PortMapping>,
    threads: Vec<JoinHandle<()>>,
    /// Closed to tell the threads to stop: the other end becomes readable for all of them.
    stop: Option<OwnedFd>,
}

impl PortProxy {
    pub(super) fn start(reservation: Reservation, container: Ipv4Addr) -> Result<Self> {
        let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(Error::kernel("make a pipe"))?;
        let stopped = Arc::new(stopped);
        let mut proxy = Self { mappings: reservation.mappings(), threads: Vec::new(), stop: Some(stop) };
        for (port, socket) in reservation.held {
            let target = SocketAddrV4::new(container, port.container_port);
            let stopped = Arc::clone(&stopped);
            let builder = std::thread::Builder::new().name(format!("proxy {}", port.host_port)).stack_size(128 << 10);
            let thread = match socket {
                Held::Stream(listener) => builder.spawn(move || tcp::serve(&listener, target, &stopped)),
                Held::Datagrams(socket) => builder.spawn(move || udp::serve(&socket, target, &stopped)),
            };
            proxy.threads.push(thread.map_err(Error::io("start the proxy of", port.to_string()))?);
        }
        Ok(proxy)
    }

    /// The ports that it holds.
    #[must_use]
    pub fn mappings(&self) -> &[PortMapping] {
        &self.mappings
    }
}

impl Drop for PortProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            // A thread that panicked has printed why; the others still have to be waited for.
            let _ = thread.join();
        }
    }
}

/// Waits until one of `fds` can be read. `None` means that the proxy is to stop.
pub(super) fn readable(fds: &[BorrowedFd<'_>], stopped: &OwnedFd, timeout: PollTimeout) -> Option<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    polled.push(PollFd::new(stopped.as_fd(), PollFlags::POLLIN));
    loop {
        match poll(&mut polled, timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return None,
            Ok(_) => break,
        }
    }
    let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
    let (stop, others) = polled.split_last()?;
    (!ready(stop)).then(|| others.iter().map(ready).collect())
}
