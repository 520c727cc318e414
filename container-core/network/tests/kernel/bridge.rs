//! The bridge network: two containers reach each other, and nothing is left when they are gone.

use crate::world::{Result, ask, ask_here, at, isolated, links, same, serve};
use container_network::{Attachment, Error, Namespace, Network, NetworkConfig};
use libtest_mimic::Trial;
use test_lane::{Need, case};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("bridge_two_containers_reach_each_other", &[Need::Root], || isolated(two_containers)),
        case("bridge_full_network_is_a_typed_error", &[Need::Root], || isolated(full_network)),
        case("bridge_foreign_link_is_left_alone", &[Need::Root], || isolated(foreign_link)),
        case("bridge_repair_drops_the_dead", &[Need::Root], || isolated(repair)),
    ]
}

pub(crate) fn attachment(id: &str) -> Attachment {
    Attachment { id: id.to_owned(), hostname: id.to_owned(), ..Attachment::default() }
}

fn two_containers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()))?;
    same(links()?, vec!["lo".to_owned()], "links before the first container")?;
    let (a, b) = (Namespace::create()?, Namespace::create()?);
    let first = network.attach(&a, &attachment("a"))?;
    let second = network.attach(&b, &attachment("b"))?;
    same(
        (first.address.to_string(), second.address.to_string()),
        ("172.17.0.2".into(), "172.17.0.3".into()),
        "addresses",
    )?;
    serve(&b, at(second.address, 80), "b")?;
    same(ask(&a, at(second.address, 80))?, format!("b {}", first.address), "a asks b")?;
    same(ask_here(at(second.address, 80))?, format!("b {}", first.gateway), "the host asks b")?;
    same(network.leases()?.len(), 2, "leases")?;
    network.detach("a")?;
    same(links()?.len(), 3, "links with one container")?;
    network.detach("b")?;
    same(links()?, vec!["lo".to_owned()], "links after the last container")?;
    let left: Vec<_> = std::fs::read_dir(dir.path())?.flatten().map(|entry| entry.file_name()).collect();
    same(left, vec!["test0.lock".into()], "files after the last container")
}

fn full_network() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()).subnet("10.9.9.0/30".parse()?))?;
    let inside = Namespace::create()?;
    network.attach(&inside, &attachment("a"))?;
    let taken = network.attach(&inside, &attachment("a"));
    same(matches!(taken, Err(Error::AlreadyAttached { .. })), true, "the same container twice")?;
    let full = network.attach(&Namespace::create()?, &attachment("b"));
    same(matches!(full, Err(Error::AddressesExhausted { .. })), true, "one container too many")?;
    let other = Network::ensure(&NetworkConfig::new("test1", dir.path()).subnet("10.9.0.0/16".parse()?))?;
    let overlap = other.attach(&Namespace::create()?, &attachment("b"));
    same(matches!(overlap, Err(Error::SubnetTaken { .. })), true, "an overlapping range")?;
    network.detach("a")?;
    network.detach("a")?;
    Ok(())
}

fn foreign_link() -> Result<()> {
    let (ours, theirs) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let network = Network::ensure(&NetworkConfig::new("test0", theirs.path()))?;
    network.attach(&Namespace::create()?, &attachment("a"))?;
    let other = Network::ensure(&NetworkConfig::new("test0", ours.path()))?;
    let taken = other.attach(&Namespace::create()?, &attachment("b"));
    same(matches!(taken, Err(Error::LinkTaken { .. })), true, "a bridge of another state directory")?;
    same(other.leases()?.len(), 0, "leases after the refusal")?;
    network.detach("a")?;
    Ok(())
}

fn repair() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = NetworkConfig::new("test0", dir.path());
    let network = Network::ensure(&config)?;
    let (a, b) = (Namespace::create()?, Namespace::create()?);
    network.attach(&a, &attachment("dead"))?;
    network.attach(&b, &attachment("alive"))?;
    // What a process leaves that was killed between its first two steps: a lease without anything in the kernel.
    drop(a);
    same(network.repair(|id| id == "alive")?, vec!["dead".to_owned()], "dropped")?;
    same(links()?.len(), 3, "links after the repair")?;
    same(network.repair(|_| false)?, vec!["alive".to_owned()], "dropped")?;
    same(links()?, vec!["lo".to_owned()], "links after all are gone")
}
