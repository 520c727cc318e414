//! A process killed between any two steps of attach and detach leaves what `repair` heals: nothing of it remains.

use crate::bridge::attachment;
use crate::world::{Result, isolated, links, output, same, wire};
use container_network::{
    Attachment, LocalBinder, Namespace, Network, NetworkConfig, PortMapping, Protocol, Reservation,
};
use libtest_mimic::Trial;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use test_lane::{Need, case};

pub(crate) fn cases() -> Vec<Trial> {
    vec![case("crash_at_any_moment_is_healed", &[Need::Root, Need::Program("ip"), Need::Program("nft")], || {
        isolated(killed)
    })]
}

/// Where the program runs itself again: to be killed.
pub(crate) fn roles(arguments: &[OsString]) -> Option<ExitCode> {
    (arguments.get(1)? == "bridge-churn").then_some(())?;
    let done = churn(Path::new(arguments.get(2)?));
    Some(done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

/// Attaches and detaches for ever.
fn churn(directory: &Path) -> Result<()> {
    let network = Network::ensure(&NetworkConfig::new("test0", directory))?;
    for number in 0_u64.. {
        let (inside, id) = (Namespace::create()?, number.to_string());
        let port = PortMapping { host_ip: [0; 4].into(), host_port: 0, container_port: 80, protocol: Protocol::Tcp };
        let ports = Reservation::bind(&LocalBinder, &[port])?.mappings();
        network.attach(&inside, &Attachment { ports, ..attachment(&id) })?;
        if number % 3 != 0 {
            network.detach(&id)?;
        }
        if number % 5 == 0 {
            network.repair(|_| false)?;
        }
    }
    Ok(())
}

fn killed() -> Result<()> {
    let outside = wire()?;
    let dir = tempfile::tempdir()?;
    let network = Network::ensure(&NetworkConfig::new("test0", dir.path()))?;
    let before = links()?;
    for round in 0..40 {
        let mut child = Command::new("/proc/self/exe").arg("bridge-churn").arg(dir.path()).spawn()?;
        // Not a wait for a condition: the moment of death is what varies.
        std::thread::sleep(Duration::from_micros(3000 + round * 1700));
        child.kill()?;
        same(child.wait()?.code(), None, "the child was killed while it worked")?;
        // Half of the times somebody else comes along before anybody repairs.
        if round % 2 == 0 {
            let inside = Namespace::create()?;
            network.attach(&inside, &attachment("next"))?;
            network.detach("next")?;
        }
        network.repair(|_| false)?;
        same(links()?, before.clone(), &format!("links after round {round}"))?;
        same(output("nft", &["list", "ruleset"])?, String::new(), "rules")?;
        same(network.leases()?, Vec::new(), "leases")?;
        let forwarding = format!("/proc/sys/net/ipv4/conf/{}/forwarding", outside.link);
        same(std::fs::read_to_string(forwarding)?, "0\n".to_owned(), "forwarding")?;
        let files: Vec<_> = std::fs::read_dir(dir.path())?.flatten().map(|entry| entry.file_name()).collect();
        same(files, vec!["test0.lock".into()], "files")?;
    }
    Ok(())
}
