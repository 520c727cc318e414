//! kill -9 of either half at moments that a seed chooses; the next command finds a legal state.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_lane::{Failed, Outcome};

use crate::support::{Cluster, Traces, nothing_left_of, processes_of, wait};

const WEB: &str = include_str!("../../manifests/web.yaml");
/// A slice of the sweep; a failure names its seed.
const ROUNDS: u64 = 8;

pub(crate) fn kill_nine_leaves_a_legal_state() -> Outcome {
    let rounds = std::env::var("MINI_CLUSTER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let before = Traces::now()?;
    let folder = Cluster::folder()?;
    for seed in 0..rounds {
        round(&folder, seed, &before).map_err(|error| format!("seed {seed}: {}", error.message().unwrap_or("?")))?;
    }
    Ok(())
}

fn round(folder: &Cluster, seed: u64, before: &Traces) -> Outcome {
    let random = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    // The outside half, the process between, the inside half.
    let victim = [" up", "__enter", "__inside"][(seed % 3) as usize];
    if seed.is_multiple_of(2) {
        kill_while_it_works(folder, victim, random)?;
    } else {
        kill_while_it_starts(folder, victim, random)?;
    }
    let said = next_word(folder)?;
    if !said.contains("no cluster is running") {
        return Err(format!("the next command says {said:?}").into());
    }
    for name in ["api.sock", "api-guarded.sock", "dial.sock", "control.sock", "kubeconfig", "nodes"] {
        if folder.root().join(name).exists() {
            return Err(format!("{name} is left").into());
        }
    }
    nothing_left_of(&folder.root(), before)
}

fn kill_while_it_works(folder: &Cluster, victim: &str, random: u64) -> Outcome {
    folder.ok(&["up", "-d"])?;
    folder.apply(WEB)?;
    std::thread::sleep(Duration::from_millis(random % 1500));
    let found = find(folder, victim)?.ok_or("no process to kill")?;
    Ok(kill(found, Signal::SIGKILL)?)
}

fn kill_while_it_starts(folder: &Cluster, victim: &str, random: u64) -> Outcome {
    let mut child = folder.command(&["up"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    std::thread::sleep(Duration::from_millis(random % 120));
    let own = Pid::from_raw(i32::try_from(child.id())?);
    // What has not been started yet cannot be killed; then it is the outside half's turn.
    kill(find(folder, victim)?.unwrap_or(own), Signal::SIGKILL)?;
    wait(&mut child).map(drop)
}

fn find(folder: &Cluster, part: &str) -> Result<Option<Pid>, Failed> {
    let processes = processes_of(&folder.root())?;
    Ok(processes.iter().find(|(_, line)| line.contains(part)).map(|(pid, _)| Pid::from_raw(*pid)))
}

/// What a command says once the kernel has taken the cluster down. Until then it may still be answered, or be told
/// that the cluster is ending.
fn next_word(folder: &Cluster) -> Result<String, Failed> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let output = folder.run(&["get", "pods"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("no cluster is running") || Instant::now() > deadline {
            return Ok(said);
        }
    }
}
