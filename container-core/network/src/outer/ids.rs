//! Which user ids exist inside: the caller's as 0, and a subordinate range behind it where the system grants one.

use crate::{Error, Result};
use nix::unistd::{Gid, Pid, Uid, User};
use std::process::{Command, Stdio};

/// Gives the process `pid`, which has just made a user namespace, its ids. Returns how many there are.
pub(super) fn map_ids(pid: Pid) -> Result<u32> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name).unwrap_or_default();
    let range = |path: &str| subordinate(&std::fs::read_to_string(path).unwrap_or_default(), &name, uid.as_raw());
    if let (Some(uids), Some(gids)) = (range("/etc/subuid"), range("/etc/subgid")) {
        let both = run("newuidmap", pid, uid.as_raw(), uids) && run("newgidmap", pid, gid.as_raw(), gids);
        if both {
            return Ok(uids.1.min(gids.1).saturating_add(1));
        }
    }
    map_one(pid, uid, gid)
}

/// One id needs no privilege, once the namespace has given up changing groups.
fn map_one(pid: Pid, uid: Uid, gid: Gid) -> Result<u32> {
    let maps = [("uid_map", format!("0 {uid} 1")), ("setgroups", "deny".to_owned()), ("gid_map", format!("0 {gid} 1"))];
    for (file, text) in maps {
        let path = format!("/proc/{pid}/{file}");
        // A map that newuidmap has written is there to stay, and holds our own id too.
        let written = std::fs::write(&path, text);
        if file != "uid_map" || std::fs::read_to_string(&path).is_ok_and(|map| map.trim().is_empty()) {
            written.map_err(Error::io("write", &path))?;
        }
    }
    Ok(1)
}

fn run(program: &str, pid: Pid, own: u32, (start, count): (u32, u32)) -> bool {
    let numbers = [0, own, 1, 1, start, count].map(|number| number.to_string());
    let status = Command::new(program)
        .arg(pid.to_string())
        .args(numbers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// The first range of `/etc/subuid` or `/etc/subgid` that the user has, by name or number.
fn subordinate(text: &str, name: &str, id: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut parts = line.trim().split(':');
        let owner = parts.next()?;
        let range = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let own = (!name.is_empty() && owner == name) || owner == id.to_string();
        (own && range.1 > 0).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "# comment\nother:100000:65536\nana:165536:65536\n1000:5:6\nbroken:x:y\n";
        assert_eq!(subordinate(text, "ana", 7), Some((165_536, 65_536)));
        assert_eq!(subordinate(text, "", 1000), Some((5, 6)));
        assert_eq!(subordinate(text, "nobody", 7), None);
        assert_eq!(subordinate(text, "broken", 7), None);
    }
}
