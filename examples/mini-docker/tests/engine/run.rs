//! `run`, `create`, `exec`: programs, their streams and their exit codes.

use test_lane::{Need, Outcome, case};

use crate::world::{World, has, is_alive, same, wait_for};

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    const ROOT: &[Need] = &[Need::Root];
    vec![
        case("run_gives_output_and_exit_code", ROOT, output_and_code),
        case("run_passes_input_of_any_size", ROOT, input),
        case("run_rm_leaves_nothing", ROOT, rm_leaves_nothing),
        case("create_then_start_attached", ROOT, create_then_start),
        case("exec_runs_beside", ROOT, exec),
        case("exec_sees_user_folder_and_environment", ROOT, exec_options),
        case("foreground_passes_signals_on", ROOT, signals),
    ]
}

fn output_and_code() -> Outcome {
    let world = World::new()?;
    let did = world.run(&["run", "--rm", "base", "sh", "-c", "echo out; echo err >&2; exit 7"])?;
    same((did.code, did.out.as_str(), did.err.as_str()), (7, "out\n", "err\n"))?;
    same(world.run(&["run", "--rm", "base", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"])?.code, 137)?;
    same(world.run(&["run", "--rm", "base", "true"])?.code, 0)?;
    same(world.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"])?, "base:latest".to_owned())
}

fn input() -> Outcome {
    let world = World::new()?;
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(|number| [b'a' + (number % 26) as u8]).collect();
    let did = world.with_input(&["run", "--rm", "-i", "base", "cat"], &input)?;
    same((did.code, did.out.len()), (0, input.len()))?;
    same(did.out.as_bytes() == input.as_slice(), true)?;
    let did = world.with_input(&["run", "--rm", "base", "cat"], b"nobody reads this")?;
    same((did.code, did.out.as_str()), (0, ""))
}

fn rm_leaves_nothing() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["run", "-d", "--rm", "base", "sleep", "60"])?;
    world.ok(&["stop", "-t", "0", &id])?;
    world.nothing_is_left(&[&id])
}

fn create_then_start() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["create", "--name", "once", "base", "echo", "hello"])?;
    same(id.len(), 64)?;
    same(world.inspect("once", ".State.Status")?, "created".to_owned())?;
    same(world.ok(&["start", "-a", "once"])?, "hello".to_owned())?;
    same(world.inspect("once", ".State.Status")?, "exited".to_owned())?;
    world.ok(&["rm", "once"])?;
    world.nothing_is_left(&[&id])
}

fn exec() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    let did = world.run(&["exec", "box", "sh", "-c", "echo out; echo err >&2; exit 3"])?;
    same((did.code, did.out.as_str(), did.err.as_str()), (3, "out\n", "err\n"))?;
    let input = vec![b'x'; 2_000_000];
    let did = world.with_input(&["exec", "-i", "box", "cat"], &input)?;
    same((did.code, did.out.len()), (0, input.len()))?;
    world.ok(&["exec", "-d", "box", "sh", "-c", "echo done > /tmp/done"])?;
    wait_for("the detached program", || Ok(world.run(&["exec", "box", "cat", "/tmp/done"])?.out == "done\n"))?;
    has(&world.fails(127, &["exec", "box", "nosuch"])?, "executable file not found in $PATH")?;
    has(&world.fails(126, &["exec", "box", "/etc/passwd"])?, "/etc/passwd")?;
    world.ok(&["stop", "-t", "0", "box"])?;
    has(&world.fails(1, &["exec", "box", "true"])?, "is not running")
}

fn exec_options() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "box", "-e", "A=1", "-w", "/tmp", "base", "sleep", "600"])?;
    same(world.ok(&["exec", "box", "sh", "-c", "echo $A $PWD $(id -u)"])?, "1 /tmp 0".to_owned())?;
    let script = "echo $A $B $PWD $(id -u):$(id -g)";
    let said = world.ok(&["exec", "-e", "A=2", "-e", "B=3", "-w", "/", "-u", "65534:7", "box", "sh", "-c", script])?;
    same(said, "2 3 / 65534:7".to_owned())
}

fn signals() -> Outcome {
    let world = World::new()?;
    let script = "trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    let child = world.spawn(&["run", "--rm", "--name", "trap", "base", "sh", "-c", script])?;
    world.until_logged("trap", "ready").or_else(|_| world.until_logged("trap", "ready"))?;
    let pid = i32::try_from(child.id())?;
    same(is_alive(pid), true)?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGUSR1)?;
    let output = crate::world::wait_with_deadline(child)?;
    same(output.status.code(), Some(5))?;
    has(&String::from_utf8_lossy(&output.stdout), "got it")
}
