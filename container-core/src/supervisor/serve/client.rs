//! One client of a supervisor: what it sent, what it still has to receive, what it waits for.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use crate::supervisor::protocol::{Decoder, Frame, Reply, Stream, put_output, put_reply};

/// Above so many unsent bytes no more output is read from the container: it waits, as with any slow pipe.
const CONGESTED: usize = 256 * 1024;

/// What a client is to be told when the run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Awaits {
    /// Nothing.
    #[default]
    Nothing,
    /// The exit code of this run.
    RunEnd,
    /// The exit code of the last run.
    LastEnd,
    /// That it has been stopped.
    Stop,
    /// That it runs again.
    Restart,
}

#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    decoder: Decoder,
    out: Vec<u8>,
    sent: usize,
    /// Whether it gets the output.
    pub(super) attached: bool,
    /// Whether it feeds standard input.
    pub(super) feeds: bool,
    /// Whether standard input ends with it.
    pub(super) feeds_once: bool,
    pub(super) awaits: Awaits,
    pub(super) gone: bool,
}

impl Client {
    /// Takes a connection over.
    pub(super) fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            decoder: Decoder::default(),
            out: Vec::new(),
            sent: 0,
            attached: false,
            feeds: false,
            feeds_once: false,
            awaits: Awaits::Nothing,
            gone: false,
        })
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.out.len()
    }

    pub(super) fn is_congested(&self) -> bool {
        self.attached && self.out.len() - self.sent > CONGESTED
    }

    /// Reads what has come and gives the frames in it.
    pub(super) fn read(&mut self) -> Vec<Frame> {
        let mut bytes = [0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.gone = true,
            Ok(count) => self.decoder.push(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.gone = true,
        }
        let mut frames = Vec::new();
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return frames,
                Err(_) => {
                    self.gone = true;
                    return frames;
                }
            }
        }
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        put_reply(&mut self.out, reply);
    }

    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if self.attached {
            put_output(&mut self.out, stream, bytes);
        }
    }

    /// Sends as much as the socket takes. Tells whether anything moved.
    pub(super) fn flush(&mut self) -> bool {
        let before = self.sent;
        while self.has_unsent() && !self.gone {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
        let moved = self.sent > before;
        if !self.has_unsent() {
            self.out.clear();
            self.sent = 0;
        } else if self.sent > CONGESTED {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        moved
    }
}
