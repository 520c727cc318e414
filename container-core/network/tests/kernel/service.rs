//! Services: balanced, refused, healed, from pods and from the node itself; and the links that pods hang on.

use crate::world::{PATIENCE, Result, ask, ask_here, at, isolated, links, output, same, serve, unreachable};
use container_network::service::{
    Applied, Balance, Outcome, Packet, ServiceConfig, ServiceEntry, ServiceProgram, ServiceTable, trace,
};
use container_network::{Namespace, PodLink, Protocol, Subnet, set_node_address};
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Instant;
use test_lane::{Need, case};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("pods_reach_each_other_and_their_node", &[Need::Root], || isolated(pods)),
        case("pods_cannot_lie_about_their_address", &[Need::Root, Need::Program("ip")], || isolated(spoofing)),
        case("pods_and_containers_are_deaf_to_ipv6", &[Need::Root, Need::Program("ip")], || isolated(deaf_to_ipv6)),
        case("service_balances_over_its_endpoints", &[Need::Root], || isolated(balances)),
        case("service_takes_turns_when_told_to", &[Need::Root], || isolated(takes_turns)),
        case("service_without_endpoints_refuses", &[Need::Root], || isolated(refuses)),
        case("service_reaches_its_own_client", &[Need::Root], || isolated(hairpin)),
        case("service_forgets_datagram_endpoints", &[Need::Root], || isolated(datagrams)),
        case("service_resets_streams_to_the_dead", &[Need::Root], || isolated(dead_stream)),
        case("service_rules_changed_by_others_are_rebuilt", &[Need::Root, Need::Program("nft")], || isolated(rebuilt)),
        case("service_trace_agrees_with_the_kernel", &[Need::Root], || isolated(trace_agrees)),
        case("service_rules_can_be_listed", &[Need::Root, Need::Program("nft")], || isolated(listed)),
        case("service_ten_thousand", &[Need::Root], || isolated(ten_thousand)),
    ]
}

const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// A load balancer's address: outside the usual range, one more entry all the same.
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

fn ranges() -> [Subnet; 2] {
    ["10.96.0.0/12", "192.0.2.0/24"].map(|text| text.parse().expect("a range"))
}

struct Pod {
    namespace: Namespace,
    link: PodLink,
    name: String,
}

fn pod(number: u8) -> Result<Pod> {
    let namespace = Namespace::create()?;
    let address = Ipv4Addr::new(10, 244, 0, number);
    let link = PodLink::create(&namespace, address, &format!("pod{number}"), Some(NODE))?;
    let name = format!("pod{number}");
    serve(&namespace, at(address, 8080), &name)?;
    Ok(Pod { namespace, link, name })
}

fn cluster(count: u8) -> Result<(Vec<Pod>, ServiceProgram)> {
    set_node_address(NODE)?;
    let pods = (2..2 + count).map(pod).collect::<Result<Vec<Pod>>>()?;
    let program = ServiceProgram::open(ServiceConfig::new(ranges()).node(NODE))?;
    Ok((pods, program))
}

fn table(protocol: Protocol, pods: &[&Pod]) -> ServiceTable {
    let endpoints: Vec<_> = pods.iter().map(|pod| (pod.link.address, 8080)).collect();
    let entry = |vip| ServiceEntry { vip, port: 80, protocol, endpoints: endpoints.clone() };
    ServiceTable::build(vec![entry(VIP), entry(EXTERNAL)], &ranges(), &[NODE]).0
}

/// Asks many times and counts who answered.
fn census(times: usize, mut one: impl FnMut() -> Result<String>) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        let answer = one()?;
        let name = answer.split(' ').next().unwrap_or_default().to_owned();
        *counts.entry(name).or_default() += 1;
    }
    Ok(counts)
}

