//! From tables to commands: the whole thing for a fresh start, the difference for every change. Pure.

use super::ServiceTable;
use super::program::{Balance, ServiceConfig};
use super::table::Front;
use crate::Protocol;
use crate::nft::{Chain, Command, Data, Element, Field, Hook, MapType, RejectWith, Statement, Tracked, Verdict, Word};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

const COUNTS: &str = "endpoint-counts";
const CLASSES: &str = "classes";
const HAIRPIN: &str = "hairpin";
const FRONT: [Field; 3] = [Field::DestinationAddress, Field::Protocol, Field::DestinationPort];

/// Puts the whole table in the place of whatever is there.
pub(super) fn full(config: &ServiceConfig, table: &ServiceTable) -> Vec<Command> {
    let mut commands = removal(config);
    commands.extend(skeleton(config));
    commands.extend(difference(config, &ServiceTable::default(), table));
    commands
}

/// Takes the table away, whether it exists or not.
pub(super) fn removal(config: &ServiceConfig) -> Vec<Command> {
    let table = config.table.clone();
    vec![Command::AddTable { table: table.clone(), comment: String::new() }, Command::DeleteTable { table }]
}

/// Everything that does not depend on the Services.
fn skeleton(config: &ServiceConfig) -> Vec<Command> {
    let table = || config.table.clone();
    let map = |name: &str, key: &[Field], data| Command::AddMap {
        table: table(),
        name: name.to_owned(),
        key: key.to_vec(),
        data,
    };
    let addresses = [Field::SourceAddress, Field::DestinationAddress];
    let mut commands = vec![
        Command::AddTable { table: table(), comment: "services".to_owned() },
        map(COUNTS, &FRONT, MapType::Number),
        map(CLASSES, &[Field::Random(0)], MapType::Verdict),
        map(HAIRPIN, &addresses, MapType::Set),
    ];
    let dispatch =
        || Statement::Dispatch { key: FRONT.to_vec(), numbers: COUNTS.to_owned(), chains: CLASSES.to_owned() };
    let masquerade = vec![
        Statement::Connection(Tracked::Redirected),
        Statement::In { key: addresses.to_vec(), set: HAIRPIN.to_owned() },
        Statement::Masquerade,
    ];
    let mut refuse = vec![vec![Statement::Connection(Tracked::Established), Statement::End(Verdict::Accept)]];
    for range in &config.ranges {
        let ours = || Statement::DestinationIn(*range);
        let reset = Statement::Reject(RejectWith::TcpReset);
        refuse.push(vec![ours(), Statement::IsProtocol(Protocol::Tcp), reset]);
        refuse.push(vec![ours(), Statement::Reject(RejectWith::PortUnreachable)]);
    }
    let chains = [
        ("prerouting", Hook::NatPrerouting, vec![vec![dispatch()]]),
        ("output", Hook::NatOutput, vec![vec![dispatch()]]),
        ("postrouting", Hook::NatPostrouting, vec![masquerade]),
        ("refuse-input", Hook::FilterInput, refuse.clone()),
        ("refuse-forward", Hook::FilterForward, refuse.clone()),
        ("refuse-output", Hook::FilterOutput, refuse),
    ];
    for (name, hook, rules) in chains {
        let chain = Chain { name: name.to_owned(), hook: Some(hook) };
        commands.push(Command::AddChain { table: table(), chain });
        commands.extend(rules.into_iter().map(|rule| Command::AddRule {
            table: table(),
            chain: name.to_owned(),
            rule,
        }));
    }
    commands
}

/// Elements to leave and to come, of one map.
#[derive(Default)]
struct Change {
    gone: Vec<Element>,
    new: Vec<Element>,
}

/// The commands that lead from one table to the other. In this order each beginning of the list is harmless: an
/// endpoint is in its map before a count leads there, and out of it only after no count does.
pub(super) fn difference(config: &ServiceConfig, old: &ServiceTable, new: &ServiceTable) -> Vec<Command> {
    let mut counts = Change::default();
    let mut endpoints: BTreeMap<usize, Change> = BTreeMap::new();
    let fronts: BTreeSet<&Front> = old.fronts.keys().chain(new.fronts.keys()).collect();
    let none = Vec::new();
    for front in fronts {
        let (before, after) = (old.fronts.get(front).unwrap_or(&none), new.fronts.get(front).unwrap_or(&none));
        if before == after {
            continue;
        }
        if before.len() != after.len() {
            counts.gone.extend((!before.is_empty()).then(|| count(front, before.len())));
            counts.new.extend((!after.is_empty()).then(|| count(front, after.len())));
        }
        let same_slots = before.len() == after.len();
        for (slot, to) in before.iter().enumerate().filter(|(slot, to)| !same_slots || after[*slot] != **to) {
            endpoints.entry(before.len()).or_default().gone.push(endpoint(front, slot, *to));
        }
        for (slot, to) in after.iter().enumerate().filter(|(slot, to)| !same_slots || before[*slot] != **to) {
            endpoints.entry(after.len()).or_default().new.push(endpoint(front, slot, *to));
        }
    }
    let (sizes_before, sizes_after) = (sizes(old), sizes(new));
    let mut out = Commands { table: &config.table, list: Vec::new() };
    for size in sizes_after.difference(&sizes_before) {
        out.open_class(*size, config.balance);
    }
    out.delete(COUNTS, counts.gone);
    for (size, change) in &mut endpoints {
        out.delete(&map_name(*size), std::mem::take(&mut change.gone));
    }
    for (size, change) in endpoints {
        out.add(&map_name(size), change.new);
    }
    out.add(COUNTS, counts.new);
    let (pods_before, pods_after) = (pods(old), pods(new));
    out.delete(HAIRPIN, pods_before.difference(&pods_after).map(hairpin).collect());
    out.add(HAIRPIN, pods_after.difference(&pods_before).map(hairpin).collect());
    for size in sizes_before.difference(&sizes_after) {
        out.close_class(*size);
    }
    out.list
}

