//! Commands to netlink bytes. Pure; the numbers are those of `linux/netfilter/nf_tables.h`.
//!
//! Registers: a key's fields lie in consecutive 4-byte registers from the first one on, so that one lookup takes them
//! all; whatever a lookup finds goes to the first register too, except a class number, which has its own.
//!
//! `nft` 1.0.6 can list everything of this but a `Dispatch`, two lookups in a row, on which it ends with an assertion.

use super::model::{Chain, Command, Data, Element, Field, MapType, RejectWith, Statement, Tracked, Verdict, Word};
use crate::Protocol;
use crate::netlink::Writer;

/// `NFPROTO_IPV4`.
const FAMILY: u8 = 2;
pub(super) const NEWTABLE: u16 = 0;
pub(super) const GETTABLE: u16 = 1;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
pub(super) const GETCHAIN: u16 = 4;
const DELCHAIN: u16 = 5;
const NEWRULE: u16 = 6;
const DELRULE: u16 = 8;
const NEWSET: u16 = 9;
const DELSET: u16 = 11;
const NEWSETELEM: u16 = 12;
const DELSETELEM: u16 = 14;
/// `NFTA_LIST_ELEM`.
const LIST_ELEM: u16 = 1;
/// `NFTA_TABLE_USERDATA`.
pub(super) const TABLE_USERDATA: u16 = 6;
const CREATE: u16 = 0x400;
const CREATE_AND_APPEND: u16 = 0xc00;
/// `NFT_REG_VERDICT`.
const VERDICT: u32 = 0;
/// `NFT_REG32_00`: where keys begin.
const FIRST: u32 = 8;
/// `NFT_REG32_12`: where a class number waits between two lookups.
const CLASS: u32 = 20;
/// An attribute is shorter than 64 KiB; the largest element takes 84 bytes.
const ELEMENTS_PER_MESSAGE: usize = 700;

/// A message to be: its type, flags and body without header and `nfgenmsg`.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) body: Vec<u8>,
    /// The command it came from, by index.
    pub(super) command: usize,
}

/// `struct nfgenmsg`.
pub(super) fn nfgen(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// `struct nfgenmsg` of every message about our tables.
pub(super) const GENERIC: [u8; 4] = [FAMILY, 0, 0, 0];

/// Encodes every command, a long list of elements as several messages.
pub(super) fn encode(commands: &[Command]) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let mut push = |kind, flags, body: &dyn Fn(&mut Writer)| {
            let mut writer = Writer::new();
            body(&mut writer);
            parts.push(Part { kind, flags, body: writer.as_bytes().to_vec(), command: index });
        };
        match command {
            Command::AddElements { table, name, elements } => {
                for chunk in elements.chunks(ELEMENTS_PER_MESSAGE) {
                    push(NEWSETELEM, CREATE, &|w| write_elements(w, table, name, chunk, true));
                }
            }
            Command::DeleteElements { table, name, elements } => {
                for chunk in elements.chunks(ELEMENTS_PER_MESSAGE) {
                    push(DELSETELEM, 0, &|w| write_elements(w, table, name, chunk, false));
                }
            }
            other => {
                let (kind, flags) = kind_of(other);
                push(kind, flags, &|w| write_object(w, other, u32::try_from(index).unwrap_or(u32::MAX) + 1));
            }
        }
    }
    parts
}

fn kind_of(command: &Command) -> (u16, u16) {
    match command {
        Command::AddTable { .. } => (NEWTABLE, CREATE),
        Command::DeleteTable { .. } => (DELTABLE, 0),
        Command::AddChain { .. } => (NEWCHAIN, CREATE),
        Command::DeleteChain { .. } => (DELCHAIN, 0),
        Command::AddMap { .. } => (NEWSET, CREATE),
        Command::DeleteMap { .. } => (DELSET, 0),
        Command::AddElements { .. } => (NEWSETELEM, CREATE),
        Command::DeleteElements { .. } => (DELSETELEM, 0),
        Command::AddRule { .. } => (NEWRULE, CREATE_AND_APPEND),
        Command::FlushChain { .. } => (DELRULE, 0),
    }
}

