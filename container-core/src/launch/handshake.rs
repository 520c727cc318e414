//! What the stub tells: parked, a terminal, a sibling; and, when it falls silent, what its status words say.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use container_child::wire;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::{Error, Result};

/// One message of the stub.
#[derive(Debug)]
pub(super) enum Message {
    /// All is set up.
    Parked,
    /// The terminal's master.
    Master(OwnedFd),
    /// The process that carries on.
    Sibling(i32, OwnedFd),
    /// The socket is closed: execve happened, or the stub ended.
    Closed,
}

/// Waits for the next message.
pub(super) fn receive(control: BorrowedFd<'_>) -> Result<Message> {
    let mut bytes = [0_u8; 8];
    let mut space = nix::cmsg_space!([i32; 1]);
    loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(control.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Ok(message) => message,
            Err(Errno::EINTR) => continue,
            // The stub ended with our word unread.
            Err(Errno::ECONNRESET) => return Ok(Message::Closed),
            Err(errno) => return Err(Error::Kernel { doing: "hear from the new process", source: errno.into() }),
        };
        let count = message.bytes;
        let fd = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
                _ => None,
            })
        });
        return Ok(decode(&bytes[..count], fd.map(super::clone::adopt)));
    }
}

fn decode(bytes: &[u8], fd: Option<OwnedFd>) -> Message {
    match (bytes, fd) {
        ([wire::PARKED], _) => Message::Parked,
        ([wire::MASTER], Some(fd)) => Message::Master(fd),
        ([wire::CHILD, a, b, c, d], Some(fd)) => Message::Sibling(i32::from_ne_bytes([*a, *b, *c, *d]), fd),
        _ => Message::Closed,
    }
}

/// The status words at the front of the plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) state: u32,
    pub(super) at: u32,
    pub(super) errno: i32,
    pub(super) detail: u32,
}

/// Reads the status words.
pub(super) fn words(plan: BorrowedFd<'_>) -> Result<Words> {
    let mut bytes = [0_u8; wire::HEADER_BYTES];
    nix::sys::uio::pread(plan, &mut bytes, 0).map_err(Error::kernel("read the launch's status"))?;
    let word = |index: usize| {
        let at = index * 4;
        u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    Ok(Words {
        state: word(wire::word::STATE),
        at: word(wire::word::AT),
        errno: word(wire::word::ERRNO).cast_signed(),
        detail: word(wire::word::DETAIL),
    })
}
