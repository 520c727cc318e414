//! The proxy's datagram half: one socket per client towards the container, forgotten after a minute and a half.

use super::proxy::readable;
use nix::poll::PollTimeout;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Clients remembered at a time; the one that was silent longest makes room.
const MOST: usize = 512;
/// Docker's own limit.
const IDLE: Duration = Duration::from_secs(90);
/// The largest datagram.
const LARGEST: usize = 65535;

struct Flow {
    socket: UdpSocket,
    used: Instant,
}

/// Serves one port until stopped.
pub(super) fn serve(socket: &UdpSocket, target: SocketAddrV4, stopped: &OwnedFd) {
    let mut flows: BTreeMap<SocketAddr, Flow> = BTreeMap::new();
    let mut buffer = vec![0; LARGEST];
    let _ = socket.set_nonblocking(true);
    loop {
        let fds: Vec<BorrowedFd<'_>> =
            std::iter::once(socket.as_fd()).chain(flows.values().map(|flow| flow.socket.as_fd())).collect();
        let Some(ready) = readable(&fds, stopped, PollTimeout::from(10_000_u16)) else { return };
        let now = Instant::now();
        for ((client, flow), ready) in flows.iter_mut().zip(&ready[1..]) {
            if *ready {
                flow.used = now;
                answer(socket, *client, &flow.socket, &mut buffer);
            }
        }
        flows.retain(|_, flow| now.duration_since(flow.used) < IDLE);
        if ready[0] {
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                if let Ok(flow) = flow(&mut flows, client, target, now) {
                    // A container that refuses is heard with the next receive; the datagram is lost, as on a wire.
                    let _ = flow.send(&buffer[..length]);
                }
            }
        }
    }
}

fn answer(socket: &UdpSocket, client: SocketAddr, from: &UdpSocket, buffer: &mut [u8]) {
    while let Ok(length) = from.recv(buffer) {
        let _ = socket.send_to(&buffer[..length], client);
    }
}

fn flow(
    flows: &mut BTreeMap<SocketAddr, Flow>,
    client: SocketAddr,
    target: SocketAddrV4,
    now: Instant,
) -> io::Result<&UdpSocket> {
    if !flows.contains_key(&client) {
        if flows.len() >= MOST {
            let oldest = flows.iter().min_by_key(|(_, flow)| flow.used).map(|(client, _)| *client);
            oldest.and_then(|oldest| flows.remove(&oldest));
        }
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(target)?;
        socket.set_nonblocking(true)?;
        flows.insert(client, Flow { socket, used: now });
    }
    let flow = flows.get_mut(&client).ok_or(io::ErrorKind::NotFound)?;
    flow.used = now;
    Ok(&flow.socket)
}
