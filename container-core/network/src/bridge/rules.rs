//! From the lease file to the network's rule table: pure, replaced whole on every change.
//!
//! What the table does: packets to a published port on any address of this machine go to the container (from outside
//! and from the machine itself, loopback excepted: that is the proxy's, because the alternative, `route_localnet`,
//! opens the machine's 127.0.0.1 to its neighbours); what containers send outside leaves under the machine's address;
//! a container that asks for a published port of its neighbour or of itself is masqueraded too (hairpin), or the
//! answer would take the short way back and not be recognised; nothing reaches an unpublished port from outside; an
//! interface that only we made forward packets forwards nothing but this.

use super::state::State;
use crate::nft::{Chain, Command, Data, Element, Field, Hook, MapType, Statement, Tracked, Verdict, Word};
use crate::publish::PublishMode;
use crate::{PortMapping, Subnet};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

const PREFIX: &str = "container-network-";
const ANY: &str = "published";
const ONE: &str = "published-on";

/// The table of the network with this bridge.
pub(super) fn table_name(bridge: &str) -> String {
    format!("{PREFIX}{bridge}")
}

/// The table's comment keeps what other state directories must know: which interfaces this network made forward.
pub(super) fn comment(switched: &[String]) -> String {
    format!("forwarding was off: {}", switched.join(" "))
}

