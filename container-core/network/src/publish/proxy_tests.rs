//! The proxy over loopback, without privilege: every byte both ways, half-closed connections, the end of it.

use crate::{LocalBinder, PortMapping, PortProxy, Protocol, Reservation};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy on a port of its own choice, in front of a server on loopback.
fn proxy(protocol: Protocol, server: SocketAddr) -> (PortProxy, SocketAddr) {
    let host_ip = Ipv4Addr::LOCALHOST.into();
    let wanted = PortMapping { host_ip, host_port: 0, container_port: server.port(), protocol };
    let reservation = Reservation::bind(&LocalBinder, &[wanted]).unwrap();
    let address = reservation.mappings()[0].host();
    (reservation.proxy(Ipv4Addr::LOCALHOST).unwrap(), address)
}

/// Reads all that a client says before it answers: only a half-closed connection gets an answer.
fn reverser() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                stream.read_to_end(&mut said).unwrap();
                said.reverse();
                let _ = stream.write_all(&said);
            });
        }
    });
    address
}

#[test]
fn every_byte_goes_both_ways() {
    let (_proxy, address) = proxy(Protocol::Tcp, reverser());
    let clients: Vec<_> = (0..20_u8)
        .map(|client| {
            std::thread::spawn(move || {
                let said: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8 ^ client).collect();
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(&said).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                answer.reverse();
                assert!(answer == said);
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn its_end_cuts_connections_and_frees_the_port() {
    let (proxy, address) = proxy(Protocol::Tcp, reverser());
    let mut open = TcpStream::connect(address).unwrap();
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    open.write_all(b"half a question").unwrap();
    drop(proxy);
    let mut rest = Vec::new();
    // Reset or closed, but not left to wait.
    let ended = open.read_to_end(&mut rest);
    assert!(!matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{ended:?}");
    TcpListener::bind(address).unwrap();
}

#[test]
fn a_server_that_is_not_there_ends_the_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_proxy, address) = proxy(Protocol::Tcp, nobody);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn datagrams_come_back_to_whom_they_belong() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (_proxy, address) = proxy(Protocol::Udp, server.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&buffer[..length], from);
        }
    });
    let clients: Vec<UdpSocket> = (0..10).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for (number, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect(address).unwrap();
        client.send(format!("client {number}").as_bytes()).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], format!("client {number}").as_bytes());
    }
}