fn pods() -> Result<()> {
    set_node_address(NODE)?;
    let (a, b) = (pod(2)?, pod(3)?);
    same(ask(&a.namespace, at(b.link.address, 8080))?, format!("pod3 {}", a.link.address), "pod to pod")?;
    same(ask_here(at(a.link.address, 8080))?, format!("pod2 {NODE}"), "node to pod")?;
    serve(&Namespace::current()?, at(NODE, 7000), "node")?;
    same(ask(&a.namespace, at(NODE, 7000))?, format!("node {}", a.link.address), "pod to node")?;
    let again = PodLink::create(&a.namespace, Ipv4Addr::new(10, 244, 0, 9), "pod2", None);
    same(again.is_err(), true, "a second link of the same name")?;
    let bad = PodLink::create(&a.namespace, Ipv4Addr::new(169, 254, 0, 9), "pod9", None);
    let text = bad.err().map(|error| error.to_string()).unwrap_or_default();
    same(text, "invalid pod address \"169.254.0.9\": it is a link-local address".to_owned(), "a link-local pod")?;
    a.link.delete()?;
    b.link.delete()?;
    a.link.delete()?;
    same(links()?, vec!["lo".to_owned()], "links at the end")
}

fn spoofing() -> Result<()> {
    set_node_address(NODE)?;
    let (a, b) = (pod(2)?, pod(3)?);
    let lie = Ipv4Addr::new(10, 244, 0, 77);
    let heard = b.namespace.run(|| UdpSocket::bind((b.link.address, 9)))??;
    heard.set_read_timeout(Some(std::time::Duration::from_millis(200)))?;
    let target = (b.link.address, 9);
    a.namespace.run(|| -> Result<()> {
        output("ip", &["address", "add", &lie.to_string(), "dev", "lo"])?;
        UdpSocket::bind((lie, 0))?.send_to(b"lie", target)?;
        Ok(())
    })??;
    same(heard.recv(&mut [0; 8]).is_err(), true, "a packet with a foreign source is dropped")?;
    a.namespace.run(|| UdpSocket::bind((a.link.address, 0))?.send_to(b"truth", target))??;
    same(heard.recv(&mut [0; 8])?, 5, "a packet with the pod's own source")
}

/// CVE-2020-10749: what a container sends as a router must find no believer.
fn deaf_to_ipv6() -> Result<()> {
    set_node_address(NODE)?;
    let pod = pod(2)?;
    let dir = tempfile::tempdir()?;
    let network = container_network::Network::ensure(&container_network::NetworkConfig::new("test0", dir.path()))?;
    let (a, b) = (Namespace::create()?, Namespace::create()?);
    let first = network.attach(&a, &crate::bridge::attachment("a"))?;
    network.attach(&b, &crate::bridge::attachment("b"))?;
    let read = |interface: &str, key: &str| {
        std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/{key}")).unwrap_or_else(|_| "1".to_owned())
    };
    for interface in [pod.link.interface.as_str(), "test0", first.host_interface.as_str()] {
        same(read(interface, "disable_ipv6").trim(), "1", interface)?;
        same(
            read(interface, "accept_ra").trim() == "1" && read(interface, "disable_ipv6").trim() != "1",
            false,
            interface,
        )?;
    }
    for inside in [&pod.namespace, &a, &b] {
        same(inside.run(|| read("eth0", "disable_ipv6"))?.trim(), "1", "inside")?;
    }
    // One of them is root inside, switches IPv6 on and says that it is the router of everything.
    a.run(|| -> Result<()> {
        std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0")?;
        output("ip", &["address", "add", "fe80::66/64", "dev", "eth0", "nodad"])?;
        advertise()
    })??;
    let routes = |_: ()| std::fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default();
    let believed = |text: String| text.lines().any(|line| line.starts_with(&"0".repeat(32)) && line.contains("66 "));
    same(believed(routes(())), false, "the host's routes")?;
    same(believed(b.run(|| routes(()))?), false, "the neighbour's routes")?;
    network.detach("a")?;
    network.detach("b")?;
    Ok(())
}