/// Everything but elements. In all these messages attribute 1 is the table.
fn write_object(w: &mut Writer, command: &Command, id: u32) {
    match command {
        Command::AddTable { table, comment } => {
            w.string(1, table);
            // The format in which `nft` keeps comments: type 0, length, text with its zero.
            let mut data = vec![0, u8::try_from(comment.len() + 1).unwrap_or(u8::MAX)];
            data.extend(comment.bytes().take(254));
            data.push(0);
            w.attr(TABLE_USERDATA, &data);
        }
        Command::DeleteTable { table } => w.string(1, table),
        Command::AddChain { table, chain } => {
            w.string(1, table);
            write_chain(w, chain);
        }
        Command::DeleteChain { table, chain } => {
            w.string(1, table);
            w.string(3, chain);
        }
        Command::AddMap { table, name, key, data } => {
            w.string(1, table);
            w.string(2, name);
            write_map(w, key, *data, id);
        }
        Command::DeleteMap { table, name } => {
            w.string(1, table);
            w.string(2, name);
        }
        Command::AddRule { table, chain, rule } => {
            w.string(1, table);
            w.string(2, chain);
            w.nest(4, |w| rule.iter().for_each(|statement| write_statement(w, statement)));
        }
        Command::FlushChain { table, chain } => {
            w.string(1, table);
            w.string(2, chain);
        }
        Command::AddElements { .. } | Command::DeleteElements { .. } => {}
    }
}

fn write_chain(w: &mut Writer, chain: &Chain) {
    w.string(3, &chain.name);
    let Some(hook) = chain.hook else { return };
    let (kind, number, priority) = hook.parts();
    w.nest(4, |w| {
        w.be32(1, number);
        w.attr(2, &priority.to_be_bytes());
    });
    /// `NF_ACCEPT`.
    const ACCEPT: u32 = 1;
    w.be32(5, ACCEPT);
    w.string(7, kind);
}

/// The type numbers are `nft`'s own (it reads them when listing); the kernel keeps them unread.
fn write_map(w: &mut Writer, key: &[Field], data: MapType, id: u32) {
    const ADDRESS: u32 = 7;
    const PROTOCOL: u32 = 12;
    const SERVICE: u32 = 13;
    const MARK: u32 = 19;
    /// `NFT_SET_MAP`.
    const IS_MAP: u32 = 8;
    let join = |types: &[u32]| types.iter().fold(0, |joined, one| joined << 6 | one);
    let types: Vec<u32> = key
        .iter()
        .map(|field| match field {
            Field::SourceAddress | Field::DestinationAddress => ADDRESS,
            Field::Protocol => PROTOCOL,
            Field::DestinationPort => SERVICE,
            Field::Random(_) | Field::Turn(_) => MARK,
        })
        .collect();
    w.be32(3, if data == MapType::Set { 0 } else { IS_MAP });
    w.be32(4, join(&types));
    w.be32(5, length(key));
    let (kind, size) = match data {
        MapType::Set => (None, 0),
        MapType::Destination => (Some(join(&[ADDRESS, SERVICE])), 8),
        MapType::Number => (Some(MARK), 4),
        MapType::Verdict => (Some(0xffff_ff00), 0),
    };
    if let Some(kind) = kind {
        w.be32(6, kind);
        if size > 0 {
            w.be32(7, size);
        }
    }
    w.be32(10, id);
    // A note for `nft`'s own eyes, (kind, length, value): single numbers are in the host's order.
    let host = |kind: u8| [&[kind, 4][..], &1_u32.to_ne_bytes()].concat();
    let single_number = matches!(key, [Field::Random(_) | Field::Turn(_)]);
    match (single_number, data) {
        (_, MapType::Number) => w.attr(13, &host(1)),
        (true, _) => w.attr(13, &host(0)),
        _ => {}
    }
}

fn length(key: &[Field]) -> u32 {
    u32::try_from(key.len() * 4).expect("keys have a handful of fields")
}

