//! The client side of a supervisor: finding or starting it, asking it, reading its answers.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};

use super::dir::ContainerDir;
use super::error::{Error, Result, io_at};
use super::protocol::{Decoder, Frame, Reply, Request, put_request, put_stdin, put_stdin_end};

/// How long a supervisor may take to open its socket.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a supervisor.
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    decoder: Decoder,
    unsent: Vec<u8>,
    /// Frames that came before the reply that was waited for.
    kept: VecDeque<Frame>,
    dir: ContainerDir,
}

/// The folder's descriptor and the socket's path through it, because a socket's whole path may have 107 bytes only.
pub(super) fn socket_path(dir: &ContainerDir) -> Result<(File, PathBuf)> {
    let folder = File::open(dir.path()).map_err(io_at("open", dir.path()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/control.sock", folder.as_raw_fd()));
    Ok((folder, path))
}

impl Control {
    /// Connects to the living supervisor; nothing when none lives.
    ///
    /// # Errors
    /// `Io`.
    pub fn connect(dir: &ContainerDir) -> Result<Option<Self>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if !dir.exists() || !dir.is_supervised()? {
                return Ok(None);
            }
            let (_folder, path) = socket_path(dir)?;
            match UnixStream::connect(&path) {
                Ok(stream) => return Ok(Some(Self::over(stream, dir))),
                // It lives and has no socket yet, or none any more: both pass.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(io_at("connect to", &dir.socket())(error)),
            }
        }
    }

    /// Starts a supervisor by `command`, which becomes its first client through its standard input.
    ///
    /// # Errors
    /// `Io`.
    pub fn spawn(dir: &ContainerDir, mut command: Command) -> Result<(Self, Child)> {
        let (ours, theirs) = UnixStream::pair().map_err(io_at("connect to", &dir.socket()))?;
        let log = File::options().append(true).create(true).open(dir.path().join("supervisor.log"));
        let log = log.map_err(io_at("open", &dir.path().join("supervisor.log")))?;
        let program = PathBuf::from(command.get_program());
        let child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .map_err(io_at("run", &program))?;
        Ok((Self::over(ours, dir), child))
    }

    fn over(stream: UnixStream, dir: &ContainerDir) -> Self {
        Self { stream, decoder: Decoder::default(), unsent: Vec::new(), kept: VecDeque::new(), dir: dir.clone() }
    }

    fn gone(&self) -> Error {
        Error::SupervisorGone { id: self.dir.id().to_owned() }
    }

    /// Sends as much as the socket takes now. What it does not take stays and goes with the next call: a client that
    /// waited here while the supervisor waits for it to read would wait for ever.
    ///
    /// # Errors
    /// `SupervisorGone` or `Io`.
    pub fn flush(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match send(self.stream.as_raw_fd(), &self.unsent, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(self.gone()),
                Err(errno) => return Err(io_at("write to", &self.dir.socket())(errno.into())),
            }
        }
        Ok(())
    }

    /// Whether something could not be sent yet: to be flushed when the socket can be written to.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends a request.
    ///
    /// # Errors
    /// `SupervisorGone` or `Io`.
    pub fn request(&mut self, request: &Request) -> Result<()> {
        put_request(&mut self.unsent, request);
        self.flush()
    }

    /// Sends bytes for standard input.
    ///
    /// # Errors
    /// `SupervisorGone` or `Io`.
    pub fn stdin(&mut self, bytes: &[u8]) -> Result<()> {
        put_stdin(&mut self.unsent, bytes);
        self.flush()
    }

    /// Sends the end of standard input.
    ///
    /// # Errors
    /// `SupervisorGone` or `Io`.
    pub fn stdin_end(&mut self) -> Result<()> {
        put_stdin_end(&mut self.unsent);
        self.flush()
    }

    /// Waits for bytes from the supervisor; `false` when it hung up.
    ///
    /// # Errors
    /// `Io`.
    pub fn receive(&mut self) -> Result<bool> {
        let mut bytes = [0; 64 * 1024];
        loop {
            return match self.stream.read(&mut bytes) {
                Ok(0) => Ok(false),
                Ok(count) => {
                    self.decoder.push(&bytes[..count]);
                    Ok(true)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
                Err(error) => Err(io_at("read from", &self.dir.socket())(error)),
            };
        }
    }

    /// Gives the next frame that was received already.
    ///
    /// # Errors
    /// `SupervisorGone`: what came is no frame, so nothing further can be understood.
    pub fn received(&mut self) -> Result<Option<Frame>> {
        match self.kept.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.decoder.next_frame().map_err(|_| self.gone()),
        }
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// `SupervisorGone` or `Io`.
    pub fn frame(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.received()? {
                return Ok(frame);
            }
            if !self.receive()? {
                return Err(self.gone());
            }
        }
    }

    /// Waits for the next reply, passing over output.
    ///
    /// # Errors
    /// `SupervisorGone`, `Io`, or `Refused` with the supervisor's words.
    pub fn reply(&mut self) -> Result<Reply> {
        loop {
            match self.frame()? {
                Frame::Reply(Reply::Failed { message, code }) => {
                    return Err(Error::Refused { message, code });
                }
                Frame::Reply(reply) => return Ok(reply),
                _ => {}
            }
        }
    }

    /// Waits for the next reply and keeps other frames for [`Control::received`].
    pub(super) fn first_reply(&mut self) -> Result<Reply> {
        let mut kept = Vec::new();
        loop {
            match self.frame()? {
                Frame::Reply(reply) => {
                    self.kept.extend(kept);
                    return Ok(reply);
                }
                other => kept.push(other),
            }
        }
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// As `request` and `reply`.
    pub fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.request(request)?;
        self.reply()
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