/// Sends a router advertisement to all nodes on the link.
fn advertise() -> Result<()> {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto, setsockopt, socket, sockopt,
    };
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Inet6, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::IcmpV6)?;
    setsockopt(&fd, sockopt::Ipv6MulticastHops, &255)?;
    let index = nix::net::if_::if_nametoindex("eth0")?;
    let all_nodes = std::net::SocketAddrV6::new("ff02::1".parse()?, 0, 0, index);
    let advertisement = [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    sendto(fd.as_raw_fd(), &advertisement, &SockaddrIn6::from(all_nodes), MsgFlags::empty())?;
    Ok(())
}

fn balances() -> Result<()> {
    let (pods, mut program) = cluster(4)?;
    let [a, b, c, client] = &pods[..] else { return Err("four pods".into()) };
    program.apply(&table(Protocol::Tcp, &[a, b, c]))?;
    for vip in [VIP, EXTERNAL] {
        let from_pod = census(90, || ask(&client.namespace, at(vip, 80)))?;
        same(from_pod.len(), 3, &format!("endpoints that a pod met by {vip}: {from_pod:?}"))?;
        let from_node = census(90, || ask_here(at(vip, 80)))?;
        same(from_node.len(), 3, &format!("endpoints that the node met by {vip}: {from_node:?}"))?;
    }
    same(ask(&client.namespace, at(VIP, 80))?.ends_with(&format!(" {}", client.link.address)), true, "source kept")?;
    same(ask_here(at(VIP, 80))?.ends_with(&format!(" {NODE}")), true, "the node's source")?;
    // An endpoint that has been taken out is never met again.
    program.apply(&table(Protocol::Tcp, &[a, c]))?;
    let after = census(60, || ask(&client.namespace, at(VIP, 80)))?;
    let expected: Vec<&String> = vec![&a.name, &c.name];
    same(after.keys().collect::<Vec<_>>(), expected, "endpoints after one was taken out")?;
    let nothing = program.apply(&table(Protocol::Tcp, &[a, c]))?;
    same(nothing, Applied::default(), "the same table again")?;
    program.remove()?;
    same(unreachable(at(VIP, 80)), true, "after the removal")
}

fn takes_turns() -> Result<()> {
    let (pods, program) = cluster(3)?;
    drop(program);
    let config = ServiceConfig { balance: Balance::RoundRobin, ..ServiceConfig::new(ranges()).node(NODE) };
    let mut program = ServiceProgram::open(config)?;
    program.apply(&table(Protocol::Tcp, &pods.iter().collect::<Vec<_>>()))?;
    let counts = census(30, || ask_here(at(VIP, 80)))?;
    same(counts.values().copied().collect::<Vec<_>>(), vec![10, 10, 10], "turns")
}

fn refuses() -> Result<()> {
    let (pods, mut program) = cluster(2)?;
    let connect = |to: SocketAddr| TcpStream::connect_timeout(&to, PATIENCE).map(drop).map_err(|error| error.kind());
    let refused = Err(std::io::ErrorKind::ConnectionRefused);
    // A server of the node's own on all addresses must not answer in a Service's name.
    serve(&Namespace::current()?, at(Ipv4Addr::UNSPECIFIED, 81), "node")?;
    program.apply(&table(Protocol::Tcp, &[]))?;
    for (to, what) in [(at(VIP, 80), "no endpoints"), (at(VIP, 81), "another port"), (at(EXTERNAL, 81), "outside")] {
        same(connect(to), refused, &format!("{what}, from the node"))?;
        same(pods[0].namespace.run(|| connect(to))?, refused, &format!("{what}, from a pod"))?;
    }
    let socket = pods[0].namespace.run(|| UdpSocket::bind("0.0.0.0:0"))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect((VIP, 80))?;
    socket.send(b"x")?;
    let error = socket.recv(&mut [0; 8]).map_err(|error| error.kind());
    same(error, Err(std::io::ErrorKind::ConnectionRefused), "a datagram")?;
    program.apply(&table(Protocol::Tcp, &[&pods[1]]))?;
    same(ask(&pods[0].namespace, at(VIP, 80))?.starts_with("pod3"), true, "an endpoint came")
}

