//! From tables to commands: the whole thing for a fresh start, the difference for every change. Pure.

use super::ServiceTable;
use super::program::{Balance, ServiceConfig};
use super::table::{Content, Front};
use crate::Protocol;
use crate::nft::{Chain, Command, Data, Element, Field, Hook, MapType, RejectWith, Statement, Tracked, Verdict, Word};
use std::cmp::Ordering;
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
    let (old, new) = (old.content(), new.content());
    let mut counts = Change::default();
    let mut endpoints: BTreeMap<usize, Change> = BTreeMap::new();
    let mut touched = BTreeSet::new();
    for (front, before, after) in changed(old, new) {
        touched.extend(before.iter().chain(after).map(|endpoint| *endpoint.ip()));
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
    let mut out = Commands { table: &config.table, list: Vec::new() };
    for size in new.sizes.keys().filter(|size| !old.sizes.contains_key(size)) {
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
    let pods = |have: &Content, lack: &Content| {
        touched.iter().filter(|pod| have.pods.contains_key(pod) && !lack.pods.contains_key(pod)).map(hairpin).collect()
    };
    out.delete(HAIRPIN, pods(old, new));
    out.add(HAIRPIN, pods(new, old));
    for size in old.sizes.keys().filter(|size| !new.sizes.contains_key(size)) {
        out.close_class(*size);
    }
    out.list
}

/// The fronts whose endpoints differ, in order, with both lists: one walk along both tables.
fn changed<'a>(
    old: &'a Content,
    new: &'a Content,
) -> impl Iterator<Item = (&'a Front, &'a [SocketAddrV4], &'a [SocketAddrV4])> {
    let (mut before, mut after) = (old.fronts.iter().peekable(), new.fronts.iter().peekable());
    let pairs = std::iter::from_fn(move || {
        let order = match (before.peek(), after.peek()) {
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let (from_old, from_new) = match order {
            Ordering::Less => (before.next(), None),
            Ordering::Greater => (None, after.next()),
            Ordering::Equal => (before.next(), after.next()),
        };
        let front = from_old.or(from_new)?.0;
        let ends = |found: Option<(&'a Front, &'a Vec<SocketAddrV4>)>| found.map_or(&[][..], |(_, ends)| ends);
        Some((front, ends(from_old), ends(from_new)))
    });
    pairs.filter(|(_, before, after)| before != after)
}

/// The UDP endpoints that a front has lost: connection tracking would go on sending to them.
pub(super) fn lost_datagram_endpoints(old: &ServiceTable, new: &ServiceTable) -> Vec<(Front, SocketAddrV4)> {
    let datagrams = changed(old.content(), new.content()).filter(|(front, ..)| front.protocol == Protocol::Udp);
    let lost = |(front, before, after): (&Front, &[SocketAddrV4], &[SocketAddrV4])| {
        let gone: Vec<_> = before.iter().filter(|to| !after.contains(to)).map(|to| (*front, *to)).collect();
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

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
