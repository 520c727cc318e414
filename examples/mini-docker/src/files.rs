//! The container's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`: their texts come from container-network.
//!
//! They are mounted into the container as single files, so they are changed in place, never replaced.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use container_network::files::{HostEntry, Resolver, host_resolv_conf_path, hosts_file, resolv_conf};

use crate::details::{Details, NetworkMode};
use crate::error::{Error, Result};

/// The container's address and its gateway's, once it is attached.
pub type Place = Option<(Ipv4Addr, Ipv4Addr)>;

/// Writes the three files into the container's folder.
///
/// # Errors
/// `Io`.
pub fn write(dir: &Path, details: &Details, place: Place) -> Result<()> {
    write_in_place(&dir.join("hostname"), &format!("{}\n", details.hostname))?;
    write_in_place(&dir.join("hosts"), &hosts(details, place))?;
    write_in_place(&dir.join("resolv.conf"), &resolver(details))
}

fn write_in_place(path: &Path, text: &str) -> Result<()> {
    let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path);
    open().and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::io("write", path))
}

fn hosts(details: &Details, place: Place) -> String {
    let extra: Vec<HostEntry> = details.extra_hosts.iter().filter_map(|line| extra_host(line, place)).collect();
    if details.network == NetworkMode::Host {
        // The names of the host hold for whoever shares its network.
        if let Ok(text) = std::fs::read_to_string("/etc/hosts") {
            let own: String =
                extra.iter().map(|line| format!("{}\t{}\n", line.address, line.names.join(" "))).collect();
            return text + &own;
        }
    }
    let short = details.hostname.split('.').next().filter(|short| *short != details.hostname);
    let names = || std::iter::once(details.hostname.as_str()).chain(short);
    let own: Vec<HostEntry> = place.iter().map(|(address, _)| HostEntry::new(*address, names())).collect();
    hosts_file(&extra, &own, &[])
}

fn extra_host((name, address): &(String, String), place: Place) -> Option<HostEntry> {
    let address = match address.as_str() {
        "host-gateway" => place.map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |(_, gateway)| IpAddr::from(gateway)),
        address => address.parse().ok()?,
    };
    Some(HostEntry::new(address, [name.as_str()]))
}

fn resolver(details: &Details) -> String {
    let wish = Resolver {
        nameservers: details.dns.iter().filter_map(|server| server.parse().ok()).collect(),
        search: details.dns_search.clone(),
        options: details.dns_options.clone(),
    };
    let own = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if details.network == NetworkMode::Host && wish == Resolver::default() {
        return own;
    }
    let of_host = std::fs::read_to_string(host_resolv_conf_path(&own)).unwrap_or(own);
    resolv_conf(&of_host, &wish)
}
