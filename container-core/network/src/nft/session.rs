//! Speaks nf_tables: applies commands as one batch, lists tables and base chains.

use super::encode::{self, GENERIC, Part, encode, nfgen};
use super::model::Command;
use crate::netlink::{Attributes, Family, Socket, Writer};
use crate::{Error, Result};

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const ACK: u16 = 4;
/// Room for headers, begin and end beside a message's body.
const ENVELOPE: usize = 64;

/// A table of any family, with its comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableInfo {
    pub(crate) name: String,
    pub(crate) comment: String,
}

/// A chain that the kernel calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseChain {
    pub(crate) family: &'static str,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) hook: u32,
    pub(crate) drops: bool,
}

/// A connection to the nf_tables of one network namespace.
#[derive(Debug)]
pub(crate) struct Session {
    socket: Socket,
}

impl Session {
    /// For the calling thread's namespace.
    pub(crate) fn open() -> Result<Self> {
        Ok(Self { socket: Socket::open(Family::Netfilter)? })
    }

    /// Applies the commands whole or not at all. Where they do not fit into one batch (an ordinary user's socket holds
    /// about 400 KB), they go as several, in order: callers order them so that each beginning of the list is harmless.
    pub(crate) fn apply(&mut self, commands: &[Command]) -> Result<()> {
        let parts = encode(commands);
        let total: usize = parts.iter().map(|part| part.body.len() + ENVELOPE).sum();
        let limit = self.socket.grow(total + 2 * ENVELOPE).saturating_sub(2 * ENVELOPE);
        let mut start = 0;
        while start < parts.len() {
            let mut size = 0;
            let fits = parts[start..].iter().take_while(|part| {
                size += part.body.len() + ENVELOPE;
                size <= limit
            });
            let end = start + fits.count().max(1);
            self.batch(&parts[start..end], commands)?;
            start = end;
        }
        Ok(())
    }

    fn batch(&mut self, parts: &[Part], commands: &[Command]) -> Result<()> {
        let count = u32::try_from(parts.len()).expect("a batch has fewer than 2^32 messages");
        let first = self.socket.reserve(count + 2);
        let mut writer = Writer::new();
        writer.message(BATCH_BEGIN, 0, first, &nfgen(0, SUBSYSTEM), |_| {});
        for (sequence, part) in (first + 1..).zip(parts) {
            // Older kernels do not acknowledge the end of a batch, but the last message in it.
            let flags = if sequence == first + count { part.flags | ACK } else { part.flags };
            writer.message(SUBSYSTEM << 8 | part.kind, flags, sequence, &GENERIC, |w| w.raw(&part.body));
        }
        writer.message(BATCH_END, 0, first + count + 1, &nfgen(0, SUBSYSTEM), |_| {});
        let describe = |sequence: u32| {
            let part = (sequence - first).checked_sub(1).and_then(|index| parts.get(index as usize));
            let command = part.map_or_else(|| "commit the rules".to_owned(), |part| commands[part.command].to_string());
            if command.len() > 160 { format!("{}…", command.chars().take(160).collect::<String>()) } else { command }
        };
        self.socket.send(writer.as_bytes()).map_err(Error::kernel("send the rules"))?;
        match self.socket.collect_numbered(first, first + count) {
            Ok(_) => Ok(()),
            Err((sequence, source)) => Err(Error::Kernel { doing: describe(sequence), source }),
        }
    }

    /// The number of the ruleset's generation: every change of anybody's makes it another.
    pub(crate) fn generation(&mut self) -> Result<u32> {
        const GETGEN: u16 = 16;
        let answers = self.socket.get(SUBSYSTEM << 8 | GETGEN, &nfgen(0, 0), |_| {});
        let answers = answers.map_err(Error::kernel("read the rules' generation"))?;
        Ok(answers.first().and_then(|answer| Attributes(answer.body.get(4..)?).be32(1)).unwrap_or_default())
    }

    /// The tables of family `ip`.
    pub(crate) fn tables(&mut self) -> Result<Vec<TableInfo>> {
        let kind = SUBSYSTEM << 8 | encode::GETTABLE;
        let answers = self.socket.dump(kind, &GENERIC, |_| {}).map_err(Error::kernel("list rule tables"))?;
        let table = |body: &[u8]| {
            let attributes = Attributes(body.get(4..)?);
            let comment = attributes.get(encode::TABLE_USERDATA).and_then(|data| data.get(2..)).unwrap_or_default();
            let comment = String::from_utf8_lossy(comment).trim_end_matches('\0').to_owned();
            Some(TableInfo { name: attributes.string(1)?, comment })
        };
        Ok(answers.iter().filter_map(|answer| table(&answer.body)).collect())
    }

    /// The chains of all families that the kernel calls; iptables' chains are among them where it speaks nf_tables.
    pub(crate) fn base_chains(&mut self) -> Result<Vec<BaseChain>> {
        let kind = SUBSYSTEM << 8 | encode::GETCHAIN;
        let answers = self.socket.dump(kind, &nfgen(0, 0), |_| {}).map_err(Error::kernel("list rule chains"))?;
        Ok(answers.iter().filter_map(|answer| base_chain(&answer.body)).collect())
    }
}

fn base_chain(body: &[u8]) -> Option<BaseChain> {
    let family = match body.first()? {
        1 => "inet",
        2 => "ip",
        _ => return None,
    };
    let attributes = Attributes(body.get(4..)?);
    let hook = attributes.nested(4).be32(1)?;
    /// `NF_DROP`.
    const DROP: u32 = 0;
    Some(BaseChain {
        family,
        table: attributes.string(1)?,
        name: attributes.string(3)?,
        hook,
        drops: attributes.be32(5) == Some(DROP),
    })
}
