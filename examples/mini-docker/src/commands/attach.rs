//! `attach`, and a supervised container as the other side of a session.

use std::os::fd::{AsFd, BorrowedFd};

use container_core::supervisor::protocol::{Frame, Reply, Request};
use container_core::supervisor::{Control, Definition, Status};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::run::finish;
use crate::cli::AttachArgs;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::session::{DetachKeys, Event, Options, Peer, Signals, hold};

/// A container behind its supervisor.
#[derive(Debug)]
pub(super) struct Supervised {
    control: Control,
    stop_signal: Option<i32>,
}

impl Supervised {
    pub(super) fn new(control: Control, definition: &Definition) -> Self {
        Self { control, stop_signal: definition.stop_signal_chosen.then_some(definition.stop_signal) }
    }

    fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(self.control.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

impl Peer for Supervised {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.control.as_fd()]
    }

    fn unsent(&self) -> Option<BorrowedFd<'_>> {
        self.control.has_unsent().then(|| self.control.as_fd())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.control.flush()?)
    }

    fn events(&mut self) -> Result<Vec<Event>> {
        let hung_up = self.is_readable() && !self.control.receive()?;
        let mut events = Vec::new();
        while let Some(frame) = self.control.received()? {
            match frame {
                Frame::Output(stream, bytes) => events.push(Event::Output(stream, bytes)),
                Frame::Reply(Reply::Exited { code }) => events.push(Event::Ended(code)),
                Frame::Reply(Reply::Failed { message, code }) => {
                    return Err(container_core::Error::Refused { message, code }.into());
                }
                _ => {}
            }
        }
        let ended = events.iter().any(|event| matches!(event, Event::Ended(_)));
        if hung_up && !ended {
            let message = "the container's supervisor ended; it will be looked after by the next command".to_owned();
            return Err(Error::Refused { message });
        }
        Ok(events)
    }

    fn input(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.control.stdin(bytes)?)
    }

    fn end_input(&mut self) -> Result<()> {
        Ok(self.control.stdin_end()?)
    }

    fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        Ok(self.control.request(&Request::Resize { rows, columns })?)
    }

    fn signal(&mut self, number: i32) -> Result<()> {
        let ends = self.stop_signal.is_none_or(|stop| stop == number);
        Ok(self.control.request(&Request::Signal { number, ends })?)
    }
}

pub(super) fn attach(engine: &Engine, args: &AttachArgs) -> Result<u8> {
    let keys = DetachKeys::parse(&args.detach_keys).map_err(Error::usage)?;
    let seen = engine.see(&args.container)?;
    if seen.state.status == Status::Paused {
        let message = "You cannot attach to a paused container, unpause it first".to_owned();
        return Err(Error::Refused { message });
    }
    let stopped = || Error::Refused { message: "You cannot attach to a stopped container, start it first".to_owned() };
    let mut control = engine.operator().control(&seen.dir)?.ok_or_else(stopped)?;
    let signals = Signals::catch()?;
    let stdin = seen.definition.stdin && !args.no_stdin;
    control.request(&Request::Attach { stdin })?;
    let options = Options { stdin, terminal: seen.definition.terminal, proxy_signals: args.sig_proxy, detach: keys };
    finish(hold(&mut Supervised::new(control, &seen.definition), options, &signals)?)
}
