//! A foreground session: this terminal on one side, a program in a container on the other.
//!
//! One loop moves bytes, sizes and signals; what the program is reached through (a supervisor, or a
//! pseudo-terminal of our own for `exec`) is a [`Peer`].

mod detach;
mod terminal;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use container_core::supervisor::protocol::Stream;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

pub use detach::{DetachKeys, Pressed};
pub use terminal::{RawMode, size_of_terminal, stdin_is_terminal};

use crate::error::{Error, Result};

/// What the other side says.
#[derive(Debug)]
pub enum Event {
    /// Output of the program.
    Output(Stream, Vec<u8>),
    /// The program ended.
    Ended(i32),
}

/// A program in a container, as a session sees it.
pub trait Peer {
    /// What becomes readable when `events` has something.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;
    /// What becomes writable when [`Peer::flush`] can go on; nothing when all input has been given.
    fn unsent(&self) -> Option<BorrowedFd<'_>>;
    /// Gives on input that could not be given at once.
    ///
    /// # Errors
    /// When the other side is gone.
    fn flush(&mut self) -> Result<()>;
    /// Takes what has come. Never waits.
    ///
    /// # Errors
    /// When the other side is gone.
    fn events(&mut self) -> Result<Vec<Event>>;
    /// Gives bytes to the program.
    ///
    /// # Errors
    /// When the other side is gone.
    fn input(&mut self, bytes: &[u8]) -> Result<()>;
    /// Ends the program's input.
    ///
    /// # Errors
    /// When the other side is gone.
    fn end_input(&mut self) -> Result<()>;
    /// Tells the terminal's size.
    ///
    /// # Errors
    /// When the other side is gone.
    fn resize(&mut self, rows: u16, columns: u16) -> Result<()>;
    /// Passes a signal on.
    ///
    /// # Errors
    /// When the other side is gone.
    fn signal(&mut self, number: i32) -> Result<()>;
}

/// How a session is held.
#[derive(Debug)]
pub struct Options {
    /// Whether our input goes to the program.
    pub stdin: bool,
    /// Whether the program has a terminal.
    pub terminal: bool,
    /// Whether signals are passed on.
    pub proxy_signals: bool,
    /// The keys that leave.
    pub detach: DetachKeys,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The program ended with this code.
    Exited(i32),
    /// The user left with the detach keys.
    Detached,
    /// A signal to us ended the session, not the program.
    Killed(i32),
}

const PASSED_ON: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// Signals that a session handles. Made before the program starts, so that none is lost or kills us in between.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Begins to catch the signals; they stay caught until this process ends.
    ///
    /// # Errors
    /// `Io`.
    pub fn catch() -> Result<Self> {
        let mut set = nix::sys::signal::SigSet::empty();
        for signal in PASSED_ON.into_iter().chain([Signal::SIGWINCH]) {
            set.add(signal);
        }
        let caught = set.thread_block().and_then(|()| {
            use nix::sys::signalfd::SfdFlags;
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        });
        caught.map(|fd| Self { fd }).map_err(|errno| Error::io("catch", "signals")(errno.into()))
    }

    fn next(&self) -> Option<i32> {
        let info = self.fd.read_signal().ok()??;
        i32::try_from(info.ssi_signo).ok()
    }
}

/// Holds a session until the program ends or the user leaves.
///
/// # Errors
/// When the other side vanishes, or our output cannot be written.
pub fn hold(peer: &mut dyn Peer, options: Options, signals: &Signals) -> Result<Ended> {
    let raw = options.terminal && options.stdin && stdin_is_terminal();
    let _raw = if raw { Some(RawMode::enter()?) } else { None };
    let mut session = Session { peer, input_open: options.stdin, options };
    session.tell_size()?;
    loop {
        if let Some(ended) = session.turn(signals)? {
            return Ok(ended);
        }
    }
}

struct Session<'a> {
    peer: &'a mut dyn Peer,
    options: Options,
    input_open: bool,
}

impl Session<'_> {
    fn turn(&mut self, signals: &Signals) -> Result<Option<Ended>> {
        let (from_signals, from_stdin) = self.wait(signals)?;
        self.peer.flush()?;
        if from_signals {
            while let Some(number) = signals.next() {
                if let Some(ended) = self.signalled(number)? {
                    return Ok(Some(ended));
                }
            }
        }
        for event in self.peer.events()? {
            match event {
                Event::Output(stream, bytes) => write_out(stream, &bytes)?,
                Event::Ended(code) => return Ok(Some(Ended::Exited(code))),
            }
        }
        if from_stdin { self.read_input() } else { Ok(None) }
    }

    fn wait(&self, signals: &Signals) -> Result<(bool, bool)> {
        let stdin = std::io::stdin();
        let mut fds = vec![PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN)];
        let unsent = self.peer.unsent();
        // Input waits while the other side does not take what it was given.
        let listens = self.input_open && unsent.is_none();
        if listens {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        fds.extend(unsent.map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
        fds.extend(self.peer.fds().into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok((false, false)),
            Err(errno) => return Err(Error::io("wait for", "the container")(errno.into())),
        }
        let ready = |index: usize| fds[index].any().unwrap_or(true);
        Ok((ready(0), listens && ready(1)))
    }

    fn signalled(&mut self, number: i32) -> Result<Option<Ended>> {
        if number == Signal::SIGWINCH as i32 {
            self.tell_size()?;
        } else if self.options.proxy_signals && !self.options.terminal {
            self.peer.signal(number)?;
        } else {
            return Ok(Some(Ended::Killed(number)));
        }
        Ok(None)
    }

    fn tell_size(&mut self) -> Result<()> {
        match size_of_terminal() {
            Some((rows, columns)) if self.options.terminal => self.peer.resize(rows, columns),
            _ => Ok(()),
        }
    }

    fn read_input(&mut self) -> Result<Option<Ended>> {
        let mut buffer = [0; 16 * 1024];
        let count = match std::io::stdin().lock().read(&mut buffer) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => return Ok(None),
            // The terminal is gone.
            Err(_) => 0,
        };
        if count == 0 {
            self.input_open = false;
            self.peer.end_input()?;
            return Ok(None);
        }
        if !self.options.terminal {
            self.peer.input(&buffer[..count])?;
            return Ok(None);
        }
        let pressed = self.options.detach.press(&buffer[..count]);
        self.peer.input(&pressed.input)?;
        Ok(pressed.left.then_some(Ended::Detached))
    }
}

/// Writes at once: programs without a newline (prompts) must be seen too.
fn write_out(stream: Stream, bytes: &[u8]) -> Result<()> {
    let written = match stream {
        Stream::Stdout => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        Stream::Stderr => std::io::stderr().write_all(bytes),
    };
    written.map_err(Error::io("write to", "standard output"))
}
