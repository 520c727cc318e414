//! What the cases share: a namespace of their own, servers and clients inside namespaces, a look at what is left.

use container_network::Namespace;
use nix::sched::{CloneFlags, unshare};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::panic::Location;
use std::process::Command;
use std::time::Duration;
use test_lane::Failed;

pub(crate) type Result<T> = std::result::Result<T, Failed>;

/// Long enough for a loaded machine, short enough that a lost packet fails the case.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// An ordinary user becomes root of a user namespace; where that is forbidden, the cases say that they need root.
pub(crate) fn become_root() {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if !uid.is_root() && unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
        let maps =
            [("setgroups", "deny".to_owned()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))];
        for (file, text) in maps {
            std::fs::write(format!("/proc/self/{file}"), text).expect("a process may map its own id");
        }
    }
}

/// Runs a case in a network namespace of its own.
pub(crate) fn isolated(work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    Namespace::create()?.run(work)?
}

/// A server that answers every connection with its name and the address it saw the client under.
pub(crate) fn serve(namespace: &Namespace, address: SocketAddr, name: &str) -> Result<()> {
    let listener = namespace.run(|| TcpListener::bind(address))??;
    let name = name.to_owned();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let peer = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
            let _ = stream.write_all(format!("{name} {peer}").as_bytes());
        }
    });
    Ok(())
}

/// Connects from inside a namespace and returns the whole answer.
#[track_caller]
pub(crate) fn ask(namespace: &Namespace, address: SocketAddr) -> Result<String> {
    let line = Location::caller().line();
    namespace.run(|| ask_from(line, address))?
}

/// Connects from the calling thread's namespace.
#[track_caller]
pub(crate) fn ask_here(address: SocketAddr) -> Result<String> {
    ask_from(Location::caller().line(), address)
}

/// Tells whether a connection is refused or not answered for a while.
pub(crate) fn unreachable(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_err()
}

fn ask_from(line: u32, address: SocketAddr) -> Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE);
    let mut stream = stream.map_err(|error| format!("connect to {address} in line {line}: {error}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub(crate) fn at(ip: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(ip.into(), port)
}

/// The names of the links in the calling thread's namespace.
pub(crate) fn links() -> Result<Vec<String>> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    Ok(text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect())
}

/// Runs a program in the calling thread's namespace and returns what it printed.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fails with both values when they differ.
#[allow(clippy::needless_pass_by_value, reason = "callers compare temporaries")]
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T, what: &str) -> Result<()> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}").into()) }
}

/// A neighbour on a wire: the calling thread's namespace has `wire0` with the host's address.
pub(crate) struct Outside {
    pub(crate) namespace: Namespace,
    pub(crate) link: String,
    pub(crate) host: std::net::Ipv4Addr,
    pub(crate) neighbour: std::net::Ipv4Addr,
}

pub(crate) fn wire() -> Result<Outside> {
    let namespace = Namespace::create()?;
    let path = namespace.path();
    // The program `ip` takes a namespace by a name or a process; a descriptor of ours it finds under our own pid.
    let inside = path.to_string_lossy().into_owned();
    output("ip", &["link", "add", "wire0", "type", "veth", "peer", "name", "wire0", "netns", &inside])?;
    output("ip", &["address", "add", "198.51.100.1/24", "dev", "wire0"])?;
    output("ip", &["link", "set", "wire0", "up"])?;
    namespace.run(|| -> Result<()> {
        output("ip", &["address", "add", "198.51.100.2/24", "dev", "wire0"])?;
        output("ip", &["link", "set", "wire0", "up"])?;
        Ok(())
    })??;
    let (host, neighbour) = ("198.51.100.1".parse()?, "198.51.100.2".parse()?);
    Ok(Outside { namespace, link: "wire0".to_owned(), host, neighbour })
}

impl Outside {
    pub(crate) fn route_to(&self, subnet: container_network::Subnet) -> Result<()> {
        let arguments = ["route", "add", &subnet.to_string(), "via", &self.host.to_string()];
        self.namespace.run(|| output("ip", &arguments))??;
        Ok(())
    }
}
