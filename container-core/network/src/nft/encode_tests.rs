//! Every command and every statement once, as bytes: what the kernel has accepted must not change by accident.

use super::*;
use crate::nft::Hook;
use std::fmt::Write;

fn rule(statement: Statement) -> Command {
    Command::AddRule { table: "t".to_owned(), chain: "c".to_owned(), rule: vec![statement] }
}

fn statements() -> Vec<Statement> {
    let subnet = "10.96.0.0/12".parse().unwrap();
    let key = vec![Field::DestinationAddress, Field::Protocol, Field::DestinationPort];
    let dice = |field| key.iter().copied().chain([field]).collect::<Vec<_>>();
    let name = || "m".to_owned();
    vec![
        Statement::SourceIn(subnet),
        Statement::DestinationIn("192.0.2.1/32".parse().unwrap()),
        Statement::FromInterface("eth0".to_owned()),
        Statement::ToInterface("eth0".to_owned()),
        Statement::NotToInterface("eth0".to_owned()),
        Statement::DestinationIsLocal,
        Statement::Connection(Tracked::Established),
        Statement::Connection(Tracked::Redirected),
        Statement::IsProtocol(Protocol::Udp),
        Statement::In { key: vec![Field::SourceAddress, Field::DestinationAddress], set: name() },
        Statement::Redirect { key: dice(Field::Random(3)), map: name() },
        Statement::Redirect { key: dice(Field::Turn(3)), map: name() },
        Statement::Dispatch { key, numbers: name(), chains: "v".to_owned() },
        Statement::Masquerade,
        Statement::Reject(RejectWith::TcpReset),
        Statement::Reject(RejectWith::PortUnreachable),
        Statement::End(Verdict::Accept),
        Statement::End(Verdict::Drop),
        Statement::End(Verdict::Return),
    ]
}

fn commands() -> Vec<Command> {
    let (t, n) = (|| "t".to_owned(), || "n".to_owned());
    let key = vec![Field::DestinationAddress, Field::Protocol, Field::DestinationPort, Field::Random(2)];
    let words =
        vec![Word::Address([10, 0, 0, 1].into()), Word::Protocol(Protocol::Tcp), Word::Port(80), Word::Number(1)];
    let element = |data| vec![Element { key: words.clone(), data }];
    let map = |data| Command::AddMap { table: t(), name: n(), key: key.clone(), data };
    let add = |data| Command::AddElements { table: t(), name: n(), elements: element(data) };
    let chain = |hook| Command::AddChain { table: t(), chain: Chain { name: n(), hook } };
    let mut all = vec![
        Command::AddTable { table: t(), comment: "why".to_owned() },
        Command::DeleteTable { table: t() },
        chain(None),
        chain(Some(Hook::NatPrerouting)),
        chain(Some(Hook::FilterForward)),
        Command::DeleteChain { table: t(), chain: n() },
        Command::FlushChain { table: t(), chain: n() },
        map(MapType::Set),
        map(MapType::Destination),
        map(MapType::Number),
        map(MapType::Verdict),
        Command::DeleteMap { table: t(), name: n() },
        add(Data::None),
        add(Data::Destination("10.0.0.2:8080".parse().unwrap())),
        add(Data::Number(2)),
        add(Data::Goto("c".to_owned())),
        Command::DeleteElements { table: t(), name: n(), elements: element(Data::None) },
    ];
    all.extend(statements().into_iter().map(rule));
    all
}

/// Numbers of the host's own order are among the bytes, so the file is that of a little-endian machine.
#[test]
#[cfg(target_endian = "little")]
fn the_bytes_are_as_accepted() {
    let commands = commands();
    let mut text = String::new();
    for part in encode(&commands) {
        writeln!(text, "{}", commands[part.command]).unwrap();
        write!(text, "  {} {:x}", part.kind, part.flags).unwrap();
        for word in part.body.chunks(4) {
            let hex: String = word.iter().map(|byte| format!("{byte:02x}")).collect();
            write!(text, " {hex}").unwrap();
        }
        text.push('\n');
    }
    crate::golden::check("encode.txt", &text);
}

#[test]
fn long_lists_are_several_messages() {
    let element = |number| Element { key: vec![Word::Number(number)], data: Data::Number(number) };
    let elements: Vec<Element> = (0..1500).map(element).collect();
    let commands = [Command::AddElements { table: "t".to_owned(), name: "n".to_owned(), elements }];
    let parts = encode(&commands);
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.body.len() < 65536));
}
