//! Published ports: from the host's address, from 127.0.0.1, from containers, past a foreign firewall, and never twice.

use crate::bridge::attachment;
use crate::world::{PATIENCE, Result, ask, ask_here, at, isolated, links, output, same, serve, unreachable, wire};
use container_network::{
    Attachment, Endpoint, Error, LocalBinder, Namespace, Network, NetworkConfig, PortMapping, PortProxy, Protocol,
    PublishMode, Reservation,
};
use libtest_mimic::Trial;
use std::net::{Ipv4Addr, UdpSocket};
use test_lane::{Need, case};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("publish_answers_everywhere", &[Need::Root, Need::Program("ip")], || isolated(everywhere)),
        case("publish_datagrams", &[Need::Root, Need::Program("ip")], || isolated(datagrams)),
        case("publish_taken_port_is_a_typed_error", &[Need::Root], || isolated(taken)),
        case("publish_past_a_foreign_firewall", &[Need::Root, Need::Program("ip"), Need::Program("nft")], || {
            isolated(foreign_firewall)
        }),
        case("publish_leaves_loopback_closed_to_neighbours", &[Need::Root, Need::Program("ip")], || {
            isolated(route_localnet)
        }),
        case("publish_restores_forwarding", &[Need::Root, Need::Program("ip")], || isolated(forwarding)),
        case("publish_rules_are_what_nft_reads", &[Need::Root, Need::Program("ip"), Need::Program("nft")], || {
            isolated(oracle)
        }),
    ]
}

/// A container with a server on port 80 that is published on port 8080.
struct Published {
    inside: Namespace,
    endpoint: Endpoint,
    _proxy: PortProxy,
}

fn mapping(ip: &str, protocol: Protocol) -> PortMapping {
    PortMapping { host_ip: ip.parse().expect("an address"), host_port: 8080, container_port: 80, protocol }
}

fn publish(network: &Network, id: &str, ports: &[PortMapping]) -> Result<Published> {
    let reservation = Reservation::bind(&LocalBinder, ports)?;
    let inside = Namespace::create()?;
    let attachment = Attachment { ports: reservation.mappings(), ..attachment(id) };
    let endpoint = network.attach(&inside, &attachment)?;
    let proxy = reservation.proxy(endpoint.address)?;
    serve(&inside, at(endpoint.address, 80), id)?;
    Ok(Published { inside, endpoint, _proxy: proxy })
}

fn everywhere() -> Result<()> {
    let outside = wire()?;
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()))?;
    let web = publish(&network, "web", &[mapping("0.0.0.0", Protocol::Tcp), mapping("::", Protocol::Tcp)])?;
    let other = Namespace::create()?;
    let client = network.attach(&other, &attachment("client"))?;
    same(web.endpoint.publish.clone(), PublishMode::Rules, "the way of publishing")?;
    let gateway = web.endpoint.gateway;
    let host = at(outside.host, 8080);
    same(ask(&outside.namespace, host)?, format!("web {}", outside.neighbour), "a neighbour, its address kept")?;
    same(ask_here(host)?, format!("web {}", outside.host), "the host by its address")?;
    same(ask_here(at(Ipv4Addr::LOCALHOST, 8080))?, format!("web {gateway}"), "the host by 127.0.0.1")?;
    same(ask_here("[::1]:8080".parse()?)?, format!("web {gateway}"), "the host by ::1")?;
    same(ask(&other, host)?, format!("web {gateway}"), "another container by the host's address")?;
    same(ask(&other, at(gateway, 8080))?, format!("web {gateway}"), "another container by the gateway")?;
    same(ask(&web.inside, host)?, format!("web {gateway}"), "the container itself")?;
    serve(&outside.namespace, at(outside.neighbour, 99), "out")?;
    same(ask(&other, at(outside.neighbour, 99))?, format!("out {}", outside.host), "a container outside")?;
    // The neighbour knows the way to the containers, and still reaches no unpublished port.
    serve(&other, at(client.address, 81), "private")?;
    outside.route_to(network.subnet()?.expect("fixed by the first container"))?;
    same(outside.namespace.run(|| unreachable(at(client.address, 81)))?, true, "an unpublished port is closed")?;
    drop(web);
    network.detach("web")?;
    same(outside.namespace.run(|| unreachable(host))?, true, "published after the detach")?;
    network.detach("client")?;
    Ok(())
}

fn datagrams() -> Result<()> {
    let outside = wire()?;
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()))?;
    let reservation = Reservation::bind(&LocalBinder, &[mapping("0.0.0.0", Protocol::Udp)])?;
    let inside = Namespace::create()?;
    let ports = reservation.mappings();
    let endpoint = network.attach(&inside, &Attachment { ports, ..attachment("dns") })?;
    let server = inside.run(|| UdpSocket::bind((endpoint.address, 80)))??;
    let _proxy = reservation.proxy(endpoint.address)?;
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, client)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&[b"got ", &buffer[..length]].concat(), client);
        }
    });
    let ask = |to: Ipv4Addr| -> Result<String> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((to, 8080))?;
        socket.send(b"hello")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    same(ask(Ipv4Addr::LOCALHOST)?, "got hello".to_owned(), "by 127.0.0.1")?;
    same(ask(outside.host)?, "got hello".to_owned(), "by the host's address")?;
    same(outside.namespace.run(|| ask(outside.host))??, "got hello".to_owned(), "by a neighbour")?;
    network.detach("dns")?;
    Ok(())
}

