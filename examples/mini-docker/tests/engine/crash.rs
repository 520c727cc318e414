//! kill -9 at random moments: of the command, of the supervisor. The next command finds a legal state, or nothing.
//!
//! The moments come from a seed, which a failure prints. `CRASH_ROUNDS` makes the sweep longer, `CRASH_SEED` repeats it.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_lane::{Failed, Need, Outcome, case};

use crate::world::{World, has, is_alive, same, wait_for};

const ROOT: &[Need] = &[Need::Root];
const LEGAL: [&str; 6] = ["created", "running", "paused", "restarting", "exited", "dead"];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("crash_supervisor_is_replaced", ROOT, supervisor_replaced),
        case("crash_supervisor_and_container", ROOT, both),
        case("crash_of_the_command_at_any_moment", ROOT, command_sweep),
        case("crash_of_the_supervisor_at_any_moment", ROOT, supervisor_sweep),
    ]
}

/// A small generator (Marsaglia's xorshift): the same seed gives the same moments.
struct Moments(u64);

impl Moments {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn kill9(pid: i32) -> Outcome {
    Ok(kill(Pid::from_raw(pid), Signal::SIGKILL)?)
}

fn supervisor_replaced() -> Outcome {
    let world = World::new()?;
    let script = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done";
    let id = world.ok(&["run", "-d", "--name", "clock", "base", "sh", "-c", script])?;
    world.until_logged("clock", "tick 5")?;
    let pid = world.inspect("clock", ".State.Pid")?;
    let first = world.supervisor(&id)?;
    kill9(first)?;
    wait_for("the supervisor to die", || Ok(!is_alive(first)))?;
    same(world.inspect("clock", ".State.Pid")?, pid.clone())?;
    same(is_alive(pid.parse()?), true)?;
    let second = world.supervisor(&id)?;
    same(second != first, true)?;
    let before = world.ok(&["logs", "clock"])?.lines().count();
    wait_for("the log to go on", || Ok(world.ok(&["logs", "clock"])?.lines().count() > before + 5))?;
    let text = world.ok(&["logs", "clock"])?;
    let numbers: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("tick ")?.parse().ok()).collect();
    let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    same(gaps, 0)?;
    world.ok(&["stop", "-t", "0", "clock"])?;
    // The new supervisor is not its parent: it learns the status when init reaps it in time, and else calls it lost.
    let code = world.inspect("clock", ".State.ExitCode")?;
    same(["137", "255"].contains(&code.as_str()), true)?;
    world.ok(&["rm", "clock"])?;
    world.nothing_is_left(&[&id])
}

fn both() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    let pid: i32 = world.inspect("box", ".State.Pid")?.parse()?;
    let supervisor = world.supervisor(&id)?;
    kill9(supervisor)?;
    kill9(pid)?;
    wait_for("both to die", || Ok(!is_alive(supervisor) && !is_alive(pid)))?;
    same(world.inspect("box", ".State.Status")?, "exited".to_owned())?;
    same(world.inspect("box", ".State.ExitCode")?, "255".to_owned())?;
    world.ok(&["start", "box"])?;
    world.ok(&["rm", "-f", "box"])?;
    world.nothing_is_left(&[&id])
}

/// Every listed container is in a legal state, and can be removed without a trace.
fn all_legal_then_gone(world: &World) -> Outcome {
    let listed = world.ok(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"])?;
    let mut ids = Vec::new();
    for line in listed.lines() {
        let (id, state) = line.split_once(' ').ok_or("no state")?;
        same(LEGAL.contains(&state), true)?;
        ids.push(id);
    }
    for id in &ids {
        let did = world.run(&["rm", "-f", id])?;
        if did.code != 0 {
            has(&did.err, "No such container")?;
        }
    }
    world.nothing_is_left(&ids)
}

fn sweep(name: &str, round: impl Fn(&World, &mut Moments) -> Outcome) -> Outcome {
    let seed = number("CRASH_SEED", 7);
    let rounds = number("CRASH_ROUNDS", 12);
    let world = World::new()?;
    world.ok(&["run", "--rm", "base", "true"])?;
    for number in 0..rounds {
        let mut moments = Moments::new(seed.wrapping_add(number));
        let failed = |error: Failed| {
            Failed::from(format!("{name}, CRASH_SEED={} CRASH_ROUNDS=1: {error:?}", seed.wrapping_add(number)))
        };
        round(&world, &mut moments).and_then(|()| all_legal_then_gone(&world)).map_err(failed)?;
    }
    Ok(())
}

fn command_sweep() -> Outcome {
    sweep("command", |world, moments| {
        let commands: [&[&str]; 3] = [
            &["run", "-d", "--name", "box", "base", "sleep", "600"],
            &["run", "--rm", "--name", "box", "base", "sh", "-c", "echo hi; exit 3"],
            &["run", "-d", "--name", "box", "--restart", "always", "base", "sh", "-c", "exit 1"],
        ];
        let mut child = quiet(world.command(commands[usize::try_from(moments.below(3))?])).spawn()?;
        std::thread::sleep(Duration::from_micros(moments.below(30_000)));
        child.kill()?;
        child.wait()?;
        if moments.below(2) == 0 {
            let mut child = quiet(world.command(&["rm", "-f", "box"])).spawn()?;
            std::thread::sleep(Duration::from_micros(moments.below(20_000)));
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    })
}

fn supervisor_sweep() -> Outcome {
    sweep("supervisor", |world, moments| {
        let script = ["sleep 600", "sleep 0.01", "exit 1"][usize::try_from(moments.below(3))?];
        let policy = ["no", "always"][usize::try_from(moments.below(2))?];
        let args = ["run", "-d", "--name", "box", "--restart", policy, "base", "sh", "-c", script];
        let mut child = quiet(world.command(&args)).spawn()?;
        std::thread::sleep(Duration::from_micros(moments.below(40_000)));
        for pid in world.processes() {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains("supervise") {
                // It may have ended by itself.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        child.wait()?;
        Ok(())
    })
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