fn hairpin() -> Result<()> {
    let (pods, mut program) = cluster(1)?;
    program.apply(&table(Protocol::Tcp, &[&pods[0]]))?;
    same(ask(&pods[0].namespace, at(VIP, 80))?, format!("pod2 {NODE}"), "a pod asks its own Service")
}

fn datagrams() -> Result<()> {
    let (pods, mut program) = cluster(3)?;
    for pod in &pods[..2] {
        let socket = pod.namespace.run(|| UdpSocket::bind((pod.link.address, 8080)))??;
        let name = pod.name.clone();
        std::thread::spawn(move || {
            while let Ok((_, client)) = socket.recv_from(&mut [0; 64]) {
                let _ = socket.send_to(name.as_bytes(), client);
            }
        });
    }
    program.apply(&table(Protocol::Udp, &[&pods[0]]))?;
    let client = pods[2].namespace.run(|| UdpSocket::bind("0.0.0.0:0"))??;
    client.set_read_timeout(Some(PATIENCE))?;
    client.connect((VIP, 80))?;
    let say = || -> Result<String> {
        client.send(b"who")?;
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    same(say()?, "pod2".to_owned(), "the only endpoint")?;
    let applied = program.apply(&table(Protocol::Udp, &[&pods[1]]))?;
    same(applied.forgotten, 1, "forgotten connections")?;
    same(say()?, "pod3".to_owned(), "the same socket, after the endpoint was replaced")
}

fn dead_stream() -> Result<()> {
    let (pods, mut program) = cluster(3)?;
    let [dead, alive, client] = &pods[..] else { return Err("three pods".into()) };
    let listener = dead.namespace.run(|| std::net::TcpListener::bind((dead.link.address, 9000)))??;
    let front = |pod: &Pod| {
        let endpoints = vec![(pod.link.address, 9000)];
        ServiceTable::build(
            vec![ServiceEntry { vip: VIP, port: 90, protocol: Protocol::Tcp, endpoints }],
            &ranges(),
            &[],
        )
        .0
    };
    program.apply(&front(dead))?;
    let mut stream = client.namespace.run(|| TcpStream::connect((VIP, 90)))??;
    let (mut server, _) = listener.accept()?;
    stream.write_all(b"x")?;
    server.read_exact(&mut [0])?;
    // The pod dies without a word; the Service moves on.
    program.apply(&front(alive))?;
    dead.link.delete()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"y")?;
    let error = stream.read(&mut [0]).map_err(|error| error.kind());
    same(error, Err(std::io::ErrorKind::ConnectionReset), "the stream to the dead pod")
}

fn rebuilt() -> Result<()> {
    let (pods, mut program) = cluster(2)?;
    program.apply(&table(Protocol::Tcp, &[&pods[0]]))?;
    output("nft", &["flush ruleset"])?;
    let applied = program.apply(&table(Protocol::Tcp, &[&pods[1]]))?;
    same(applied.rebuilt, true, "rebuilt")?;
    same(ask_here(at(VIP, 80))?.starts_with("pod3"), true, "the Service after the rebuild")
}

