//! Golden text of the whole table and of a change; the difference, replayed on a model, always leads to the new table.

use super::*;
use crate::service::ServiceEntry;
use proptest::prelude::*;
use std::fmt::Write;

fn config() -> ServiceConfig {
    ServiceConfig::new(["10.96.0.0/12".parse().unwrap()])
}

fn table(entries: &[(u8, Protocol, &[u8])]) -> ServiceTable {
    let entry = |(vip, protocol, ends): &(u8, Protocol, &[u8])| ServiceEntry {
        vip: Ipv4Addr::new(10, 96, 0, *vip),
        port: 80,
        protocol: *protocol,
        endpoints: ends.iter().map(|end| (Ipv4Addr::new(10, 244, 0, *end), 8080)).collect(),
    };
    ServiceTable::build(entries.iter().map(entry).collect(), &config().ranges, &[]).0
}

#[test]
fn the_commands_print_as_reviewed() {
    let before = table(&[(1, Protocol::Tcp, &[2, 3, 4]), (2, Protocol::Udp, &[2]), (3, Protocol::Tcp, &[])]);
    let after = table(&[(1, Protocol::Tcp, &[2, 5]), (2, Protocol::Udp, &[3])]);
    let mut text = String::from("# a fresh start\n");
    let mut print = |commands: Vec<Command>| commands.iter().for_each(|command| writeln!(text, "{command}").unwrap());
    print(full(&config(), &before));
    text.push_str("# an endpoint less, another instead\n");
    let mut print = |commands: Vec<Command>| commands.iter().for_each(|command| writeln!(text, "{command}").unwrap());
    print(difference(&config(), &before, &after));
    crate::golden::check("services.nft", &text);
    assert_eq!(difference(&config(), &after, &after), []);
    assert_eq!(lost_datagram_endpoints(&before, &after).len(), 1);
}

/// The kernel's view: elements by map, and which maps exist.
#[derive(Default, PartialEq, Debug)]
struct Model {
    maps: BTreeMap<String, BTreeMap<Vec<Word>, String>>,
    chains: BTreeSet<String>,
}

impl Model {
    /// Fails where the kernel would: deleting what is missing, adding what is there.
    fn replay(&mut self, commands: &[Command]) {
        for command in commands {
            match command {
                Command::AddMap { name, .. } => {
                    assert!(self.maps.insert(name.clone(), BTreeMap::new()).is_none(), "{name}");
                }
                Command::DeleteMap { name, .. } => assert_eq!(self.maps.remove(name), Some(BTreeMap::new()), "{name}"),
                Command::AddElements { name, elements, .. } => {
                    for element in elements {
                        if let Data::Goto(chain) = &element.data {
                            assert!(self.chains.contains(chain));
                        }
                        let map = self.maps.get_mut(name).unwrap();
                        assert!(map.insert(element.key.clone(), format!("{:?}", element.data)).is_none(), "{element}");
                    }
                }
                Command::DeleteElements { name, elements, .. } => {
                    for element in elements {
                        let map = self.maps.get_mut(name).unwrap();
                        assert!(map.remove(&element.key).is_some(), "{element}");
                    }
                }
                Command::AddChain { chain, .. } => assert!(self.chains.insert(chain.name.clone())),
                Command::DeleteChain { chain, .. } => assert!(self.chains.remove(chain)),
                _ => {}
            }
        }
    }

    fn of(table: &ServiceTable) -> Self {
        let mut model = Self::default();
        model.replay(&full(&config(), table)[2..]);
        model
    }
}

fn any_table() -> impl Strategy<Value = ServiceTable> {
    let entry = (0_u8..6, any::<bool>(), proptest::collection::vec(0_u8..6, 0..5));
    proptest::collection::vec(entry, 0..8).prop_map(|entries| {
        let entries: Vec<(u8, Protocol, &[u8])> = entries
            .iter()
            .map(|(vip, udp, ends)| (*vip, if *udp { Protocol::Udp } else { Protocol::Tcp }, ends.as_slice()))
            .collect();
        table(&entries)
    })
}

proptest! {
    #[test]
    fn the_difference_leads_to_the_new_table(tables in proptest::collection::vec(any_table(), 1..6)) {
        let mut model = Model::of(&tables[0]);
        for pair in tables.windows(2) {
            model.replay(&difference(&config(), &pair[0], &pair[1]));
            prop_assert_eq!(&model, &Model::of(&pair[1]));
        }
    }
}
