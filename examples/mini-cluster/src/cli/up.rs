//! `up`: a cluster in the foreground, or one that detaches once it is ready.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::cli::Up;
use crate::error::{Error, PathContext, Result};
use crate::outside::{Cluster, Options};
use crate::state::Root;

/// Starts a cluster; returns when it has ended, or with `--detach` when it is ready.
pub(super) fn up(root: &Root, up: &Up) -> Result<()> {
    if up.detach {
        return detach(root, up);
    }
    let options = Options { nodes: up.nodes, node_grace: None, remove_root: false };
    let cluster = Cluster::start(root, &options)?;
    if up.announce {
        say!("ready");
    } else {
        welcome(root, up.nodes);
    }
    cluster.wait()
}

/// Starts the same command again in a session of its own and waits for its word.
fn detach(root: &Root, up: &Up) -> Result<()> {
    root.ensure()?;
    let path = root.log();
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).at("open", &path)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("mini-cluster").arg("up").arg("--announce").arg("--root").arg(root.dir());
    command.arg("--nodes").arg(up.nodes.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0).current_dir("/");
    let mut child = command.spawn().map_err(|source| Error::system("start the cluster", source))?;
    let mut word = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut word).map_err(|source| Error::system("hear from the cluster", source))?;
    }
    if word.trim_end() == "ready" {
        welcome(root, up.nodes);
        return Ok(());
    }
    let _ = child.wait();
    let log = std::fs::read_to_string(&path).unwrap_or_default();
    let last = log.lines().last().unwrap_or("it said nothing").trim_start_matches("mini-cluster: ");
    Err(Error::Half { problem: format!("did not start: {last}") })
}

/// Says what to try next.
pub(crate) fn welcome(root: &Root, nodes: u16) {
    let root_flag = format!("--root {}", root.dir().display());
    say!("A cluster of {nodes} nodes is running in {}. Try:", root.dir().display());
    say!("  mini-cluster {root_flag} apply -f examples/mini-cluster/manifests/web.yaml");
    say!("  mini-cluster {root_flag} get pods -o wide -w");
    say!("  mini-cluster {root_flag} down");
    say!("or with kubectl:");
    say!("  kubectl --kubeconfig {} get pods -A", root.kubeconfig().display());
}
