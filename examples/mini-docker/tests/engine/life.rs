//! The life of containers: stop, start, restart, kill, pause, wait, rename, restart policies, reboots.

use test_lane::{Need, Outcome, case};

use crate::world::{World, has, same, wait_for};

const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("stop_asks_then_kills", ROOT, stop),
        case("start_and_restart_run_again", ROOT, start_and_restart),
        case("kill_wait_and_rename", ROOT, kill_wait_rename),
        case("pause_freezes", ROOT, pause),
        case("policy_on_failure_counts", ROOT, on_failure),
        case("policy_always_until_stopped", ROOT, always),
        case("after_a_reboot_policies_decide", ROOT, reboot),
        case("ps_lists_filters_and_formats", ROOT, ps),
        case("rm_refuses_what_runs", ROOT, rm),
    ]
}

const POLITE: &str = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";

fn stop() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "polite", "base", "sh", "-c", POLITE])?;
    world.until_logged("polite", "ready")?;
    same(world.ok(&["stop", "polite"])?, "polite".to_owned())?;
    same(world.inspect("polite", ".State.ExitCode")?, "3".to_owned())?;
    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    world.ok(&["run", "-d", "--name", "deaf", "base", "sh", "-c", deaf])?;
    world.until_logged("deaf", "ready")?;
    world.ok(&["stop", "-t", "1", "deaf"])?;
    same(world.inspect("deaf", ".State.ExitCode")?, "137".to_owned())?;
    world.ok(&["stop", "deaf", "polite"])?;
    let own = "trap 'exit 4' HUP; echo ready; while :; do sleep 0.05; done";
    world.ok(&["run", "-d", "--name", "own", "--stop-signal", "HUP", "base", "sh", "-c", own])?;
    world.until_logged("own", "ready")?;
    world.ok(&["stop", "own"])?;
    same(world.inspect("own", ".State.ExitCode")?, "4".to_owned())
}

fn start_and_restart() -> Outcome {
    let world = World::new()?;
    let script = "echo again >> /count; echo started $(wc -l < /count); exec sleep 600";
    world.ok(&["run", "-d", "--name", "box", "base", "sh", "-c", script])?;
    world.until_logged("box", "started 1")?;
    world.ok(&["restart", "-t", "0", "box"])?;
    world.until_logged("box", "started 2")?;
    world.ok(&["stop", "-t", "0", "box"])?;
    world.ok(&["restart", "box"])?;
    world.until_logged("box", "started 3")?;
    world.ok(&["start", "box"])?;
    same(world.inspect("box", ".RestartCount")?, "0".to_owned())?;
    same(world.inspect("box", ".State.Running")?, "true".to_owned())
}

fn kill_wait_rename() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    let waiter = world.spawn(&["wait", "box"])?;
    world.ok(&["kill", "-s", "KILL", "box"])?;
    let output = crate::world::wait_with_deadline(waiter)?;
    same(String::from_utf8_lossy(&output.stdout).into_owned(), "137\n".to_owned())?;
    same(world.ok(&["wait", "box"])?, "137".to_owned())?;
    has(&world.fails(1, &["kill", "box"])?, "is not running")?;
    world.ok(&["rename", "box", "crate"])?;
    has(&world.fails(1, &["inspect", "--type", "container", "box"])?, "No such container: box")?;
    same(world.inspect("crate", ".Name")?, "/crate".to_owned())
}

fn pause() -> Outcome {
    let world = World::new()?;
    let script = "while :; do echo tick; sleep 0.02; done";
    world.ok(&["run", "-d", "--name", "clock", "base", "sh", "-c", script])?;
    world.until_logged("clock", "tick")?;
    world.ok(&["pause", "clock"])?;
    same(world.inspect("clock", ".State.Status")?, "paused".to_owned())?;
    let lines = || world.ok(&["logs", "clock"]).map(|text| text.lines().count());
    let before = lines()?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    same(lines()?, before)?;
    has(&world.fails(1, &["exec", "clock", "true"])?, "is paused")?;
    has(&world.fails(1, &["pause", "clock"])?, "already paused")?;
    world.ok(&["unpause", "clock"])?;
    wait_for("the clock to go on", || Ok(lines()? > before))?;
    world.ok(&["pause", "clock"])?;
    world.ok(&["rm", "-f", "clock"])?;
    world.nothing_is_left(&[])
}

fn on_failure() -> Outcome {
    let world = World::new()?;
    let script = "echo run; exit 9";
    world.ok(&["run", "-d", "--name", "bad", "--restart", "on-failure:2", "base", "sh", "-c", script])?;
    same(world.ok(&["wait", "bad"])?, "9".to_owned())?;
    same(world.inspect("bad", ".RestartCount")?, "2".to_owned())?;
    same(world.ok(&["logs", "bad"])?, "run\nrun\nrun".to_owned())?;
    world.ok(&["run", "-d", "--name", "good", "--restart", "on-failure", "base", "true"])?;
    same(world.ok(&["wait", "good"])?, "0".to_owned())
}

