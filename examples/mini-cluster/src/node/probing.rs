//! Carries out the checks and hooks that a container's manifest asks for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use orchestrate_core::node::Outcome;
use orchestrate_core::objects::{HttpGetAction, IntOrString, LifecycleHandler, Pod, Probe, TcpSocketAction};

use super::hands::Hands;
use super::live::Live;
use super::probe;

/// One attempt of a probe.
pub(super) fn probe(_hands: &Hands, pod: &Pod, live: Option<&Live>, container: &str, probe: &Probe) -> Outcome {
    let timeout = Duration::from_secs(u64::try_from(probe.timeout()).unwrap_or(1).max(1));
    let checked = if let Some(exec) = &probe.exec {
        match live {
            Some(live) => live.check(&exec.command, timeout),
            None => Err("the container does not run".to_owned()),
        }
    } else if let Some(get) = &probe.http_get {
        http(pod, container, get, timeout)
    } else if let Some(tcp) = &probe.tcp_socket {
        socket(pod, container, tcp, timeout)
    } else {
        Err("this kind of probe is not supported here (known: exec, httpGet, tcpSocket)".to_owned())
    };
    match checked {
        Ok(()) => Outcome::Success,
        Err(why) => Outcome::Failure(why),
    }
}

/// Runs a hook, at most until `end`.
pub(super) fn hook(
    _hands: &Hands,
    pod: &Pod,
    live: &Live,
    hook: &LifecycleHandler,
    end: Instant,
) -> Result<(), String> {
    let left = end.saturating_duration_since(Instant::now());
    if let Some(exec) = &hook.exec {
        live.check(&exec.command, left)
    } else if let Some(get) = &hook.http_get {
        http(pod, &live.name, get, left)
    } else if let Some(tcp) = &hook.tcp_socket {
        socket(pod, &live.name, tcp, left)
    } else if let Some(sleep) = &hook.sleep {
        let wanted = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
        // The container may end by itself in the meantime.
        let _ = live.container.wait_timeout(wanted.min(left));
        Ok(())
    } else {
        Err("this kind of hook is not supported here".to_owned())
    }
}

fn http(pod: &Pod, container: &str, get: &HttpGetAction, timeout: Duration) -> Result<(), String> {
    if get.scheme.eq_ignore_ascii_case("https") {
        return Err("probes by HTTPS are not supported here".to_owned());
    }
    let address = address(pod, container, &get.host, &get.port)?;
    let headers: Vec<(String, String)> =
        get.http_headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
    let path = if get.path.starts_with('/') { get.path.clone() } else { format!("/{}", get.path) };
    probe::http(address, &path, &headers, timeout)
}

fn socket(pod: &Pod, container: &str, tcp: &TcpSocketAction, timeout: Duration) -> Result<(), String> {
    probe::tcp(address(pod, container, &tcp.host, &tcp.port)?, timeout)
}

fn address(pod: &Pod, container: &str, host: &str, port: &IntOrString) -> Result<SocketAddr, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
            let named = all.find(|one| one.name == container).and_then(|one| one.port_named(name));
            named.map(|port| port.container_port).ok_or_else(|| format!("no port is named {name:?}"))?
        }
    };
    let number = u16::try_from(number).map_err(|_| format!("{number} is no port"))?;
    probe::address(host, &pod.status.pod_ip, number)
}
