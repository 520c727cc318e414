//! Exec and attach over a WebSocket: Kubernetes' `v4` and `v5.channel.k8s.io`.
//!
//! Every message begins with a channel: 0 input, 1 output, 2 error output, 3 the final status, 4 the
//! terminal's size, 255 (v5) the end of another channel. Containers are read and written by threads,
//! since their streams block.

use std::io::{Read, Write};

use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::body::Out;
use super::pods::{Exit, Session};
use super::ws::{self, Frame, Opcode};
use crate::Status;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// Protocols in the order of preference.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// A request that wants to become a WebSocket.
#[derive(Debug)]
pub(super) struct Upgrade {
    on: OnUpgrade,
    accept: String,
    protocol: &'static str,
}

impl Upgrade {
    /// Reads the handshake, if the request is one that can be met.
    pub(super) fn take<B>(request: &mut hyper::Request<B>) -> Option<Self> {
        let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if !header(UPGRADE)?.eq_ignore_ascii_case("websocket") {
            return None;
        }
        let accept = ws::accept(header(SEC_WEBSOCKET_KEY)?);
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
        let offered: Vec<&str> = offered.flat_map(|list| list.split(',').map(str::trim)).collect();
        let protocol = PROTOCOLS.into_iter().find(|protocol| offered.contains(protocol))?;
        Some(Self { on: hyper::upgrade::on(request), accept, protocol })
    }

    /// Accepts, and connects the session's streams once the connection is there.
    pub(super) fn serve(self, session: Session) -> Result<hyper::Response<Out>, Status> {
        let mut response = hyper::Response::new(Out::Whole(None));
        *response.status_mut() = hyper::StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&self.accept).map_err(Status::internal)?);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        let on = self.on;
        tokio::spawn(async move {
            if let Ok(upgraded) = on.await {
                run(TokioIo::new(upgraded), session).await;
            }
        });
        Ok(response)
    }
}

fn message(channel: u8, data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(data.len() + 1);
    payload.push(channel);
    payload.extend_from_slice(data);
    ws::encode(Opcode::Binary, &payload, None)
}

async fn run(stream: TokioIo<hyper::upgrade::Upgraded>, mut session: Session) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (out, mut outgoing) = mpsc::channel::<Vec<u8>>(16);
    let input = session.stdin.take().map(feed);
    let resize = session.resize.take();
    let streams = [(STDOUT, session.stdout.take()), (STDERR, session.stderr.take())];
    let pumps = streams.into_iter().filter_map(|(channel, source)| source.map(|source| pump(channel, source, &out)));
    let pumps: Vec<_> = pumps.collect();
    let wait = session.wait;
    let finish = out.clone();
    tokio::spawn(async move {
        for pump in pumps {
            // A pump that panicked has nothing more to say.
            let _ = pump.await;
        }
        let exit = tokio::task::spawn_blocking(wait).await.unwrap_or(Exit::Lost);
        let status = message(STATUS, status(exit).to_string().as_bytes());
        if finish.send(status).await.is_ok() {
            let _ = finish.send(ws::encode(Opcode::Close, &1000_u16.to_be_bytes(), None)).await;
        }
    });
    let answers = out;
    let mut incoming = tokio::spawn(async move {
        let mut client = Client { input, resize, partial: Vec::new() };
        let (mut buffer, mut piece) = (Vec::new(), vec![0_u8; 32 << 10]);
        loop {
            while let Ok(Some(frame)) = ws::take(&mut buffer) {
                match frame.opcode {
                    Opcode::Close => return,
                    Opcode::Ping => {
                        let pong = ws::encode(Opcode::Pong, &frame.payload, None);
                        if answers.send(pong).await.is_err() {
                            return;
                        }
                    }
                    _ => client.hear(frame).await,
                }
            }
            match reader.read(&mut piece).await {
                Ok(count) if count > 0 && buffer.len() < 8 << 20 => buffer.extend_from_slice(&piece[..count]),
                _ => return,
            }
        }
    });
    loop {
        let bytes = tokio::select! {
            biased;
            bytes = outgoing.recv() => bytes,
            _ = &mut incoming => None,
        };
        let Some(bytes) = bytes else { break };
        let closing = bytes[0] & 0x0f == 8;
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() || closing {
            break;
        }
    }
    incoming.abort();
    // The other side may be gone already.
    let _ = writer.shutdown().await;
}

/// What the client sends, brought to where it belongs.
struct Client {
    input: Option<mpsc::Sender<Vec<u8>>>,
    resize: Option<Box<dyn FnMut(u16, u16) + Send>>,
    partial: Vec<u8>,
}

impl Client {
    async fn hear(&mut self, frame: Frame) {
        self.partial.extend(frame.payload);
        if !frame.last {
            return;
        }
        let payload = std::mem::take(&mut self.partial);
        match payload.split_first() {
            Some((&STDIN, data)) => {
                if let Some(input) = &self.input
                    && input.send(data.to_vec()).await.is_err()
                {
                    self.input = None;
                }
            }
            Some((&RESIZE, data)) => {
                let size: Value = serde_json::from_slice(data).unwrap_or_default();
                let side = |name: &str| size.get(name).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
                if let (Some(resize), Some(width), Some(height)) = (&mut self.resize, side("Width"), side("Height")) {
                    resize(width, height);
                }
            }
            Some((&CLOSE, [STDIN])) => self.input = None,
            _ => {}
        }
    }
}

/// Writes to the process from a thread; dropping the sender ends the input.
fn feed(mut stdin: Box<dyn Write + Send>) -> mpsc::Sender<Vec<u8>> {
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(16);
    tokio::task::spawn_blocking(move || {
        while let Some(data) = receiver.blocking_recv() {
            if stdin.write_all(&data).and_then(|()| stdin.flush()).is_err() {
                return;
            }
        }
    });
    sender
}

/// Reads from the process on a thread, until the end.
fn pump(channel: u8, mut source: Box<dyn Read + Send>, out: &mpsc::Sender<Vec<u8>>) -> tokio::task::JoinHandle<()> {
    let out = out.clone();
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0_u8; 32 << 10];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    if out.blocking_send(message(channel, &buffer[..count])).is_err() {
                        return;
                    }
                }
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    })
}

/// The last word about a process.
fn status(exit: Exit) -> Value {
    match exit {
        Exit::Code(0) => json!({ "metadata": {}, "status": "Success" }),
        Exit::Code(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
        }),
        Exit::Lost => json!({ "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": "the end of the process was not seen" }),
    }
}
