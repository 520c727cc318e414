//! The process that stays outside, and its clients.

use super::helper::Namespaces;
use super::wire::{Reply, Request, receive, send};
use crate::publish::{Binder, bind_error, bind_socket};
use crate::{Error, Protocol, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// A broker whose first member does not come within this time has lost it.
const FIRST_MEMBER: u16 = 10_000;

/// A member's connection to the broker: it binds outside, and keeps the outer namespace findable while it is open.
#[derive(Debug)]
pub struct BrokerClient {
    /// One question at a time.
    stream: Mutex<UnixStream>,
}

impl BrokerClient {
    /// Connects to the broker of a state directory, if it lives.
    pub(super) fn connect(directory: &File) -> Option<Self> {
        UnixStream::connect(socket_path(directory)).ok().map(|stream| Self { stream: Mutex::new(stream) })
    }

    /// Becomes a member; returns the namespaces: network, mount and, unless made by root, user.
    pub(super) fn join(&self) -> Result<Vec<OwnedFd>> {
        let pid = nix::unistd::getpid().as_raw();
        let (reply, fds) = self.ask("join", &Request::Join { pid })?;
        match reply.refusal() {
            None if fds.len() >= 2 => Ok(fds),
            None => Err(Error::Helper { doing: "pass its namespaces", why: format!("{} came", fds.len()) }),
            Some(source) => Err(Error::Kernel { doing: "join the outer namespace".to_owned(), source }),
        }
    }

    /// Listens outside for streams.
    ///
    /// # Errors
    /// `PortTaken` and the other errors of [`Binder::bind`].
    pub fn listen(&self, address: SocketAddr) -> Result<TcpListener> {
        self.bind(Protocol::Tcp, address).map(TcpListener::from)
    }

    fn ask(&self, doing: &'static str, request: &Request) -> Result<(Reply, Vec<OwnedFd>)> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = send(&stream, request, &[]).and_then(|()| receive(&stream));
        match answer {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Error::Helper { doing, why: "it has ended".to_owned() }),
            Err(error) => Err(Error::Helper { doing, why: error.to_string() }),
        }
    }
}

/// Binds where the broker is: outside.
impl Binder for BrokerClient {
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> Result<OwnedFd> {
        let (reply, fds) = self.ask("bind a port", &Request::Bind { protocol, address })?;
        if let Some(errno) = reply.refusal() {
            return Err(bind_error(protocol, address, errno));
        }
        let missing = || Error::Helper { doing: "bind a port", why: "no socket came".to_owned() };
        fds.into_iter().next().ok_or_else(missing)
    }
}

/// The socket by way of a descriptor: a state directory's own path may be longer than a socket's may be.
pub(super) fn socket_path(directory: &File) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}/outer.sock", directory.as_raw_fd())
}

/// Who is connected, kept in a file for a successor.
struct Members<'a> {
    file: &'a Path,
    home: String,
    pids: BTreeSet<i32>,
}

/// Serves members until the last one is gone. `lock` is free while this runs; it is taken to end.
pub(super) fn serve(listener: &UnixListener, namespaces: Namespaces, directory: &Path, lock: &File) -> Result<()> {
    let members = Members { file: &directory.join("outer.json"), home: namespaces.home()?, pids: namespaces.members() };
    let namespaces = Arc::new(namespaces);
    let members = Mutex::new(members);
    let (sender, ended) = channel();
    listener.set_nonblocking(true).map_err(Error::io("prepare", directory))?;
    let (wake_reader, wake_writer) = UnixStream::pair().map_err(Error::io("make", "a socket pair"))?;
    std::thread::scope(|scope| {
        let mut open = 0_usize;
        let mut patience = PollTimeout::from(FIRST_MEMBER);
        loop {
            wait(listener.as_fd(), wake_reader.as_fd(), patience);
            open -= drain(&ended, &wake_reader);
            while let Ok((stream, _)) = listener.accept() {
                open += 1;
                patience = PollTimeout::NONE;
                let (sender, wake): (Sender<()>, _) = (sender.clone(), wake_writer.try_clone());
                let (namespaces, members) = (Arc::clone(&namespaces), &members);
                scope.spawn(move || {
                    converse(&stream, &namespaces, members);
                    let _ = sender.send(());
                    // The byte wakes the poll above; if it cannot be written, a byte is waiting there already.
                    let _ = wake.map(|wake| nix::unistd::write(&wake, b"."));
                });
            }
            // Whoever wants to join holds the lock until it is connected: with the lock and nobody waiting, nobody can.
            if open == 0 && lock.try_lock().is_ok() {
                if !pending(listener) {
                    return;
                }
                let _ = lock.unlock();
                patience = PollTimeout::from(FIRST_MEMBER);
            } else if open == 0 {
                patience = PollTimeout::from(100_u16);
            }
        }
    });
    // Still under the lock, which ends with the process.
    for name in ["outer.sock", "outer.json"] {
        let _ = std::fs::remove_file(directory.join(name));
    }
    Ok(())
}

fn wait(listener: BorrowedFd<'_>, wake: BorrowedFd<'_>, patience: PollTimeout) {
    let mut fds = [PollFd::new(listener, PollFlags::POLLIN), PollFd::new(wake, PollFlags::POLLIN)];
    // An interrupted or failed wait only means that the loop looks once more.
    let _ = poll(&mut fds, patience);
}

fn pending(listener: &UnixListener) -> bool {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Counts the conversations that have ended.
fn drain(ended: &Receiver<()>, wake: &UnixStream) -> usize {
    let _ = wake.set_nonblocking(true);
    let mut buffer = [0; 64];
    while nix::unistd::read(wake, &mut buffer).is_ok_and(|length| length > 0) {}
    ended.try_iter().count()
}

/// One member from its first question to its end.
fn converse(stream: &UnixStream, namespaces: &Namespaces, members: &Mutex<Members<'_>>) {
    let ours =
        getsockopt(stream, sockopt::PeerCredentials).is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw());
    if !ours {
        return;
    }
    let mut member = None;
    while let Ok(Some((request, _))) = receive::<Request>(stream) {
        let answered = match request {
            Request::Join { .. } => {
                // The pid as seen from here, not as the member says.
                let pid = getsockopt(stream, sockopt::PeerCredentials).map_or(0, |peer| peer.pid());
                member = Some(pid);
                members.lock().unwrap_or_else(PoisonError::into_inner).add(pid);
                send(stream, &Reply::Done, &namespaces.fds())
            }
            Request::Bind { protocol, address } => match bind_socket(protocol, address) {
                Ok(fd) => send(stream, &Reply::Done, &[fd.as_fd()]),
                Err(errno) => send(stream, &Reply::Refused(errno as i32), &[]),
            },
        };
        if answered.is_err() {
            break;
        }
    }
    if let Some(pid) = member {
        members.lock().unwrap_or_else(PoisonError::into_inner).remove(pid);
    }
}

impl Members<'_> {
    fn add(&mut self, pid: i32) {
        self.pids.insert(pid);
        self.store();
    }

    fn remove(&mut self, pid: i32) {
        self.pids.remove(&pid);
        self.store();
    }

    /// Best effort: without the file a successor makes new namespaces, and that is all.
    fn store(&self) {
        let text = serde_json::json!({ "home": self.home, "members": self.pids });
        let temporary = self.file.with_extension("json.new");
        if std::fs::write(&temporary, text.to_string()).is_ok() {
            let _ = std::fs::rename(&temporary, self.file);
        }
    }
}
