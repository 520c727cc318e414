//! What broker and members say to each other: one line of JSON each way, with descriptors beside the answer.

use crate::Protocol;
use nix::errno::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Longer lines are nobody's we know.
const LONGEST: usize = 4096;
/// Namespaces: user, mount, network.
const MOST_FDS: usize = 3;

/// A member's request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Request {
    /// To become a member: the answer brings the namespaces, network, mount and perhaps user.
    Join { pid: i32 },
    /// To bind outside: the answer brings the socket.
    Bind { protocol: Protocol, address: SocketAddr },
}

/// The broker's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reply {
    Done,
    /// The kernel's refusal.
    Refused(i32),
}

impl Reply {
    pub(super) fn refusal(self) -> Option<Errno> {
        match self {
            Self::Done => None,
            Self::Refused(errno) => Some(Errno::from_raw(errno)),
        }
    }
}

/// Sends a message and lends descriptors with it.
pub(super) fn send<M: Serialize>(stream: &UnixStream, message: &M, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut text = serde_json::to_vec(message)?;
    text.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = rustix::net::sendmsg(stream, &[IoSlice::new(&text)], &mut control, SendFlags::NOSIGNAL)?;
    if sent == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives a message and owns the descriptors that came with it. `None` is the end of the connection.
pub(super) fn receive<M: DeserializeOwned>(stream: &UnixStream) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let mut text = Vec::new();
    let mut fds = Vec::new();
    while text.last() != Some(&b'\n') {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; LONGEST];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = match rustix::net::recvmsg(stream, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags) {
            Ok(received) => received,
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if received.bytes == 0 {
            return if text.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        text.extend_from_slice(&buffer[..received.bytes]);
        if text.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(Some((serde_json::from_slice(&text)?, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_arrive_with_their_message() {
        let (one, two) = UnixStream::pair().unwrap();
        let (lent, other) = UnixStream::pair().unwrap();
        send(&one, &Reply::Done, &[lent.as_fd()]).unwrap();
        drop(lent);
        let (reply, mut fds) = receive::<Reply>(&two).unwrap().unwrap();
        assert!(reply.refusal().is_none() && fds.len() == 1);
        UnixStream::from(fds.remove(0)).write_all(b"x").unwrap();
        let mut text = String::new();
        (&other).take(1).read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        drop(one);
        assert!(receive::<Reply>(&two).unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bad in ["nonsense\n".to_owned(), "{\"join\":{}}\n".to_owned(), "x".repeat(2 * LONGEST), "\"do".to_owned()] {
            let (one, two) = UnixStream::pair().unwrap();
            (&one).write_all(bad.as_bytes()).unwrap();
            drop(one);
            assert!(receive::<Request>(&two).is_err(), "{}", bad.len());
        }
    }
}
