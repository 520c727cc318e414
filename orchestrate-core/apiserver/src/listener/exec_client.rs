//! The client's side of exec and attach: blocking, over any connected socket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::auth::Token;
use super::pods::Exit;
use super::ws::{self, Opcode};
use crate::error::Error;
use crate::random::Random;
use crate::{Status, base64};

/// A connected socket that two threads can use.
pub trait Duplex: Read + Write + Send + Sized + 'static {
    /// A second handle of the same socket.
    ///
    /// # Errors
    /// The system refuses one.
    fn second(&self) -> io::Result<Self>;
}

impl Duplex for UnixStream {
    fn second(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

impl Duplex for TcpStream {
    fn second(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

/// The local ends of a process's streams.
pub struct Streams<'a> {
    /// Read until its end, which also ends the process's input.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Where output goes.
    pub stdout: &'a mut dyn Write,
    /// Where error output goes.
    pub stderr: &'a mut dyn Write,
    /// Columns and rows of the terminal, each time they change.
    pub resize: Option<Receiver<(u16, u16)>>,
}

impl std::fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("stdin", &self.stdin.is_some()).finish_non_exhaustive()
    }
}

/// Runs an exec or attach request (`path` with its query) over `stream`, until the process ends.
///
/// # Errors
/// [`Error::Refused`] with the server's refusal, [`Error::Io`] when the connection breaks.
pub fn exec<S: Duplex>(mut stream: S, path: &str, token: Option<&Token>, streams: Streams<'_>) -> Result<Exit, Error> {
    let broken = |source| Error::Io { doing: "the connection to the API server broke".to_owned(), source };
    let rest = handshake(&mut stream, path, token)
        .map_err(broken)?
        .map_err(|source| Error::Refused { doing: "the API server refused to run the command".to_owned(), source })?;
    let writer = Arc::new(Mutex::new(stream.second().map_err(broken)?));
    if let Some(stdin) = streams.stdin {
        send_input(stdin, Arc::clone(&writer));
    }
    if let Some(resize) = streams.resize {
        let writer = Arc::clone(&writer);
        std::thread::spawn(move || {
            for (width, height) in resize {
                let size = json!({ "Width": width, "Height": height }).to_string();
                if send(&writer, 4, size.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
    receive(&mut stream, rest, &writer, streams.stdout, streams.stderr).map_err(broken)
}

/// Asks for the upgrade; gives what was read beyond the answer's head.
fn handshake<S: Duplex>(stream: &mut S, path: &str, token: Option<&Token>) -> io::Result<Result<Vec<u8>, Status>> {
    let authorization = token.map(|t| format!("Authorization: Bearer {}\r\n", t.reveal())).unwrap_or_default();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\
         {authorization}\r\n",
        base64::encode(b"0123456789abcdef")
    );
    stream.write_all(head.as_bytes())?;
    let (mut buffer, mut piece) = (Vec::new(), [0_u8; 4096]);
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let count = stream.read(&mut piece)?;
        if count == 0 || buffer.len() > 64 << 10 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(&piece[..count]);
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut rest = buffer.split_off(end);
    let code: u16 = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    if code == 101 {
        return Ok(Ok(rest));
    }
    let length =
        head.lines().filter_map(|line| line.split_once(':')).find(|(k, _)| k.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, v)| v.trim().parse().ok()).unwrap_or(0).min(1 << 20);
    while rest.len() < length {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            break;
        }
        rest.extend_from_slice(&piece[..count]);
    }
    let body: Value = serde_json::from_slice(&rest).unwrap_or_default();
    Ok(Err(Status::from_json(&body).unwrap_or_else(|| Status::internal(format!("HTTP status {code}")))))
}

fn send<S: Duplex>(writer: &Mutex<S>, channel: u8, data: &[u8]) -> io::Result<()> {
    let mut payload = vec![channel];
    payload.extend_from_slice(data);
    // The mask keeps a proxy from being fooled; on a local socket any will do.
    let mask = Random::new(data.len() as u64).next().to_be_bytes();
    let frame = ws::encode(Opcode::Binary, &payload, Some([mask[0], mask[1], mask[2], mask[3]]));
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    writer.write_all(&frame)?;
    writer.flush()
}

fn send_input<S: Duplex>(mut stdin: Box<dyn Read + Send>, writer: Arc<Mutex<S>>) {
    // Ends with the input or the connection; the process's end does not wait for it.
    std::thread::spawn(move || {
        let mut buffer = vec![0_u8; 16 << 10];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if send(&writer, 0, &buffer[..count]).is_err() {
                        return;
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // The server notices a broken connection by itself.
        let _ = send(&writer, 255, &[0]);
    });
}

fn receive<S: Duplex>(
    stream: &mut S,
    mut buffer: Vec<u8>,
    writer: &Mutex<S>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> io::Result<Exit> {
    let mut piece = vec![0_u8; 32 << 10];
    loop {
        let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
        while let Some(frame) = ws::take(&mut buffer).map_err(malformed)? {
            match (frame.opcode, frame.payload.split_first()) {
                (Opcode::Ping, _) => {
                    let pong = ws::encode(Opcode::Pong, &frame.payload, Some([0; 4]));
                    writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(&pong)?;
                }
                (Opcode::Close, _) => return Ok(Exit::Lost),
                (_, Some((1, data))) => stdout.write_all(data).and_then(|()| stdout.flush())?,
                (_, Some((2, data))) => stderr.write_all(data).and_then(|()| stderr.flush())?,
                (_, Some((3, data))) => return Ok(exit(data)),
                _ => {}
            }
        }
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer.extend_from_slice(&piece[..count]),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}

fn exit(data: &[u8]) -> Exit {
    let status: Value = serde_json::from_slice(data).unwrap_or_default();
    if status["status"] == "Success" {
        return Exit::Code(0);
    }
    let causes = crate::value::list(&status, &["details", "causes"]);
    let code = causes.iter().find(|cause| cause["reason"] == "ExitCode").and_then(|cause| cause["message"].as_str());
    code.and_then(|code| code.parse().ok()).map_or(Exit::Lost, Exit::Code)
}
