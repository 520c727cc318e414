//! The files that give a container its names: `/etc/hosts` and `/etc/resolv.conf`, as Docker writes them. Pure.
//!
//! Absent on purpose: a name server. Containers of one network know each other by lines in their hosts files.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

/// One line of a hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// The address.
    pub address: IpAddr,
    /// Its names, the first one canonical.
    pub names: Vec<String>,
}

impl HostEntry {
    /// A line with these names; what is no host name is left out.
    pub fn new<N: Into<String>>(address: impl Into<IpAddr>, names: impl IntoIterator<Item = N>) -> Self {
        Self { address: address.into(), names: names.into_iter().map(Into::into).collect() }
    }
}

/// Writes a hosts file: Docker's fixed lines, what `--add-host` asked for, the container itself, its neighbours.
///
/// Names that could end the line or open a comment are left out: a container chooses its own name, and must not choose
/// its neighbours' lines with it.
#[must_use]
pub fn hosts_file(extra: &[HostEntry], own: &[HostEntry], neighbours: &[HostEntry]) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    for entry in extra.iter().chain(own).chain(neighbours) {
        let names: Vec<&str> = entry.names.iter().map(String::as_str).filter(|name| is_host_name(name)).collect();
        if !names.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}\t{}", entry.address, names.join(" "));
        }
    }
    text
}

/// What the caller of `docker run` may say about name servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolver {
    /// `--dns`
    pub nameservers: Vec<IpAddr>,
    /// `--dns-search`; a single `.` means none.
    pub search: Vec<String>,
    /// `--dns-option`
    pub options: Vec<String>,
}

/// Writes a `resolv.conf` from the host's: name servers that a container cannot reach (loopback, IPv6) are left out,
/// and where none is left Google's take their place, as Docker does it. Each part of `wish` replaces the host's.
#[must_use]
pub fn resolv_conf(host: &str, wish: &Resolver) -> String {
    let mut servers: Vec<IpAddr> = wish.nameservers.clone();
    let (mut search, mut options): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for line in host.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") if wish.nameservers.is_empty() => {
                servers.extend(
                    words
                        .next()
                        .and_then(|word| word.parse::<Ipv4Addr>().ok())
                        .filter(|a| !a.is_loopback())
                        .map(IpAddr::from),
                );
            }
            // The last such line counts (man 5 resolv.conf).
            Some("search" | "domain") => search = words.collect(),
            Some("options") => options.extend(words),
            _ => {}
        }
    }
    if servers.is_empty() {
        servers = vec![Ipv4Addr::new(8, 8, 8, 8).into(), Ipv4Addr::new(8, 8, 4, 4).into()];
    }
    if !wish.search.is_empty() {
        search = wish.search.iter().map(String::as_str).filter(|name| *name != ".").collect();
    }
    if !wish.options.is_empty() {
        options = wish.options.iter().map(String::as_str).collect();
    }
    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    for (word, values) in [("search", search), ("options", options)] {
        let values: Vec<&str> = values.into_iter().filter(|value| is_word(value)).collect();
        if !values.is_empty() {
            let _ = writeln!(text, "{word} {}", values.join(" "));
        }
    }
    text
}

/// The host's file to start from: systemd's local resolver is out of a container's reach, the servers behind it are
/// in a file of their own.
#[must_use]
pub fn host_resolv_conf_path(etc_resolv_conf: &str) -> &'static str {
    let mut servers = etc_resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    if servers.next().is_some_and(|first| first.trim() == "127.0.0.53") && servers.next().is_none() {
        "/run/systemd/resolve/resolv.conf"
    } else {
        "/etc/resolv.conf"
    }
}

fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && is_word(name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_is_docker_s() {
        let extra = [HostEntry::new(Ipv4Addr::new(192, 0, 2, 9), ["db"])];
        let own = [HostEntry::new(Ipv4Addr::new(172, 17, 0, 2), ["web.example", "web"])];
        let bad = ["x\n192.0.2.1 bank.example", "#", "", "a b"];
        let neighbours = [
            HostEntry::new(Ipv4Addr::new(172, 17, 0, 3), ["api", "bad\nname"]),
            HostEntry::new(Ipv4Addr::new(172, 17, 0, 4), bad),
        ];
        let expected = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
            ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n\
            192.0.2.9\tdb\n172.17.0.2\tweb.example web\n172.17.0.3\tapi\n";
        assert_eq!(hosts_file(&extra, &own, &neighbours), expected);
    }

    #[test]
    fn a_resolv_conf_is_what_the_container_can_reach() {
        let host = "# made by hand\nnameserver 127.0.0.1\nnameserver 192.0.2.53 # near\nnameserver fe80::1\n\
            domain old.example\nsearch a.example b.example\noptions ndots:2 edns0\n";
        let found = resolv_conf(host, &Resolver::default());
        assert_eq!(found, "nameserver 192.0.2.53\nsearch a.example b.example\noptions ndots:2 edns0\n");
        assert_eq!(resolv_conf("", &Resolver::default()), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        let wish = Resolver {
            nameservers: vec!["192.0.2.1".parse().unwrap()],
            search: vec![".".to_owned()],
            options: vec!["ndots:1".to_owned(), "a\nnameserver 6.6.6.6".to_owned()],
        };
        assert_eq!(resolv_conf(host, &wish), "nameserver 192.0.2.1\noptions ndots:1\n");
    }

    #[test]
    fn systemd_s_resolver_is_looked_behind() {
        assert_eq!(host_resolv_conf_path("nameserver 127.0.0.53\n"), "/run/systemd/resolve/resolv.conf");
        assert_eq!(host_resolv_conf_path("nameserver 192.0.2.1\n"), "/etc/resolv.conf");
        assert_eq!(host_resolv_conf_path("nameserver 127.0.0.53\nnameserver 192.0.2.1\n"), "/etc/resolv.conf");
    }
}
