//! A blocking netlink socket: send, then read until the kernel's answer to exactly that message is complete.
//!
//! Answers to older sequence numbers are skipped, so a failed batch cannot confuse the next request.

use super::codec::{ACK, DUMP, HEADER, Writer};
use crate::{Error, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt, socket,
    sockopt,
};
use std::os::fd::{AsRawFd, OwnedFd};

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Which part of the kernel to speak to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Links, addresses, routes, neighbours.
    Route,
    /// nf_tables and connection tracking.
    Netfilter,
}

/// One message of an answer: its type and what follows the 16-byte header.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
}

/// A netlink socket of the network namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open(family: Family) -> Result<Self> {
        let protocol = match family {
            Family::Route => SockProtocol::NetlinkRoute,
            Family::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .map_err(Error::kernel("open a netlink socket"))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(Error::kernel("bind a netlink socket"))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Reserves `count` sequence numbers and returns the first.
    pub(crate) fn reserve(&mut self, count: u32) -> u32 {
        if self.sequence > u32::MAX - count - 1 {
            self.sequence = 0;
        }
        let first = self.sequence + 1;
        self.sequence += count;
        first
    }

    /// Sends one message and waits for its acknowledgement.
    pub(crate) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        fixed: &[u8],
        body: impl FnOnce(&mut Writer),
    ) -> std::result::Result<(), Errno> {
        let sequence = self.reserve(1);
        let mut writer = Writer::new();
        writer.message(kind, flags | ACK, sequence, fixed, body);
        self.send(writer.as_bytes())?;
        self.collect(sequence, sequence).map(drop)
    }

    /// Sends one message and returns the objects that the kernel answers with.
    pub(crate) fn get(
        &mut self,
        kind: u16,
        fixed: &[u8],
        body: impl FnOnce(&mut Writer),
    ) -> std::result::Result<Vec<Answer>, Errno> {
        let sequence = self.reserve(1);
        let mut writer = Writer::new();
        writer.message(kind, ACK, sequence, fixed, body);
        self.send(writer.as_bytes())?;
        self.collect(sequence, sequence)
    }

    /// Lists everything of a kind.
    pub(crate) fn dump(
        &mut self,
        kind: u16,
        fixed: &[u8],
        body: impl FnOnce(&mut Writer),
    ) -> std::result::Result<Vec<Answer>, Errno> {
        let sequence = self.reserve(1);
        let mut writer = Writer::new();
        writer.message(kind, DUMP, sequence, fixed, body);
        self.send(writer.as_bytes())?;
        self.collect(sequence, sequence)
    }

    /// Sends bytes that hold one or more whole messages.
    pub(crate) fn send(&self, bytes: &[u8]) -> std::result::Result<(), Errno> {
        sendto(self.fd.as_raw_fd(), bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty()).map(drop)
    }

    /// Asks for room for a message of `bytes`, and returns how many can really be sent in one piece. Beyond the
    /// limit of `net.core.wmem_max` only the initial user namespace's root may go.
    pub(crate) fn grow(&self, bytes: usize) -> usize {
        if setsockopt(&self.fd, sockopt::SndBufForce, &bytes).is_err() {
            // A refusal leaves the buffer as it was, which the reading below tells.
            let _ = setsockopt(&self.fd, sockopt::SndBuf, &bytes);
        }
        // The kernel keeps 32 bytes for itself (netlink_sendmsg).
        nix::sys::socket::getsockopt(&self.fd, sockopt::SndBuf).map_or(65536, |size| size.saturating_sub(32))
    }

    /// Reads answers until the one for sequence number `last` is complete, or any in `first..=last` is an error.
    pub(crate) fn collect(&mut self, first: u32, last: u32) -> std::result::Result<Vec<Answer>, Errno> {
        self.collect_numbered(first, last).map_err(|(_, errno)| errno)
    }

    /// Like [`Socket::collect`], but says which message failed.
    pub(crate) fn collect_numbered(&mut self, first: u32, last: u32) -> std::result::Result<Vec<Answer>, (u32, Errno)> {
        let mut answers = Vec::new();
        let mut buffer = vec![0_u8; 65536];
        loop {
            let length = match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => length,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err((first, errno)),
            };
            let mut rest = &buffer[..length];
            while let Some((kind, sequence, body)) = next_message(&mut rest) {
                if !(first..=last).contains(&sequence) {
                    continue;
                }
                match kind {
                    ERROR => {
                        let code = body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                        if code != 0 {
                            return Err((sequence, Errno::from_raw(-code)));
                        }
                        if sequence == last {
                            return Ok(answers);
                        }
                    }
                    DONE => return Ok(answers),
                    _ => answers.push(Answer { kind, body: body.to_vec() }),
                }
            }
        }
    }
}

fn next_message<'a>(rest: &mut &'a [u8]) -> Option<(u16, u32, &'a [u8])> {
    let head: &[u8; HEADER] = rest.first_chunk()?;
    let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let kind = u16::from_ne_bytes([head[4], head[5]]);
    let sequence = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]);
    let body = rest.get(HEADER..length)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, sequence, body))
}