fn write_elements(w: &mut Writer, table: &str, set: &str, elements: &[Element], with_data: bool) {
    w.string(1, table);
    w.string(2, set);
    w.nest(3, |w| {
        for element in elements {
            w.nest(LIST_ELEM, |w| {
                w.nest(1, |w| w.attr(1, &element.key.iter().flat_map(word_bytes).collect::<Vec<u8>>()));
                if with_data && element.data != Data::None {
                    w.nest(2, |w| write_data(w, &element.data));
                }
            });
        }
    });
}

fn word_bytes(word: &Word) -> [u8; 4] {
    match word {
        Word::Address(address) => address.octets(),
        Word::Protocol(protocol) => [number(*protocol), 0, 0, 0],
        Word::Port(port) => {
            let [high, low] = port.to_be_bytes();
            [high, low, 0, 0]
        }
        Word::Number(number) => number.to_ne_bytes(),
    }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

fn write_data(w: &mut Writer, data: &Data) {
    match data {
        Data::None => {}
        Data::Destination(to) => {
            w.attr(1, &[word_bytes(&Word::Address(*to.ip())), word_bytes(&Word::Port(to.port()))].concat());
        }
        Data::Number(number) => w.attr(1, &number.to_ne_bytes()),
        Data::Goto(chain) => write_verdict(w, -4, Some(chain)),
    }
}

/// `NFTA_DATA_VERDICT`.
fn write_verdict(w: &mut Writer, code: i32, chain: Option<&str>) {
    w.nest(2, |w| {
        w.attr(1, &code.to_be_bytes());
        if let Some(chain) = chain {
            w.string(2, chain);
        }
    });
}

fn write_statement(w: &mut Writer, statement: &Statement) {
    match statement {
        Statement::SourceIn(subnet) => write_in_subnet(w, Field::SourceAddress, *subnet),
        Statement::DestinationIn(subnet) => write_in_subnet(w, Field::DestinationAddress, *subnet),
        Statement::FromInterface(name) => write_interface(w, 6, true, name),
        Statement::ToInterface(name) => write_interface(w, 7, true, name),
        Statement::NotToInterface(name) => write_interface(w, 7, false, name),
        Statement::DestinationIsLocal => write_is_local(w),
        Statement::Connection(tracked) => write_tracked(w, *tracked),
        Statement::IsProtocol(protocol) => {
            write_field(w, Field::Protocol, FIRST);
            write_compare(w, true, &[number(*protocol)]);
        }
        Statement::In { key, set } => {
            write_key(w, key);
            write_lookup(w, set, FIRST, None);
        }
        Statement::Redirect { key, map } => {
            write_key(w, key);
            write_lookup(w, map, FIRST, Some(FIRST));
            write_destination_nat(w);
        }
        Statement::Dispatch { key, numbers, chains } => {
            write_key(w, key);
            write_lookup(w, numbers, FIRST, Some(CLASS));
            write_lookup(w, chains, CLASS, Some(VERDICT));
        }
        Statement::Masquerade => expression(w, "masq", |_| {}),
        Statement::Reject(with) => write_reject(w, *with),
        Statement::End(verdict) => write_end(w, *verdict),
    }
}

/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA` inside a list element.
fn expression(w: &mut Writer, name: &str, body: impl FnOnce(&mut Writer)) {
    w.nest(LIST_ELEM, |w| {
        w.string(1, name);
        w.nest(2, body);
    });
}

fn write_key(w: &mut Writer, key: &[Field]) {
    for (register, field) in (FIRST..).zip(key) {
        write_field(w, *field, register);
    }
}

fn write_field(w: &mut Writer, field: Field, register: u32) {
    /// `NFT_PAYLOAD_NETWORK_HEADER`.
    const NETWORK: u32 = 1;
    /// `NFT_PAYLOAD_TRANSPORT_HEADER`.
    const TRANSPORT: u32 = 2;
    /// `NFT_META_L4PROTO`.
    const L4PROTO: u32 = 16;
    let payload = |w: &mut Writer, base, offset, length| {
        expression(w, "payload", |w| {
            w.be32(1, register);
            w.be32(2, base);
            w.be32(3, offset);
            w.be32(4, length);
        });
    };
    let numgen = |w: &mut Writer, modulus, kind| {
        expression(w, "numgen", |w| {
            w.be32(1, register);
            w.be32(2, modulus);
            w.be32(3, kind);
            w.be32(4, 0);
        });
    };
    match field {
        Field::SourceAddress => payload(w, NETWORK, 12, 4),
        Field::DestinationAddress => payload(w, NETWORK, 16, 4),
        Field::DestinationPort => payload(w, TRANSPORT, 2, 2),
        Field::Protocol => write_meta(w, L4PROTO, register),
        Field::Turn(modulus) => numgen(w, modulus, 0),
        Field::Random(modulus) => numgen(w, modulus, 1),
    }
}

fn write_meta(w: &mut Writer, key: u32, register: u32) {
    expression(w, "meta", |w| {
        w.be32(1, register);
        w.be32(2, key);
    });
}

fn write_compare(w: &mut Writer, equal: bool, data: &[u8]) {
    expression(w, "cmp", |w| {
        w.be32(1, FIRST);
        w.be32(2, u32::from(!equal));
        w.nest(3, |w| w.attr(1, data));
    });
}

fn write_mask(w: &mut Writer, mask: [u8; 4]) {
    expression(w, "bitwise", |w| {
        w.be32(1, FIRST);
        w.be32(2, FIRST);
        w.be32(3, 4);
        w.nest(4, |w| w.attr(1, &mask));
        w.nest(5, |w| w.attr(1, &[0; 4]));
    });
}

fn write_in_subnet(w: &mut Writer, field: Field, subnet: crate::Subnet) {
    write_field(w, field, FIRST);
    if subnet.prefix() < 32 {
        write_mask(w, subnet.mask().octets());
    }
    write_compare(w, true, &subnet.network().octets());
}

/// Key 6 is `NFT_META_IIFNAME`, key 7 `NFT_META_OIFNAME`; names fill 16 bytes.
fn write_interface(w: &mut Writer, key: u32, equal: bool, name: &str) {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    write_meta(w, key, FIRST);
    write_compare(w, equal, &padded);
}

fn write_is_local(w: &mut Writer) {
    /// `RTN_LOCAL`.
    const LOCAL: u32 = 2;
    expression(w, "fib", |w| {
        w.be32(1, FIRST);
        w.be32(2, 3);
        w.be32(3, 2);
    });
    write_compare(w, true, &LOCAL.to_ne_bytes());
}

fn write_tracked(w: &mut Writer, tracked: Tracked) {
    // `NFT_CT_STATE` with the bits of established and related; `NFT_CT_STATUS` with `IPS_DST_NAT`.
    let (key, mask): (u32, u32) = match tracked {
        Tracked::Established => (0, 0b110),
        Tracked::Redirected => (2, 1 << 5),
    };
    expression(w, "ct", |w| {
        w.be32(1, FIRST);
        w.be32(2, key);
    });
    write_mask(w, mask.to_ne_bytes());
    write_compare(w, false, &[0; 4]);
}

fn write_lookup(w: &mut Writer, set: &str, from: u32, to: Option<u32>) {
    expression(w, "lookup", |w| {
        w.string(1, set);
        w.be32(2, from);
        if let Some(to) = to {
            w.be32(3, to);
        }
    });
}

fn write_destination_nat(w: &mut Writer) {
    expression(w, "nat", |w| {
        w.be32(1, 1);
        w.be32(2, u32::from(FAMILY));
        w.be32(3, FIRST);
        w.be32(5, FIRST + 1);
    });
}

fn write_reject(w: &mut Writer, with: RejectWith) {
    // `NFT_REJECT_ICMP_UNREACH` and `NFT_REJECT_TCP_RST`; code 3 is "port unreachable".
    let (kind, code) = match with {
        RejectWith::PortUnreachable => (0, 3),
        RejectWith::TcpReset => (1, 0),
    };
    expression(w, "reject", |w| {
        w.be32(1, kind);
        w.u8(2, code);
    });
}

fn write_end(w: &mut Writer, verdict: Verdict) {
    let code = match verdict {
        Verdict::Drop => 0,
        Verdict::Accept => 1,
        Verdict::Return => -5,
    };
    expression(w, "immediate", |w| {
        w.be32(1, VERDICT);
        w.nest(2, |w| write_verdict(w, code, None));
    });
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
