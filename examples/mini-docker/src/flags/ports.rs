//! `-p [[ip:]hostPort:]containerPort[/protocol]`, with ranges.

use std::net::{IpAddr, Ipv4Addr};

use container_network::{PortMapping, Protocol};

/// Reads one `-p` value; a range gives several.
///
/// # Errors
/// One clause that names the text.
pub fn parse_publish(text: &str) -> Result<Vec<PortMapping>, String> {
    let (spec, protocol) = split_protocol(text)?;
    let mut fields = spec.rsplitn(3, ':');
    let container = fields.next().unwrap_or_default();
    let host = fields.next().unwrap_or_default();
    let host_ip = match fields.next() {
        None | Some("") => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Some("localhost") => IpAddr::from(Ipv4Addr::LOCALHOST),
        Some(ip) => ip.trim_matches(['[', ']']).parse().map_err(|_| format!("invalid IP address: {ip}"))?,
    };
    let (first, last) = range(container).ok_or_else(|| format!("invalid containerPort: {container}"))?;
    let count = last - first;
    let (host_first, host_last) = match host {
        "" => (0, 0),
        host => range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?,
    };
    if host_first != 0 && host_last - host_first != count {
        return Err(format!("invalid ranges specified for container and host Ports: {container} and {host}"));
    }
    let host_port = |offset| if host_first == 0 { 0 } else { host_first + offset };
    Ok((0..=count)
        .map(|offset| PortMapping { host_ip, host_port: host_port(offset), container_port: first + offset, protocol })
        .collect())
}

/// Reads a port that an image exposes, such as `80/tcp`.
///
/// # Errors
/// One clause that names the text.
pub fn parse_exposed(text: &str) -> Result<Vec<(u16, Protocol)>, String> {
    let (port, protocol) = split_protocol(text)?;
    let (first, last) = range(port).ok_or_else(|| format!("invalid port format for --expose: {text}"))?;
    Ok((first..=last).map(|port| (port, protocol)).collect())
}

fn split_protocol(text: &str) -> Result<(&str, Protocol), String> {
    match text.rsplit_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((spec, "tcp" | "TCP" | "")) => Ok((spec, Protocol::Tcp)),
        Some((spec, "udp" | "UDP")) => Ok((spec, Protocol::Udp)),
        Some((_, other)) => Err(format!("invalid proto: {other}")),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((port(first)?, port(last)?)).filter(|(first, last)| first <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> PortMapping {
        let all = parse_publish(text).unwrap();
        assert_eq!(all.len(), 1);
        all[0]
    }

    #[test]
    fn dockers_forms() {
        let any = Ipv4Addr::UNSPECIFIED;
        let tcp = |container_port, host_ip, host_port| PortMapping {
            container_port,
            protocol: Protocol::Tcp,
            host_ip: IpAddr::from(host_ip),
            host_port,
        };
        assert_eq!(one("8080:80"), tcp(80, any, 8080));
        assert_eq!(one("80"), tcp(80, any, 0));
        assert_eq!(one("127.0.0.1:8080:80/tcp"), tcp(80, Ipv4Addr::LOCALHOST, 8080));
        assert_eq!(one("127.0.0.1::80"), tcp(80, Ipv4Addr::LOCALHOST, 0));
        assert_eq!(one("53:53/udp").protocol, Protocol::Udp);
        let ports: Vec<_> =
            parse_publish("7000-7002:80-82").unwrap().iter().map(|p| (p.host_port, p.container_port)).collect();
        assert_eq!(ports, [(7000, 80), (7001, 81), (7002, 82)]);
        assert_eq!(parse_exposed("80-81/udp").unwrap().len(), 2);
    }

    #[test]
    fn refused() {
        for text in
            ["", "x", "0:80", "80:0", "70000:80", "1:2:3:4", "8080:80/sctp", "1-3:1-2", "5-4", "+80", "1.2.3:1:2"]
        {
            assert!(parse_publish(text).is_err(), "{text}");
        }
    }
}