/// The UDP endpoints that a front has lost: connection tracking would go on sending to them.
pub(super) fn lost_datagram_endpoints(old: &ServiceTable, new: &ServiceTable) -> Vec<(Front, SocketAddrV4)> {
    let datagrams = old.fronts.iter().filter(|(front, _)| front.protocol == Protocol::Udp);
    let lost = |(front, endpoints): (&Front, &Vec<SocketAddrV4>)| {
        let left = new.fronts.get(front).cloned().unwrap_or_default();
        let gone: Vec<_> = endpoints.iter().filter(|to| !left.contains(to)).map(|to| (*front, *to)).collect();
        gone
    };
    datagrams.flat_map(lost).collect()
}

struct Commands<'a> {
    table: &'a str,
    list: Vec<Command>,
}

impl Commands<'_> {
    fn add(&mut self, name: &str, elements: Vec<Element>) {
        if !elements.is_empty() {
            self.list.push(Command::AddElements { table: self.table.to_owned(), name: name.to_owned(), elements });
        }
    }

    fn delete(&mut self, name: &str, elements: Vec<Element>) {
        if !elements.is_empty() {
            self.list.push(Command::DeleteElements { table: self.table.to_owned(), name: name.to_owned(), elements });
        }
    }

    /// The map and chain for Services with `size` endpoints.
    fn open_class(&mut self, size: usize, balance: Balance) {
        let (table, chain) = (|| self.table.to_owned(), chain_name(size));
        let dice = match balance {
            Balance::Random => Field::Random(number(size)),
            Balance::RoundRobin => Field::Turn(number(size)),
        };
        let key: Vec<Field> = FRONT.into_iter().chain([dice]).collect();
        let map =
            Command::AddMap { table: table(), name: map_name(size), key: key.clone(), data: MapType::Destination };
        let rule = vec![Statement::Redirect { key, map: map_name(size) }];
        let commands = [
            map,
            Command::AddChain { table: table(), chain: Chain { name: chain.clone(), hook: None } },
            Command::AddRule { table: table(), chain, rule },
        ];
        self.list.extend(commands);
        self.add(CLASSES, vec![class(size)]);
    }

    fn close_class(&mut self, size: usize) {
        self.delete(CLASSES, vec![class(size)]);
        let (table, chain) = (|| self.table.to_owned(), chain_name(size));
        let commands = [
            Command::FlushChain { table: table(), chain: chain.clone() },
            Command::DeleteChain { table: table(), chain },
            Command::DeleteMap { table: table(), name: map_name(size) },
        ];
        self.list.extend(commands);
    }
}

fn map_name(size: usize) -> String {
    format!("endpoints-{size}")
}

fn chain_name(size: usize) -> String {
    format!("one-of-{size}")
}

fn number(size: usize) -> u32 {
    u32::try_from(size).expect("a Service has fewer than 2^32 endpoints")
}

fn words(front: &Front) -> Vec<Word> {
    vec![Word::Address(front.vip), Word::Protocol(front.protocol), Word::Port(front.port)]
}

fn count(front: &Front, size: usize) -> Element {
    Element { key: words(front), data: Data::Number(number(size)) }
}

fn class(size: usize) -> Element {
    Element { key: vec![Word::Number(number(size))], data: Data::Goto(chain_name(size)) }
}

fn endpoint(front: &Front, slot: usize, to: SocketAddrV4) -> Element {
    let mut key = words(front);
    key.push(Word::Number(number(slot)));
    Element { key, data: Data::Destination(to) }
}

fn hairpin(pod: &Ipv4Addr) -> Element {
    Element { key: vec![Word::Address(*pod), Word::Address(*pod)], data: Data::None }
}

fn sizes(table: &ServiceTable) -> BTreeSet<usize> {
    table.fronts.values().map(Vec::len).filter(|size| *size > 0).collect()
}

fn pods(table: &ServiceTable) -> BTreeSet<Ipv4Addr> {
    table.fronts.values().flatten().map(|endpoint| *endpoint.ip()).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