fn always() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["run", "-d", "--name", "loop", "--restart", "always", "base", "sh", "-c", "sleep 0.05"])?;
    wait_for("three restarts", || Ok(world.inspect("loop", ".RestartCount")?.parse::<u32>()? >= 3))?;
    world.ok(&["stop", "-t", "0", "loop"])?;
    same(world.inspect("loop", ".State.Status")?, "exited".to_owned())?;
    world.ok(&["rm", "loop"])?;
    world.nothing_is_left(&[&id])
}

/// Writes what a power cut leaves: run state of another boot, and no process.
fn power_cut(world: &World, names: &[&str]) -> Outcome {
    for name in names {
        let id = world.inspect(name, ".Id")?;
        let path = world.root().join("containers").join(&id).join("state.json");
        let state = std::fs::read_to_string(&path)?;
        if let Ok(supervisor) = world.supervisor(&id) {
            let kill = |pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
            kill(supervisor)?;
            let pid = world.inspect(name, ".State.Pid").ok().and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
            wait_for("the supervisor to die", || Ok(!crate::world::is_alive(supervisor)))?;
            // `inspect` adopted it meanwhile; kill that supervisor too, and the container.
            if let Ok(again) = world.supervisor(&id) {
                kill(again)?;
                wait_for("the supervisor to die", || Ok(!crate::world::is_alive(again)))?;
            }
            if let Some(pid) = pid {
                let _ = kill(pid);
                wait_for("the container to die", || Ok(!crate::world::is_alive(pid)))?;
            }
        }
        // A real reboot takes these along.
        for group in crate::world::cgroups_named(&id) {
            std::fs::remove_dir(group)?;
        }
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        std::fs::write(&path, state.replace(boot.trim(), "00000000-0000-0000-0000-000000000000"))?;
    }
    Ok(())
}

fn reboot() -> Outcome {
    let world = World::new()?;
    for (name, policy) in [("a", "always"), ("u", "unless-stopped"), ("n", "no")] {
        let name = format!("box-{name}");
        world.ok(&["run", "-d", "--name", &name, "--restart", policy, "base", "sleep", "600"])?;
    }
    world.ok(&["run", "-d", "--name", "stopped", "--restart", "unless-stopped", "base", "sleep", "600"])?;
    world.ok(&["stop", "-t", "0", "stopped"])?;
    power_cut(&world, &["box-a", "box-u", "box-n", "stopped"])?;
    for name in ["box-a", "box-u", "box-n", "stopped"] {
        same(world.inspect(name, ".State.Status")?, "exited".to_owned())?;
    }
    same(world.inspect("box-n", ".State.ExitCode")?, "255".to_owned())?;
    same(world.ok(&["start", "--all-by-policy"])?, "box-a\nbox-u".to_owned())?;
    same(world.ok(&["ps", "--format", "{{.Names}}"])?, "box-u\nbox-a".to_owned())
}

fn ps() -> Outcome {
    let world = World::new()?;
    let one = world.ok(&["run", "-d", "--name", "one", "-l", "tier=web", "base", "sleep", "600"])?;
    same(world.run(&["run", "--name", "two", "base", "sh", "-c", "exit 2"])?.code, 2)?;
    let table = world.ok(&["ps", "-a"])?;
    has(&table, "CONTAINER ID   IMAGE     COMMAND")?;
    has(&table, "\"sleep 600\"")?;
    has(&table, "Exited (2) ")?;
    same(world.ok(&["ps", "-q", "--no-trunc"])?, one)?;
    let named = |args: &[&str]| world.ok(&[&["ps", "--format", "{{.Names}}"], args].concat());
    same(named(&["-a", "--filter", "status=exited"])?, "two".to_owned())?;
    same(named(&["--filter", "exited=2"])?, "two".to_owned())?;
    same(named(&["--filter", "label=tier=web"])?, "one".to_owned())?;
    same(named(&["-a", "--filter", "name=^t"])?, "two".to_owned())?;
    same(named(&["-n", "1"])?, "two".to_owned())?;
    has(&world.ok(&["ps", "--format", "json"])?, "\"Names\":\"one\"")?;
    has(&world.fails(1, &["ps", "--filter", "color=red"])?, "invalid filter")
}

fn rm() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    let error = world.fails(1, &["rm", "box"])?;
    has(&error, "container is running: stop the container before removing or force remove")?;
    same(world.ok(&["rm", "-f", "box"])?, "box".to_owned())?;
    has(&world.fails(1, &["rm", "box"])?, "No such container: box")?;
    world.nothing_is_left(&[&id])
}