/// Reads a comment of a table of ours back.
pub(super) fn switched_in(table: &str, comment: &str) -> Vec<String> {
    let names = comment.strip_prefix("forwarding was off: ").filter(|_| table.starts_with(PREFIX));
    names.map(|names| names.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}

/// Removes the table, whether it exists or not.
pub(super) fn removal(bridge: &str) -> Vec<Command> {
    let table = table_name(bridge);
    vec![Command::AddTable { table: table.clone(), comment: String::new() }, Command::DeleteTable { table }]
}

/// The whole table, in place of whatever is there.
pub(super) fn table(bridge: &str, state: &State, mode: &PublishMode) -> Vec<Command> {
    let table = table_name(bridge);
    let mut commands = removal(bridge);
    commands.push(Command::AddTable { table: table.clone(), comment: comment(&state.switched) });
    if *mode == PublishMode::Rules {
        publish(&table, state, &mut commands);
    }
    let here = || bridge.to_owned();
    let from_containers = Statement::SourceIn(state.subnet);
    let mut chain = |name: &str, hook, rules: Vec<Vec<Statement>>| add_chain(&mut commands, &table, name, hook, rules);
    chain(
        "postrouting",
        Hook::NatPostrouting,
        vec![
            vec![from_containers.clone(), Statement::NotToInterface(here()), Statement::Masquerade],
            vec![
                from_containers,
                Statement::ToInterface(here()),
                Statement::Connection(Tracked::Redirected),
                Statement::Masquerade,
            ],
        ],
    );
    let accept = || Statement::End(Verdict::Accept);
    let mut forward = vec![
        vec![Statement::Connection(Tracked::Established), accept()],
        vec![Statement::Connection(Tracked::Redirected), accept()],
        vec![Statement::FromInterface(here()), accept()],
        vec![Statement::ToInterface(here()), Statement::End(Verdict::Drop)],
    ];
    for interface in &state.switched {
        forward.push(vec![Statement::FromInterface(interface.clone()), Statement::End(Verdict::Drop)]);
    }
    chain("forward", Hook::FilterForward, forward);
    commands
}

/// The same table where none is in the way.
pub(super) fn without_removal(table: &[Command]) -> &[Command] {
    &table[2..]
}

/// The commands that lead from one such table to another, if only published ports differ. Replacing a table costs a
/// second batch's worth of waiting in the kernel; a port more costs nothing of that.
pub(super) fn ports_changed(old: &[Command], new: &[Command]) -> Option<Vec<Command>> {
    let fixed = |commands: &[Command]| -> Vec<Command> {
        commands.iter().filter(|command| !matches!(command, Command::AddElements { .. })).cloned().collect()
    };
    if fixed(old) != fixed(new) {
        return None;
    }
    let mut changes = Vec::new();
    for map in [ANY, ONE] {
        let (before, after) = (elements_of(old, map), elements_of(new, map));
        let missing = |from: &[Element], other: &[Element]| -> Vec<Element> {
            from.iter().filter(|element| !other.contains(element)).cloned().collect()
        };
        let (gone, come) = (missing(&before, &after), missing(&after, &before));
        let table = new.iter().find_map(|command| match command {
            Command::AddTable { table, .. } => Some(table.clone()),
            _ => None,
        })?;
        if !gone.is_empty() {
            changes.push(Command::DeleteElements { table: table.clone(), name: map.to_owned(), elements: gone });
        }
        if !come.is_empty() {
            changes.push(Command::AddElements { table, name: map.to_owned(), elements: come });
        }
    }
    Some(changes)
}

fn elements_of(commands: &[Command], map: &str) -> Vec<Element> {
    let of_map = |command: &Command| match command {
        Command::AddElements { name, elements, .. } if name == map => elements.clone(),
        _ => Vec::new(),
    };
    commands.iter().flat_map(of_map).collect()
}

/// Tells rules from other rules, across processes of this program (FNV-1a over their text).
pub(super) fn fingerprint(commands: &[Command]) -> u64 {
    let text: String = commands.iter().map(|command| format!("{command}\n")).collect();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn add_chain(commands: &mut Vec<Command>, table: &str, name: &str, hook: Hook, rules: Vec<Vec<Statement>>) {
    let chain = Chain { name: name.to_owned(), hook: Some(hook) };
    commands.push(Command::AddChain { table: table.to_owned(), chain });
    for rule in rules {
        commands.push(Command::AddRule { table: table.to_owned(), chain: name.to_owned(), rule });
    }
}

/// Two maps, one for ports on every address and one for ports on a certain one, asked from both directions.
fn publish(table: &str, state: &State, commands: &mut Vec<Command>) {
    let any_key = vec![Field::Protocol, Field::DestinationPort];
    let one_key = vec![Field::DestinationAddress, Field::Protocol, Field::DestinationPort];
    for (name, key) in [(ANY, &any_key), (ONE, &one_key)] {
        let (table, name, key) = (table.to_owned(), name.to_owned(), key.clone());
        commands.push(Command::AddMap { table, name, key, data: MapType::Destination });
    }
    let published = state.leases.iter().flat_map(|lease| lease.ports.iter().map(move |port| (port, lease.address)));
    let (any, one) = published.filter_map(|(port, to)| element(port, to)).partition(|element| element.key.len() == 2);
    for (name, elements) in [(ANY, any), (ONE, one)] {
        if !Vec::is_empty(&elements) {
            commands.push(Command::AddElements { table: table.to_owned(), name: name.to_owned(), elements });
        }
    }
    let redirects = || {
        [(&one_key, ONE), (&any_key, ANY)].map(|(key, map)| {
            vec![Statement::DestinationIsLocal, Statement::Redirect { key: key.clone(), map: map.to_owned() }]
        })
    };
    add_chain(commands, table, "prerouting", Hook::NatPrerouting, redirects().into());
    let loopback = Subnet::new(Ipv4Addr::LOCALHOST, 8).expect("8 bits are a prefix");
    let mut output = vec![vec![Statement::DestinationIn(loopback), Statement::End(Verdict::Return)]];
    output.extend(redirects());
    add_chain(commands, table, "output", Hook::NatOutput, output);
}

/// What the rules do for a published port; loopback and IPv6 are the proxy's alone.
fn element(port: &PortMapping, to: Ipv4Addr) -> Option<Element> {
    let IpAddr::V4(host) = port.host_ip else { return None };
    if host.is_loopback() {
        return None;
    }
    let mut key = vec![Word::Protocol(port.protocol), Word::Port(port.host_port)];
    if !host.is_unspecified() {
        key.insert(0, Word::Address(host));
    }
    Some(Element { key, data: Data::Destination(SocketAddrV4::new(to, port.container_port)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lease, Protocol};

    fn state() -> State {
        let mut state = State::new("172.17.0.0/16".parse().unwrap()).unwrap();
        let port = |ip: &str, host_port, container_port, protocol| PortMapping {
            host_ip: ip.parse().unwrap(),
            host_port,
            container_port,
            protocol,
        };
        state.leases.push(Lease {
            id: "web".to_owned(),
            address: Ipv4Addr::new(172, 17, 0, 2),
            host_interface: "veth1".to_owned(),
            hostname: "web".to_owned(),
            aliases: Vec::new(),
            ports: vec![
                port("0.0.0.0", 8080, 80, Protocol::Tcp),
                port("192.0.2.1", 53, 5353, Protocol::Udp),
                port("127.0.0.1", 9090, 90, Protocol::Tcp),
                port("::", 8080, 80, Protocol::Tcp),
            ],
        });
        state.switched.push("eth0".to_owned());
        state
    }

    fn text(commands: &[Command]) -> String {
        commands.iter().map(|command| format!("{command}\n")).collect()
    }

    #[test]
    fn the_table_prints_as_reviewed() {
        let rules = text(&table("mini0", &state(), &PublishMode::Rules));
        crate::golden::check("bridge.nft", &rules);
        assert!(!rules.contains("127.0.0.1"), "loopback belongs to the proxy");
    }

    #[test]
    fn behind_a_foreign_firewall_nothing_is_redirected() {
        let mode = PublishMode::Proxy { chain: "ip filter FORWARD".to_owned() };
        let rules = text(&table("mini0", &state(), &mode));
        assert!(rules.contains("masquerade") && !rules.contains("dnat ip to"), "{rules}");
    }

    #[test]
    fn a_port_more_is_an_element_more() {
        let (before, mut after) = (state(), state());
        after.leases[0].ports[0].host_port = 8081;
        let of = |state: &State| table("mini0", state, &PublishMode::Rules);
        let changes = ports_changed(&of(&before), &of(&after)).unwrap();
        let expected = "delete element ip container-network-mini0 published { tcp . 8080 }\n\
            add element ip container-network-mini0 published { tcp . 8081 : 172.17.0.2 . 80 }\n";
        assert_eq!(text(&changes), expected);
        assert_eq!(ports_changed(&of(&before), &of(&before)), Some(Vec::new()));
        after.switched.clear();
        assert_eq!(ports_changed(&of(&before), &of(&after)), None);
        assert_ne!(fingerprint(&of(&before)), fingerprint(&of(&after)));
    }

    #[test]
    fn comments_are_read_back() {
        let names = vec!["eth0".to_owned(), "eth1".to_owned()];
        assert_eq!(switched_in(&table_name("x"), &comment(&names)), names);
        assert_eq!(switched_in("another", &comment(&names)), Vec::<String>::new());
        assert_eq!(switched_in(&table_name("x"), &comment(&[])), Vec::<String>::new());
    }
}
