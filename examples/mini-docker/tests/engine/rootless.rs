//! An ordinary user's containers: what works, and what is refused with its reason.
//!
//! As root these cases become the user `nobody` for the binary only; as an ordinary user they run as they are.

use test_lane::{Need, Outcome, case};

use crate::world::{World, free_port, get, has, same, wait_for};

const NEEDS: &[Need] = &[Need::UserNamespaces];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("rootless_run_exec_logs_cp", NEEDS, everyday),
        case("rootless_published_port_answers_outside", NEEDS, published),
        case("rootless_refuses_with_the_reason", NEEDS, refused),
        case("rootless_supervisor_is_replaced", NEEDS, replaced),
    ]
}

fn everyday() -> Outcome {
    let world = World::rootless()?;
    same(world.run(&["run", "--rm", "base", "sh", "-c", "id -u; exit 5"])?.code, 5)?;
    let id =
        world.ok(&["run", "-d", "--name", "box", "base", "sh", "-c", "echo hello; echo file > /file; sleep 600"])?;
    world.until_logged("box", "hello")?;
    same(world.ok(&["exec", "box", "cat", "/file"])?, "file".to_owned())?;
    let tar = world.ok(&["cp", "box:/file", "-"])?;
    has(&tar, "file")?;
    world.ok(&["stop", "-t", "0", "box"])?;
    has(&world.ok(&["cp", "box:/file", "-"])?, "file")?;
    world.ok(&["start", "box"])?;
    world.ok(&["rm", "-f", "box"])?;
    world.nothing_is_left(&[&id])
}

fn published() -> Outcome {
    let world = World::rootless()?;
    let port = free_port()?;
    let publish = format!("{port}:80");
    let server = crate::network::SERVER;
    world.ok(&["run", "-d", "--name", "web", "-h", "webhost", "-p", &publish, "base", "sh", "-c", server])?;
    let address = format!("127.0.0.1:{port}");
    wait_for("the server", || Ok(get(&address).is_ok_and(|body| body.trim() == "webhost")))?;
    has(&world.fails(125, &["run", "-d", "-p", &publish, "base", "true"])?, "port is already allocated")?;
    world.ok(&["rm", "-f", "web"])?;
    wait_for("the port to be free", || Ok(std::net::TcpListener::bind(&address).is_ok()))
}

fn refused() -> Outcome {
    let world = World::rootless()?;
    has(&world.fails(125, &["run", "--network", "host", "base", "true"])?, "--network host needs root")?;
    let writable = World::rootless()?.run(&["run", "--rm", "--memory", "64m", "base", "true"])?;
    if writable.code != 0 {
        has(&writable.err, "may not make control groups")?;
    }
    world.nothing_is_left(&[])
}

fn replaced() -> Outcome {
    let world = World::rootless()?;
    let script = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done";
    let id = world.ok(&["run", "-d", "--name", "clock", "base", "sh", "-c", script])?;
    world.until_logged("clock", "tick 3")?;
    let first = world.supervisor(&id)?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::SIGKILL)?;
    wait_for("the supervisor to die", || Ok(!crate::world::is_alive(first)))?;
    same(world.inspect("clock", ".State.Running")?, "true".to_owned())?;
    let count = || world.ok(&["logs", "clock"]).map(|text| text.lines().count());
    let before = count()?;
    wait_for("the log to go on", || Ok(count()? > before))?;
    world.ok(&["rm", "-f", "clock"])?;
    world.nothing_is_left(&[&id])
}
