//! kill -9 of either half at moments that a seed chooses; the next command finds a legal state.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_lane::Outcome;

use crate::support::{Cluster, Traces, nothing_left_of, processes_of};

const WEB: &str = include_str!("../../manifests/web.yaml");
/// A slice of the sweep; the seed is printed with a failure.
const ROUNDS: u64 = 6;

pub(crate) fn kill_nine_leaves_a_legal_state() -> Outcome {
    let before = Traces::now()?;
    let folder = Cluster::folder()?;
    for seed in 0..ROUNDS {
        round(&folder, seed, &before).map_err(|error| format!("seed {seed}: {error:?}"))?;
    }
    Ok(())
}

fn round(folder: &Cluster, seed: u64, before: &Traces) -> Outcome {
    let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    folder.ok(&["up", "-d"])?;
    folder.apply(WEB)?;
    std::thread::sleep(Duration::from_millis(random % 1500));
    let halves = processes_of(&folder.root())?;
    let wanted = if seed.is_multiple_of(2) { "--announce" } else { "__inside" };
    let victim = halves.iter().find(|(_, line)| line.contains(wanted)).ok_or("no half to kill")?;
    kill(Pid::from_raw(victim.0), Signal::SIGKILL)?;
    // The next command, whenever it comes, tells the truth: nothing runs here.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let said = loop {
        let said = folder.refused(&["get", "pods"])?;
        if said.contains("no cluster is running") || std::time::Instant::now() > deadline {
            break said;
        }
    };
    if !said.contains("no cluster is running") {
        return Err(format!("the next command says {said:?}").into());
    }
    for name in ["api.sock", "dial.sock", "control.sock", "kubeconfig", "nodes"] {
        if folder.root().join(name).exists() {
            return Err(format!("{name} is left").into());
        }
    }
    nothing_left_of(&folder.root(), before)
}