/// Every Service of a table with all sizes, and addresses beside it: the tracer says what the kernel does.
fn trace_agrees() -> Result<()> {
    let (pods, mut program) = cluster(4)?;
    let entry = |number: u8| ServiceEntry {
        vip: Ipv4Addr::new(10, 96, 1, number),
        port: 80,
        protocol: Protocol::Tcp,
        endpoints: pods.iter().take(usize::from(number % 5)).map(|pod| (pod.link.address, 8080)).collect(),
    };
    let (table, _) = ServiceTable::build((0..20).map(entry).collect(), &ranges(), &[NODE]);
    program.apply(&table)?;
    for number in 0..22 {
        for port in [80, 81] {
            let destination = SocketAddrV4::new(Ipv4Addr::new(10, 96, 1, number), port);
            let packet = Packet { source: pods[3].link.address, destination, protocol: Protocol::Tcp };
            let found = pods[3].namespace.run(|| ask_here(SocketAddr::V4(destination)))?;
            let agrees = match (trace(&table, &ranges(), &packet), &found) {
                (Outcome::Balanced { to, masqueraded }, Ok(answer)) => pods.iter().any(|pod| {
                    let endpoint = SocketAddrV4::new(pod.link.address, 8080);
                    let seen = if masqueraded == Some(endpoint) { NODE } else { packet.source };
                    to.contains(&endpoint) && *answer == format!("{} {seen}", pod.name)
                }),
                (Outcome::Refused, Err(error)) => format!("{error:?}").contains("refused"),
                _ => false,
            };
            same(agrees, true, &format!("{destination}: {found:?}"))?;
        }
    }
    let outside = Packet { source: NODE, destination: SocketAddrV4::new(NODE, 80), protocol: Protocol::Udp };
    same(trace(&table, &ranges(), &outside), Outcome::Untouched, "an address of nobody's")
}

/// The oracle reads every map back, and every chain but the two that look up twice in a row, for which it has no words.
fn listed() -> Result<()> {
    let (pods, mut program) = cluster(2)?;
    program.apply(&table(Protocol::Tcp, &[&pods[0], &pods[1]]))?;
    let expected = [
        ("map", "endpoint-counts", "10.96.0.10 . tcp . 80 : 0x00000002"),
        ("map", "classes", "0x00000002 : goto one-of-2"),
        ("map", "endpoints-2", "10.96.0.10 . tcp . 80 . 0x00000001 : 10.244.0.3 . 8080"),
        ("set", "hairpin", "10.244.0.2 . 10.244.0.2"),
        ("chain", "one-of-2", "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints-2"),
        ("chain", "postrouting", "ct status dnat ip saddr . ip daddr @hairpin masquerade"),
        ("chain", "refuse-input", "ip daddr 10.96.0.0/12 reject with tcp reset"),
    ];
    for (kind, name, line) in expected {
        let text = output("nft", &["list", kind, "ip", "container-network-services", name])?;
        same(text.contains(line), true, &format!("{line} in {text}"))?;
    }
    Ok(())
}

/// Prints what it costs; the figures are judged by the benches, not here.
fn ten_thousand() -> Result<()> {
    let (pods, mut program) = cluster(2)?;
    let entry = |number: u32, ends: &[(Ipv4Addr, u16)]| ServiceEntry {
        vip: Ipv4Addr::from_bits(Ipv4Addr::new(10, 97, 0, 0).to_bits() + number),
        port: 80,
        protocol: Protocol::Tcp,
        endpoints: ends.to_vec(),
    };
    let ends = [(pods[0].link.address, 8080), (pods[1].link.address, 8080)];
    let build = |change: u32| {
        let entries = (0..10_000).map(|number| entry(number, if number == change { &ends[..1] } else { &ends }));
        ServiceTable::build(entries.collect(), &ranges(), &[]).0
    };
    let (first, second) = (build(20_000), build(5_000));
    let start = Instant::now();
    let all = program.apply(&first)?;
    let full = start.elapsed();
    let start = Instant::now();
    let one = program.apply(&second)?;
    eprintln!(
        "10,000 services x 2: {} elements in {full:?}; one change: {} elements in {:?}",
        all.elements,
        one.elements,
        start.elapsed()
    );
    let last = at(Ipv4Addr::from_bits(Ipv4Addr::new(10, 97, 0, 0).to_bits() + 9_999), 80);
    same(ask_here(last)?.starts_with("pod"), true, "the last Service")
}