fn taken() -> Result<()> {
    let held = std::net::TcpListener::bind("0.0.0.0:8080")?;
    let refused = Reservation::bind(&LocalBinder, &[mapping("0.0.0.0", Protocol::Tcp)]);
    same(matches!(refused, Err(Error::PortTaken { .. })), true, "a port that somebody listens on")?;
    drop(held);
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()))?;
    let web = publish(&network, "web", &[mapping("0.0.0.0", Protocol::Tcp)])?;
    let refused = Reservation::bind(&LocalBinder, &[mapping("127.0.0.1", Protocol::Tcp)]);
    let text = refused.err().map(|error| error.to_string());
    same(text, Some("bind for 127.0.0.1:8080 failed: port is already allocated".to_owned()), "another container's")?;
    drop(web);
    network.detach("web")?;
    Ok(())
}

fn foreign_firewall() -> Result<()> {
    let outside = wire()?;
    output(
        "nft",
        &["add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"],
    )?;
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()))?;
    let web = publish(&network, "web", &[mapping("0.0.0.0", Protocol::Tcp)])?;
    let chain = "ip filter FORWARD".to_owned();
    same(web.endpoint.publish.clone(), PublishMode::Proxy { chain }, "the way of publishing")?;
    let host = at(outside.host, 8080);
    let expected = format!("web {}", web.endpoint.gateway);
    same(ask(&outside.namespace, host)?, expected.clone(), "a neighbour through the proxy")?;
    same(ask_here(host)?, expected.clone(), "the host through the proxy")?;
    same(ask(&web.inside, host)?, expected, "a container through the proxy")?;
    network.detach("web")?;
    Ok(())
}

/// CVE-2020-8558: a neighbour that sends to 127.0.0.1 by way of our address must not be let in.
fn route_localnet() -> Result<()> {
    let outside = wire()?;
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()))?;
    let _web = publish(&network, "web", &[mapping("127.0.0.1", Protocol::Tcp)])?;
    for name in links()?.iter().chain([&"all".to_owned()]) {
        let value = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/route_localnet"))?;
        same(value.trim(), "0", "route_localnet")?;
    }
    same(
        outside.namespace.run(|| unreachable(at(outside.host, 8080)))?,
        true,
        "a loopback port by the host's address",
    )?;
    outside.namespace.run(|| -> Result<()> {
        // The neighbour gives up its own loopback and sends 127.0.0.1 over the wire.
        std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1")?;
        output("ip", &["route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local"])?;
        output("ip", &["route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local"])?;
        output("ip", &["route", "add", "127.0.0.1", "via", &outside.host.to_string()])?;
        same(unreachable(at(Ipv4Addr::LOCALHOST, 8080)), true, "the host's 127.0.0.1 over the wire")
    })??;
    network.detach("web")?;
    Ok(())
}

fn forwarding() -> Result<()> {
    let outside = wire()?;
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/forwarding"));
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let first = Network::ensure(&NetworkConfig::new("test0", one.path()))?;
    let second = Network::ensure(&NetworkConfig::new("test1", two.path()))?;
    same(read(&outside.link)?, "0\n".to_owned(), "forwarding before")?;
    first.attach(&Namespace::create()?, &attachment("a"))?;
    same(read(&outside.link)?, "1\n".to_owned(), "forwarding with one network")?;
    same(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?, "0\n".to_owned(), "the global switch")?;
    second.attach(&Namespace::create()?, &attachment("a"))?;
    first.detach("a")?;
    same(read(&outside.link)?, "1\n".to_owned(), "forwarding while the other network is there")?;
    second.detach("a")?;
    same(read(&outside.link)?, "0\n".to_owned(), "forwarding after the last container")
}

/// What the kernel got by netlink is what it gets when `nft` reads our text.
fn oracle() -> Result<()> {
    let _outside = wire()?;
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("mini0", dir.path()))?;
    let ports = [mapping("0.0.0.0", Protocol::Tcp), mapping("127.0.0.1", Protocol::Udp), mapping("::", Protocol::Tcp)];
    network.attach(&Namespace::create()?, &Attachment { ports: ports.into(), ..attachment("web") })?;
    let listed = output("nft", &["list", "ruleset"])?;
    let text = include_str!("../golden/bridge.nft").lines();
    let text: Vec<&str> = text.filter(|line| !line.contains("192.0.2.1") && !line.contains("published-on {")).collect();
    let text = text.join("\n").replace("eth0", "wire0");
    let expected = Namespace::create()?.run(|| -> Result<String> {
        let file = tempfile::NamedTempFile::new()?;
        let maps = include_str!("../golden/bridge.nft").lines().find(|line| line.contains("published-on { type"));
        let text = text.replacen("add element", &format!("{}\nadd element", maps.expect("in the file")), 1);
        std::fs::write(file.path(), text)?;
        output("nft", &["-f", &file.path().to_string_lossy()])?;
        output("nft", &["list", "ruleset"])
    })??;
    same(sorted(&listed), sorted(&expected), "the ruleset")?;
    network.detach("web")?;
    same(output("nft", &["list", "ruleset"])?, String::new(), "the ruleset after the last container")
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}
