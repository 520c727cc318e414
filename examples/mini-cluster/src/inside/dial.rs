//! The inside end of the dial socket: one line with an address in, one line of verdict out, then bytes both ways.

use std::net::SocketAddrV4;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use crate::error::{PathContext, Result};

/// Longest address line.
const LINE: usize = 32;
/// How long a connection inside may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Serves the socket on the current runtime.
pub(super) fn serve(path: &Path) -> Result<()> {
    let listener = UnixListener::bind(path).at("bind", path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).at("close to others", path)?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(async move { carry(stream).await })),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    Ok(())
}

async fn carry(mut stream: UnixStream) -> std::io::Result<()> {
    let Some(address) = read_address(&mut stream).await? else {
        return stream.write_all(b"not an address\n").await;
    };
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
    let mut inner = match connected {
        Ok(Ok(inner)) => inner,
        Ok(Err(error)) => return stream.write_all(format!("{error}\n").as_bytes()).await,
        Err(_) => return stream.write_all(b"connection timed out\n").await,
    };
    inner.set_nodelay(true)?;
    stream.write_all(b"ok\n").await?;
    copy_bidirectional(&mut stream, &mut inner).await.map(drop)
}

async fn read_address(stream: &mut UnixStream) -> std::io::Result<Option<SocketAddrV4>> {
    let mut line = Vec::with_capacity(LINE);
    // Byte by byte: what follows the newline belongs to the other side.
    while line.len() < LINE {
        match stream.read_u8().await? {
            b'\n' => return Ok(std::str::from_utf8(&line).ok().and_then(|text| text.parse().ok())),
            byte => line.push(byte),
        }
    }
    Ok(None)
}
