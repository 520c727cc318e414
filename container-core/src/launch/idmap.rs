//! A new user namespace's maps, written from outside while the cloning thread waits for the child.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use super::clone::{Birth, GATE_OPEN, spawn as clone};
use crate::plan::IdMaps;
use crate::spec::IdMapping;
use crate::{Error, Result, exit};

/// Clones into a new user namespace. A helper thread writes the maps: the kernel holds this one until execve.
pub(super) fn spawn(birth: &mut Birth<'_>, maps: &IdMaps) -> Result<OwnedFd> {
    let broken = |source| Error::Kernel { doing: "make the gate of the user namespace", source };
    let (mut ours, theirs) = UnixStream::pair().map_err(broken)?;
    // The gate lives as long as this frame, which is longer than the child's use of it.
    let mut gated = Birth {
        flags: birth.flags,
        cgroup: birth.cgroup,
        stub: birth.stub,
        args: birth.args,
        keep: birth.keep,
        gate: Some(theirs.as_fd()),
        pid: Default::default(),
        errno: Default::default(),
    };
    let born = &gated;
    let (mapped, cloned) = std::thread::scope(|scope| {
        let helper = scope.spawn(move || {
            let mut word = [0];
            // The end of the stream: the clone itself failed.
            if ours.read_exact(&mut word).is_err() {
                return Ok(());
            }
            let written = write(born.pid.load(Ordering::SeqCst), maps);
            // The child must always hear something: it holds a copy of both ends and would wait for ever.
            let _ = ours.write_all(&[if written.is_ok() { GATE_OPEN } else { 0 }]);
            written
        });
        let cloned = clone(born).map_err(Error::kernel("clone"));
        if cloned.is_err() {
            let _ = theirs.shutdown(std::net::Shutdown::Both);
        }
        (helper.join(), cloned)
    });
    let pidfd = cloned?;
    if let Ok(Err(error)) = mapped {
        exit::reap(pidfd.as_fd(), true)?;
        return Err(error);
    }
    *birth.pid.get_mut() = *gated.pid.get_mut();
    *birth.errno.get_mut() = *gated.errno.get_mut();
    Ok(pidfd)
}

fn write(pid: i32, maps: &IdMaps) -> Result<()> {
    if maps.deny_setgroups && !needs_helper(&maps.gid) {
        put(pid, "setgroups", "deny")?;
    }
    one(pid, "uid_map", "newuidmap", &maps.uid, maps.deny_setgroups)?;
    one(pid, "gid_map", "newgidmap", &maps.gid, maps.deny_setgroups)
}

/// An ordinary user may map one id, its own; for more there is a setuid program that reads /etc/subuid.
fn needs_helper(lines: &[IdMapping]) -> bool {
    lines.len() > 1 || lines.iter().any(|line| line.size > 1)
}

fn one(pid: i32, file: &str, helper: &str, lines: &[IdMapping], ordinary: bool) -> Result<()> {
    let words = |line: &IdMapping| [line.container_id, line.host_id, line.size].map(|number| number.to_string());
    if !(ordinary && needs_helper(lines)) {
        let text: Vec<String> = lines.iter().map(|line| words(line).join(" ")).collect();
        return put(pid, file, &text.join("\n"));
    }
    let output = Command::new(helper)
        .arg(pid.to_string())
        .args(lines.iter().flat_map(words))
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Unsupported {
            feature: "mapping more than one id as an ordinary user".to_owned(),
            hint: format!("{helper} cannot be run: {source}"),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(Error::Unsupported { feature: "this id map".to_owned(), hint: format!("{helper}: {said}") })
}

fn put(pid: i32, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::write(&path, text).map_err(Error::io("write", path))
}
