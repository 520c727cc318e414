//! The control protocol between a supervisor and its clients: frames on a unix socket.
//!
//! A frame is one byte of kind, four bytes of length (big endian) and that many bytes. Output
//! frames carry any run of bytes of one stream. Requests and replies are JSON. Everything is
//! bounded: a frame above [`MAX_FRAME`] is refused, so a hostile peer costs a little memory and its
//! own connection. Pure: this module encodes and decodes, the sockets are elsewhere.

use serde::{Deserialize, Serialize};

use super::state::State;

/// The largest payload of one frame.
pub const MAX_FRAME: usize = 64 * 1024;
const HEADER: usize = 5;

/// One of the container's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a client asks of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
#[non_exhaustive]
pub enum Request {
    /// Launch the container: the first request on the socket that the supervisor inherits.
    Start,
    /// Send the output from now on, and take [`Frame::Stdin`] when `stdin` is set.
    Attach {
        /// Whether this client feeds standard input.
        stdin: bool,
    },
    /// Set the size of the terminal.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters per line.
        columns: u16,
    },
    /// Send a signal to the container's first process.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether the container is meant to end by it, which cancels the restart policy.
        ends: bool,
    },
    /// Stop: the stop signal, then, after the time, SIGKILL. Answered when the container has ended.
    Stop {
        /// The signal instead of the container's own.
        signal: Option<i32>,
        /// Seconds until SIGKILL, -1 for never, nothing for the container's own.
        timeout: Option<i64>,
    },
    /// Stop and start again, without counting it. Answered when the container runs again.
    Restart {
        /// The signal instead of the container's own.
        signal: Option<i32>,
        /// As in `Stop`.
        timeout: Option<i64>,
    },
    /// Freeze all processes.
    Pause,
    /// Let them run again.
    Resume,
    /// Answer [`Reply::Exited`] when the container ends for good.
    Wait,
    /// Answer [`Reply::State`].
    Inspect,
}

/// What a supervisor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
#[non_exhaustive]
pub enum Reply {
    /// Done.
    Done,
    /// The request failed. `code` is what a command line should exit with.
    Failed {
        /// One clause that names subject, step and cause.
        message: String,
        /// 125, 126 or 127, as Docker uses them.
        code: i32,
    },
    /// The container ended for good.
    Exited {
        /// Docker's exit code.
        code: i32,
    },
    /// How it is now.
    State(Box<State>),
}

/// One frame, decoded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Frame {
    /// Bytes for standard input.
    Stdin(Vec<u8>),
    /// The end of standard input.
    StdinEnd,
    /// Bytes of an output stream.
    Output(Stream, Vec<u8>),
    /// A request.
    Request(Request),
    /// A reply.
    Reply(Reply),
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadFrame {
    /// Longer than [`MAX_FRAME`].
    #[error("frame of {length} bytes is above the bound of {MAX_FRAME}")]
    TooLong {
        /// The announced length.
        length: usize,
    },
    /// A kind that this version does not know.
    #[error("unknown frame kind {kind}")]
    Unknown {
        /// The byte of kind.
        kind: u8,
    },
    /// A request or reply that is no JSON of ours.
    #[error("malformed {what}")]
    Malformed {
        /// `request` or `reply`.
        what: &'static str,
    },
}

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STDIN_END: u8 = 3;
const REQUEST: u8 = 4;
const REPLY: u8 = 5;

/// Appends the frames for `bytes` of standard input.
pub fn put_stdin(out: &mut Vec<u8>, bytes: &[u8]) {
    put_split(out, STDIN, bytes);
}

/// Appends the end of standard input.
pub fn put_stdin_end(out: &mut Vec<u8>) {
    put(out, STDIN_END, &[]);
}

/// Appends the frames for `bytes` of an output stream.
pub fn put_output(out: &mut Vec<u8>, stream: Stream, bytes: &[u8]) {
    put_split(out, if stream == Stream::Stdout { STDOUT } else { STDERR }, bytes);
}

