//! Another user of the machine gets nowhere: no API, no registry, no state.

use std::net::TcpStream;
use std::process::Command;

use test_lane::Outcome;

use crate::support::{Cluster, run};

pub(crate) fn reaches_nothing() -> Outcome {
    let cluster = Cluster::up()?;
    let root = cluster.root();
    for path in ["api.sock", "dial.sock", "control.sock", "kubeconfig", "images", "nodes"] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"]).arg(root.join(path));
        let said = run(command)?;
        if said.status.success() || !String::from_utf8_lossy(&said.stderr).contains("Permission denied") {
            return Err(format!("another user reached {path}: {said:?}").into());
        }
    }
    // What listens on loopback can be reached by anyone, and must ask for a credential.
    for port in listening_ports(&root)? {
        let answer = ask(port)?;
        // The registry asks for a credential; the API's port does not even speak without TLS.
        if answer.starts_with("HTTP/1.1 2") {
            return Err(format!("port {port} answers without a credential: {answer:?}").into());
        }
    }
    Ok(())
}

/// Where the kernel forbids the namespaces, one line says what is missing and what to do.
pub(crate) fn refusals_name_what_is_missing() -> Outcome {
    let folder = Cluster::folder()?;
    // Without an identity in a namespace of its own, a process may not make another one.
    let mut command = Command::new("unshare");
    command.args(["-U", crate::support::BINARY, "--root"]).arg(folder.root()).arg("up");
    let said = run(command)?;
    let error = String::from_utf8_lossy(&said.stderr);
    let named = ["make the cluster's namespaces", "user.max_user_namespaces", "run as root"];
    if said.status.success() || error.lines().count() != 1 || !named.iter().all(|part| error.contains(part)) {
        return Err(format!("not said what is missing: {said:?}").into());
    }
    Ok(())
}

/// TCP ports on which processes of the cluster listen in this network namespace.
fn listening_ports(root: &std::path::Path) -> Result<Vec<u16>, test_lane::Failed> {
    let mut sockets = Vec::new();
    for (pid, line) in crate::support::processes_of(root)? {
        if !line.contains(" up ") {
            continue;
        }
        for fd in std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
            if let Ok(target) = std::fs::read_link(fd.path()) {
                sockets.push(target.display().to_string());
            }
        }
    }
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let ports = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let listening = words.get(3) == Some(&"0A");
        let ours = sockets.iter().any(|socket| *socket == format!("socket:[{}]", words.get(9).unwrap_or(&"")));
        let port = u16::from_str_radix(words.get(1)?.split(':').nth(1)?, 16).ok()?;
        (listening && ours).then_some(port)
    });
    Ok(ports.collect())
}

fn ask(port: u16) -> Result<String, test_lane::Failed> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // A port that hangs up without a word gives nothing away.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
