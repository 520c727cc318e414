//! The nouns: tables, chains, maps, elements, statements. Data only.

use crate::{Protocol, Subnet};
use std::net::{Ipv4Addr, SocketAddrV4};

/// One change of the ruleset. A list of them is applied whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Makes sure that the table exists.
    AddTable {
        table: String,
        comment: String,
    },
    /// Deletes the table with everything in it; it must exist.
    DeleteTable {
        table: String,
    },
    AddChain {
        table: String,
        chain: Chain,
    },
    DeleteChain {
        table: String,
        chain: String,
    },
    AddMap {
        table: String,
        name: String,
        key: Vec<Field>,
        data: MapType,
    },
    DeleteMap {
        table: String,
        name: String,
    },
    AddElements {
        table: String,
        name: String,
        elements: Vec<Element>,
    },
    DeleteElements {
        table: String,
        name: String,
        elements: Vec<Element>,
    },
    AddRule {
        table: String,
        chain: String,
        rule: Vec<Statement>,
    },
    /// Deletes all rules of a chain.
    FlushChain {
        table: String,
        chain: String,
    },
}

/// A chain; with a hook the kernel calls it, without one a verdict does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: String,
    pub(crate) hook: Option<Hook>,
}

/// Where the kernel calls a chain. The priorities are the usual ones of each place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    NatPrerouting,
    NatOutput,
    NatPostrouting,
    FilterInput,
    FilterForward,
    FilterOutput,
}

/// What a map maps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapType {
    /// Nothing: a set.
    Set,
    /// An address and a port to send to.
    Destination,
    /// A number.
    Number,
    /// A chain to go on in.
    Verdict,
}

/// A part of a packet or of the moment, four bytes of a lookup key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    SourceAddress,
    DestinationAddress,
    Protocol,
    DestinationPort,
    /// A number below this, by chance.
    Random(u32),
    /// A number below this, in turns.
    Turn(u32),
}

/// The value of a field in an element's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    Address(Ipv4Addr),
    Protocol(Protocol),
    Port(u16),
    Number(u32),
}

/// What an element maps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    None,
    Destination(SocketAddrV4),
    Number(u32),
    Goto(String),
}

/// A key and what it maps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) key: Vec<Word>,
    pub(crate) data: Data,
}

/// What connection tracking knows of a packet's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracked {
    /// It belongs to a connection that was let through before.
    Established,
    /// Its destination was rewritten.
    Redirected,
}

/// How a packet is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RejectWith {
    TcpReset,
    PortUnreachable,
}

/// The end of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    Return,
}

/// One part of a rule: the first that does not match ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    SourceIn(Subnet),
    DestinationIn(Subnet),
    FromInterface(String),
    ToInterface(String),
    NotToInterface(String),
    /// The destination is an address of this machine.
    DestinationIsLocal,
    Connection(Tracked),
    IsProtocol(Protocol),
    /// The key is in the set.
    In {
        key: Vec<Field>,
        set: String,
    },
    /// Rewrites the destination to what the map says; a key that is not in it ends the rule.
    Redirect {
        key: Vec<Field>,
        map: String,
    },
    /// Looks a number up by the key and goes on in the chain that the second map names for it.
    Dispatch {
        key: Vec<Field>,
        numbers: String,
        chains: String,
    },
    Masquerade,
    Reject(RejectWith),
    End(Verdict),
}