/// Appends a request.
pub fn put_request(out: &mut Vec<u8>, request: &Request) {
    put_json(out, REQUEST, request);
}

/// Appends a reply.
pub fn put_reply(out: &mut Vec<u8>, reply: &Reply) {
    put_json(out, REPLY, reply);
}

fn put_split(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    for part in bytes.chunks(MAX_FRAME) {
        put(out, kind, part);
    }
}

fn put_json(out: &mut Vec<u8>, kind: u8, value: &impl Serialize) {
    // These types hold strings and numbers only, which always serialise; their texts are cut where they are made.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    put(out, kind, bytes.get(..MAX_FRAME).unwrap_or(&bytes));
}

fn put(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Turns received bytes into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    read: usize,
}

impl Decoder {
    /// Takes received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Gives the next whole frame, or nothing until more bytes come.
    ///
    /// # Errors
    /// [`BadFrame`]: the connection is to be closed, since the next frame's start is unknown.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, BadFrame> {
        let rest = &self.buffer[self.read..];
        let Some((header, body)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [kind, length @ ..] = *header;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(BadFrame::TooLong { length });
        }
        let Some(payload) = body.get(..length) else { return Ok(None) };
        let frame = decode(kind, payload)?;
        self.read += HEADER + length;
        Ok(Some(frame))
    }
}

fn decode(kind: u8, payload: &[u8]) -> Result<Frame, BadFrame> {
    Ok(match kind {
        STDIN => Frame::Stdin(payload.to_vec()),
        STDIN_END => Frame::StdinEnd,
        STDOUT => Frame::Output(Stream::Stdout, payload.to_vec()),
        STDERR => Frame::Output(Stream::Stderr, payload.to_vec()),
        REQUEST => {
            Frame::Request(serde_json::from_slice(payload).map_err(|_| BadFrame::Malformed { what: "request" })?)
        }
        REPLY => Frame::Reply(serde_json::from_slice(payload).map_err(|_| BadFrame::Malformed { what: "reply" })?),
        kind => return Err(BadFrame::Unknown { kind }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder) -> Vec<Frame> {
        std::iter::from_fn(|| decoder.next_frame().unwrap()).collect()
    }

    #[test]
    fn every_split_gives_the_same_frames() {
        let mut bytes = Vec::new();
        put_request(&mut bytes, &Request::Stop { signal: Some(15), timeout: None });
        put_stdin(&mut bytes, b"hello");
        put_stdin_end(&mut bytes);
        put_output(&mut bytes, Stream::Stderr, b"oops");
        put_reply(&mut bytes, &Reply::Exited { code: 3 });
        let mut whole = Decoder::default();
        whole.push(&bytes);
        let expected = all(&mut whole);
        assert_eq!(expected.len(), 5);
        for at in 0..bytes.len() {
            let mut decoder = Decoder::default();
            decoder.push(&bytes[..at]);
            let mut frames = all(&mut decoder);
            decoder.push(&bytes[at..]);
            frames.extend(all(&mut decoder));
            assert_eq!(frames, expected, "split at {at}");
        }
    }

    #[test]
    fn long_output_is_split() {
        let mut bytes = Vec::new();
        put_output(&mut bytes, Stream::Stdout, &vec![7; MAX_FRAME + 1]);
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert_eq!(all(&mut decoder).len(), 2);
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let mut decoder = Decoder::default();
        decoder.push(&[STDIN, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(decoder.next_frame(), Err(BadFrame::TooLong { length: 0xffff_ffff }));
        let mut decoder = Decoder::default();
        decoder.push(&[99, 0, 0, 0, 0]);
        assert_eq!(decoder.next_frame(), Err(BadFrame::Unknown { kind: 99 }));
        let mut decoder = Decoder::default();
        decoder.push(&[REQUEST, 0, 0, 0, 2, b'{', b'{']);
        assert_eq!(decoder.next_frame(), Err(BadFrame::Malformed { what: "request" }));
    }
}
