//! Carries out HTTP and TCP checks of containers: one attempt, one verdict.
//!
//! Redirects are not followed, bodies are bounded, and the address is always the pod's own unless the manifest names
//! another one.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::http1;

/// Asks by HTTP; success is a status from 200 to 399.
pub(super) fn http(
    address: SocketAddr,
    path: &str,
    headers: &[(String, String)],
    timeout: Duration,
) -> Result<(), String> {
    let asked = || -> io::Result<http1::Response> {
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        http1::write_request(&mut stream, "GET", &address.to_string(), path, headers, false)?;
        http1::read_response(&mut BufReader::new(stream))
    };
    match asked() {
        Ok(answer) if (200..400).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(format!("HTTP probe failed with statuscode: {}", answer.status)),
        Err(error) => Err(format!("Get \"http://{address}{path}\": {error}")),
    }
}

/// Connects by TCP; success is a connection.
pub(super) fn tcp(address: SocketAddr, timeout: Duration) -> Result<(), String> {
    match TcpStream::connect_timeout(&address, timeout) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("dial tcp {address}: {error}")),
    }
}

/// The address to ask: the pod's, unless the probe names a host.
pub(super) fn address(host: &str, pod_ip: &str, port: u16) -> Result<SocketAddr, String> {
    let host = if host.is_empty() { pod_ip } else { host };
    let mut found = (host, port).to_socket_addrs().map_err(|error| format!("lookup {host}: {error}"))?;
    found.next().ok_or_else(|| format!("lookup {host}: no such host"))
}
