//! The ruleset as text, in the words of the `nft` program: what a person reads, and what golden tests hold fast.

use super::model::{
    Chain, Command, Data, Element, Field, Hook, MapType, RejectWith, Statement, Tracked, Verdict, Word,
};
use std::fmt::{self, Display, Formatter};

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable { table, comment } => write!(f, "add table ip {table} {{ comment \"{comment}\"; }}"),
            Self::DeleteTable { table } => write!(f, "delete table ip {table}"),
            Self::AddChain { table, chain } => write!(f, "add chain ip {table} {chain}"),
            Self::DeleteChain { table, chain } => write!(f, "delete chain ip {table} {chain}"),
            Self::AddMap { table, name, key, data } => {
                let kind = if *data == MapType::Set { "set" } else { "map" };
                write!(f, "add {kind} ip {table} {name} {{ type {}", Joined(key, " . ", Field::type_name))?;
                match data {
                    MapType::Set => {}
                    MapType::Destination => f.write_str(" : ipv4_addr . inet_service")?,
                    MapType::Number => f.write_str(" : mark")?,
                    MapType::Verdict => f.write_str(" : verdict")?,
                }
                f.write_str("; }")
            }
            Self::DeleteMap { table, name } => write!(f, "delete map ip {table} {name}"),
            Self::AddElements { table, name, elements } => {
                write!(f, "add element ip {table} {name} {{ {} }}", Joined(elements, ", ", Element::to_string))
            }
            Self::DeleteElements { table, name, elements } => {
                write!(f, "delete element ip {table} {name} {{ {} }}", Joined(elements, ", ", Element::key_text))
            }
            Self::AddRule { table, chain, rule } => {
                write!(f, "add rule ip {table} {chain} {}", Joined(rule, " ", Statement::to_string))
            }
            Self::FlushChain { table, chain } => write!(f, "flush chain ip {table} {chain}"),
        }
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(hook) = self.hook else { return f.write_str(&self.name) };
        let (kind, number, priority) = hook.parts();
        let place = ["prerouting", "input", "forward", "output", "postrouting"][number as usize];
        write!(f, "{} {{ type {kind} hook {place} priority {priority}; policy accept; }}", self.name)
    }
}

impl Hook {
    /// The chain's type, the hook's number and the priority.
    pub(super) fn parts(self) -> (&'static str, u32, i32) {
        match self {
            Self::NatPrerouting => ("nat", 0, -100),
            Self::NatOutput => ("nat", 3, -100),
            Self::NatPostrouting => ("nat", 4, 100),
            Self::FilterInput => ("filter", 1, 0),
            Self::FilterForward => ("filter", 2, 0),
            Self::FilterOutput => ("filter", 3, 0),
        }
    }
}

impl Field {
    fn type_name(&self) -> String {
        match self {
            Self::SourceAddress | Self::DestinationAddress => "ipv4_addr",
            Self::Protocol => "inet_proto",
            Self::DestinationPort => "inet_service",
            Self::Random(_) | Self::Turn(_) => "mark",
        }
        .to_owned()
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceAddress => f.write_str("ip saddr"),
            Self::DestinationAddress => f.write_str("ip daddr"),
            Self::Protocol => f.write_str("meta l4proto"),
            Self::DestinationPort => f.write_str("th dport"),
            Self::Random(below) => write!(f, "numgen random mod {below}"),
            Self::Turn(below) => write!(f, "numgen inc mod {below}"),
        }
    }
}

impl Display for Word {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Protocol(protocol) => protocol.fmt(f),
            Self::Port(port) => port.fmt(f),
            Self::Number(number) => write!(f, "{number:#010x}"),
        }
    }
}

impl Element {
    fn key_text(&self) -> String {
        Joined(&self.key, " . ", Word::to_string).to_string()
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key_text())?;
        match &self.data {
            Data::None => Ok(()),
            Data::Destination(to) => write!(f, " : {} . {}", to.ip(), to.port()),
            Data::Number(number) => write!(f, " : {number:#010x}"),
            Data::Goto(chain) => write!(f, " : goto {chain}"),
        }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let joined = |key| Joined(key, " . ", Field::to_string);
        match self {
            Self::SourceIn(subnet) => write!(f, "ip saddr {subnet}"),
            Self::DestinationIn(subnet) => write!(f, "ip daddr {subnet}"),
            Self::FromInterface(name) => write!(f, "iifname \"{name}\""),
            Self::ToInterface(name) => write!(f, "oifname \"{name}\""),
            Self::NotToInterface(name) => write!(f, "oifname != \"{name}\""),
            Self::DestinationIsLocal => f.write_str("fib daddr type local"),
            Self::Connection(Tracked::Established) => f.write_str("ct state established,related"),
            Self::Connection(Tracked::Redirected) => f.write_str("ct status dnat"),
            Self::IsProtocol(protocol) => write!(f, "meta l4proto {protocol}"),
            Self::In { key, set } => write!(f, "{} @{set}", joined(key)),
            Self::Redirect { key, map } => write!(f, "dnat ip to {} map @{map}", joined(key)),
            Self::Dispatch { key, numbers, chains } => {
                write!(f, "{} map @{numbers} vmap @{chains}", joined(key))
            }
            Self::Masquerade => f.write_str("masquerade"),
            Self::Reject(RejectWith::TcpReset) => f.write_str("reject with tcp reset"),
            Self::Reject(RejectWith::PortUnreachable) => f.write_str("reject"),
            Self::End(Verdict::Accept) => f.write_str("accept"),
            Self::End(Verdict::Drop) => f.write_str("drop"),
            Self::End(Verdict::Return) => f.write_str("return"),
        }
    }
}

/// Prints a slice with something between its parts.
struct Joined<'a, T>(&'a [T], &'a str, fn(&T) -> String);

impl<T> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            f.write_str(&(self.2)(part))?;
        }
        Ok(())
    }
}
