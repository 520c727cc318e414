//! Connections into the cluster's network, from outside of it.
//!
//! The inside half listens on a unix socket in the state folder. A client writes `ip:port` and a newline; the inside
//! half connects there, answers one line (`ok`, or why not) and carries bytes both ways from then on. A refused or
//! reset connection is told as what it is, so that a measured failure is the cluster's own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddrV4;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::http1::{self, Response};

/// Connects to an address of the cluster.
pub(crate) fn connect(socket: &Path, address: SocketAddrV4, timeout: Duration) -> io::Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(format!("{address}\n").as_bytes())?;
    let mut stream = BufReader::new(stream);
    let mut answer = String::new();
    stream.by_ref().take(512).read_line(&mut answer)?;
    match answer.trim_end() {
        "ok" => Ok(stream),
        "" => Err(io::ErrorKind::ConnectionAborted.into()),
        refusal => Err(io::Error::new(io::ErrorKind::ConnectionRefused, refusal.to_owned())),
    }
}

/// Sends one request on a connection of its own and reads the answer.
pub(crate) fn request(
    socket: &Path,
    address: SocketAddrV4,
    method: &str,
    target: &str,
    timeout: Duration,
) -> io::Result<Response> {
    let mut stream = connect(socket, address, timeout)?;
    http1::write_request(stream.get_mut(), method, &address.to_string(), target, &[], false)?;
    http1::read_response(&mut stream)
}
