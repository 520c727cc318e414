//! Networks: bridge, published ports, host, none; and that nothing of them stays.

use test_lane::{Need, Outcome, case};

use crate::world::{World, free_port, get, has, same, wait_for};

const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("network_published_port_answers", ROOT, published),
        case("network_containers_reach_each_other", ROOT, neighbours),
        case("network_host_and_none", ROOT, modes),
        case("network_vanishes_with_the_last_container", ROOT, vanishes),
    ]
}

/// A server that answers with its own name.
pub(crate) const SERVER: &str = "mkdir /www; hostname > /www/index.html; exec busybox httpd -f -p 80 -h /www";

fn answers(address: &str, wanted: &str) -> Outcome {
    wait_for(&format!("{address} to answer"), || Ok(get(address).is_ok_and(|body| body.trim() == wanted)))
}

fn published() -> Outcome {
    let world = World::new()?;
    let port = free_port()?;
    let publish = format!("{port}:80");
    let args = ["run", "-d", "-p", &publish, "-h", "webhost", "--name", "web", "base", "sh", "-c", SERVER];
    let id = world.ok(&args)?;
    answers(&format!("127.0.0.1:{port}"), "webhost")?;
    let address = world.inspect("web", ".NetworkSettings.IPAddress")?;
    answers(&format!("{address}:80"), "webhost")?;
    let gateway = world.inspect("web", ".NetworkSettings.Gateway")?;
    answers(&format!("{gateway}:{port}"), "webhost")?;
    has(&world.ok(&["port", "web"])?, &format!("80/tcp -> 0.0.0.0:{port}"))?;
    same(world.ok(&["port", "web", "80"])?.lines().next(), Some(format!("0.0.0.0:{port}").as_str()))?;
    has(&world.ok(&["ps"])?, &format!("0.0.0.0:{port}->80/tcp"))?;
    let script = format!("wget -qO - http://{gateway}:{port}/ || wget -qO - http://{address}/");
    same(world.ok(&["run", "--rm", "base", "sh", "-c", &script])?, "webhost".to_owned())?;
    world.ok(&["restart", "-t", "0", "web"])?;
    answers(&format!("127.0.0.1:{port}"), "webhost")?;
    world.ok(&["rm", "-f", "web"])?;
    same(get(&format!("127.0.0.1:{port}")).is_err(), true)?;
    world.nothing_is_left(&[&id])
}

fn neighbours() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "web", "-h", "webhost", "base", "sh", "-c", SERVER])?;
    let address = world.inspect("web", ".NetworkSettings.IPAddress")?;
    answers(&format!("{address}:80"), "webhost")?;
    let host = format!("web:{address}");
    let said = world.ok(&["run", "--rm", "--add-host", &host, "base", "wget", "-qO", "-", "http://web/"])?;
    same(said, "webhost".to_owned())?;
    let hosts = world.ok(&["exec", "web", "cat", "/etc/hosts"])?;
    has(&hosts, &format!("{address}\twebhost"))
}

fn modes() -> Outcome {
    let world = World::new()?;
    let links = |network: &str| world.ok(&["run", "--rm", "--network", network, "base", "ls", "/sys/class/net"]);
    same(links("none")?, "lo".to_owned())?;
    let host = world.ok(&["run", "--rm", "--network", "host", "base", "cat", "/proc/net/dev"])?;
    has(&host, "lo:")?;
    same(host.contains("eth0:"), false)?;
    has(&world.ok(&["run", "--rm", "base", "cat", "/proc/net/dev"])?, "eth0:")?;
    has(&world.fails(125, &["run", "--network", "moon", "base", "true"])?, "network moon not found")
}

fn vanishes() -> Outcome {
    let world = World::new()?;
    let links = || -> Result<String, test_lane::Failed> { Ok(std::fs::read_to_string("/proc/thread-self/net/dev")?) };
    let before = links()?.lines().count();
    let port = free_port()?.to_string();
    world.ok(&["run", "-d", "--name", "one", "-p", &format!("{port}:80"), "base", "sleep", "600"])?;
    world.ok(&["run", "-d", "--name", "two", "base", "sleep", "600"])?;
    same(links()?.contains("mini"), true)?;
    world.ok(&["stop", "-t", "0", "one", "two"])?;
    wait_for("the links to go", || Ok(links()?.lines().count() == before))?;
    same(links()?.contains("mini"), false)
}
