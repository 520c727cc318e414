//! `port` and `top`.

use container_core::supervisor::Status;
use container_core::{Adopted, Runtime};
use container_network::Protocol;

use super::{print, say};
use crate::cli::{PortArgs, TopArgs};
use crate::engine::{Engine, Seen};
use crate::error::{Error, Result};
use crate::text::table;
use crate::wiring::Attached;

pub(super) fn port(engine: &Engine, args: &PortArgs) -> Result<u8> {
    let seen = engine.see(&args.container)?;
    let ports = Attached::of(&seen.state.attachment).ports;
    let Some(wanted) = &args.port else {
        let line = |port: &container_network::PortMapping| {
            format!("{}/{} -> {}\n", port.container_port, port.protocol, port.host())
        };
        print(&ports.iter().map(line).collect::<String>())?;
        return Ok(0);
    };
    let (number, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let number: u16 = number.parse().map_err(|_| Error::usage(format!("invalid port: {wanted}")))?;
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
    let mut found = ports.iter().filter(|port| port.container_port == number && port.protocol == protocol).peekable();
    if found.peek().is_none() {
        let message = format!("No public port '{number}/{protocol}' published for {}", args.container);
        return Err(Error::Refused { message });
    }
    found.try_for_each(|port| say(&port.host().to_string()))?;
    Ok(0)
}

pub(super) fn top(engine: &Engine, args: &TopArgs) -> Result<u8> {
    let seen = engine.see(&args.container)?;
    let container = running(&seen)?;
    let mut pids = container.pids();
    if pids.is_empty() {
        pids.push(container.pid());
    }
    container.detach();
    let rows: Vec<Vec<String>> = pids.into_iter().filter_map(process).collect();
    print(&table::render(&["UID", "PID", "PPID", "STIME", "TTY", "TIME", "CMD"], &rows))?;
    Ok(0)
}

/// The running container behind what was seen. The caller lets it go on with `detach`.
pub(super) fn running(seen: &Seen) -> Result<container_core::Container> {
    let not_running = || Error::Refused { message: format!("container {} is not running", seen.definition.id) };
    if !matches!(seen.state.status, Status::Running | Status::Paused) {
        return Err(not_running());
    }
    let record = serde_json::from_value(seen.state.record.clone()).map_err(|_| not_running())?;
    match Runtime::new()?.adopt(&record)? {
        Adopted::Running(container) => Ok(*container),
        Adopted::Gone => Err(not_running()),
    }
}

/// One line of `top`; nothing for a process that ended meanwhile.
fn process(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let seconds = ticks / 100;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let command = if command.trim().is_empty() { format!("[{name}]") } else { command.trim().to_owned() };
    Some(vec![
        user_name(uid),
        pid.to_string(),
        (*fields.get(1)?).to_owned(),
        start_time(fields.get(19)?.parse().ok()?),
        if *fields.get(4)? == "0" { "?".to_owned() } else { "pts/0".to_owned() },
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        command,
    ])
}

fn user_name(uid: &str) -> String {
    let of = uid.parse().ok().map(nix::unistd::Uid::from_raw).and_then(|uid| nix::unistd::User::from_uid(uid).ok()?);
    of.map_or_else(|| uid.to_owned(), |user| user.name)
}

/// The time of day at which a process started, in UTC.
fn start_time(ticks: u64) -> String {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let up: f64 = uptime.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let ago = std::time::Duration::try_from_secs_f64(up).unwrap_or_default();
    let age = ago.saturating_sub(std::time::Duration::from_millis(ticks * 10));
    let at = container_core::supervisor::Time::now().before(age).to_string();
    at.get(11..16).unwrap_or_default().to_owned()
}
