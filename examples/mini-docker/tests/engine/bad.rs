//! Bad input and bad machines: one line that names subject, step and cause, the right exit code, nothing left.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use test_lane::{Need, Outcome, case};

use crate::world::{World, free_port, has, same, wait_for};

const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("bad_command_gives_127_and_126", ROOT, commands),
        case("bad_port_taken", ROOT, port_taken),
        case("bad_name_taken", ROOT, name_taken),
        case("bad_container_unknown", ROOT, unknown),
        case("bad_flags", ROOT, flags),
        case("bad_no_privilege", &[Need::Root, Need::Program("setpriv")], no_privilege),
        case("bad_no_user_namespaces", &[Need::Root, Need::Program("nsenter")], no_user_namespaces),
        case("bad_disk_full", ROOT, disk_full),
        case("bad_another_user_sees_nothing", ROOT, another_user),
        case("bad_state_of_another_version", ROOT, another_version),
    ]
}

fn commands() -> Outcome {
    let world = World::new()?;
    has(&world.fails(127, &["run", "base", "nosuch"])?, "exec: \"nosuch\": executable file not found in $PATH")?;
    has(&world.fails(127, &["run", "-d", "base", "/no/such"])?, "/no/such")?;
    has(&world.fails(126, &["run", "base", "/etc/passwd"])?, "Permission denied")?;
    has(&world.fails(126, &["run", "base", "/etc"])?, "/etc")?;
    world.fails(125, &["run", "-u", "nobody-here", "base", "true"])?;
    world.nothing_is_left(&[])
}

fn port_taken() -> Outcome {
    let world = World::new()?;
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    let error = world.fails(125, &["run", "-d", "-p", &format!("{port}:80"), "base", "sleep", "9"])?;
    has(&error, &format!("bind for 0.0.0.0:{port} failed: port is already allocated"))?;
    world.nothing_is_left(&[])?;
    let port = free_port()?;
    let publish = format!("{port}:80");
    world.ok(&["run", "-d", "--name", "first", "-p", &publish, "base", "sleep", "600"])?;
    has(&world.fails(125, &["run", "-d", "-p", &publish, "base", "true"])?, "port is already allocated")?;
    world.ok(&["create", "--name", "second", "-p", &publish, "base", "sleep", "600"])?;
    has(&world.fails(1, &["start", "second"])?, "port is already allocated")?;
    world.ok(&["rm", "-f", "first"])?;
    world.ok(&["start", "second"])?;
    Ok(())
}

fn name_taken() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["create", "--name", "web", "base", "true"])?;
    let error = world.fails(125, &["run", "--name", "web", "base", "true"])?;
    has(&error, &format!("Conflict. The container name \"/web\" is already in use by container \"{id}\"."))?;
    same(world.ok(&["ps", "-aq"])?.lines().count(), 1)?;
    has(&world.fails(125, &["run", "--name", "a b", "base", "true"])?, "Invalid container name (a b)")
}

fn unknown() -> Outcome {
    let world = World::new()?;
    let commands: [&[&str]; 12] = [
        &["start"],
        &["stop"],
        &["restart"],
        &["kill"],
        &["rm"],
        &["pause"],
        &["unpause"],
        &["wait"],
        &["logs"],
        &["top"],
        &["port"],
        &["attach"],
    ];
    for command in commands {
        let error = world.fails(1, &[command, &["nobody"]].concat())?;
        has(&error, "No such container: nobody")?;
    }
    has(&world.fails(1, &["exec", "nobody", "true"])?, "No such container: nobody")?;
    has(&world.fails(1, &["rename", "nobody", "somebody"])?, "No such container: nobody")?;
    has(
        &world.fails(1, &["inspect", "nobody"]).or_else(|_| {
            let did = world.run(&["inspect", "nobody"])?;
            same((did.code, did.out.trim()), (1, "[]"))?;
            Ok::<_, test_lane::Failed>(did.err)
        })?,
        "No such object: nobody",
    )
}

fn flags() -> Outcome {
    let world = World::new()?;
    let wrong: [(&[&str], &str); 12] = [
        (&["-p", "99999:80"], "invalid hostPort"),
        (&["-p", "80:80/ftp"], "invalid proto: ftp"),
        (&["-v", "a:b"], "mount path must be absolute"),
        (&["--memory", "lots"], "invalid size: 'lots'"),
        (&["--memory", "4k"], "Minimum memory limit allowed is 6MB"),
        (&["--cpus", "many"], "failed to parse many"),
        (&["--cpus", "4096"], "Range of CPUs is from 0.01"),
        (&["--restart", "maybe"], "invalid restart policy `maybe`"),
        (&["--rm", "--restart", "always"], "cannot specify both --restart and --rm"),
        (&["--stop-signal", "NOPE"], "no such signal"),
        (&["-w", "relative"], "needs to be an absolute path"),
        (&["--log-driver", "syslog"], "logging driver syslog is not supported"),
    ];
    for (flags, text) in wrong {
        has(&world.fails(125, &[&["run"], flags, &["base", "true"]].concat())?, text)?;
    }
    same(world.run(&["run", "--nonsense", "base"])?.code, 125)?;
    same(world.run(&["run"])?.code, 125)?;
    world.nothing_is_left(&[])
}

/// The user is root, and has none of root's capabilities.
fn no_privilege() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "--rm", "base", "true"])?;
    let inner = world.command(&["run", "--rm", "base", "true"]);
    let output = Command::new("setpriv")
        .args(["--bounding-set", "-all", "--inh-caps", "-all"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .output()?;
    same(output.status.code(), Some(125))?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    same(error.lines().count(), 1)?;
    has(&error, "mini-docker: ")?;
    world.nothing_is_left(&[])
}

/// A machine that gives ordinary users no user namespaces: here, inside one that allows none below itself.
fn no_user_namespaces() -> Outcome {
    let world = World::rootless()?;
    let mut holder = Command::new("unshare").args(["--user", "cat"]).stdin(Stdio::piped()).spawn()?;
    let process = std::path::PathBuf::from(format!("/proc/{}", holder.id()));
    let own = std::fs::read_link("/proc/self/ns/user")?;
    wait_for("the namespace", || Ok(std::fs::read_link(process.join("ns/user"))? != own))?;
    std::fs::write(process.join("uid_map"), "0 0 65536")?;
    std::fs::write(process.join("gid_map"), "0 0 65536")?;
    let script = "echo 0 > /proc/sys/user/max_user_namespaces; \
                  exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    let inner = world.command(&["run", "--rm", "base", "true"]);
    let output = Command::new("nsenter")
        .arg(format!("--user={}", process.join("ns/user").display()))
        .args(["sh", "-c", script, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .output()?;
    drop(holder.stdin.take());
    holder.wait()?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    has(&error, "user namespace")?;
    same((output.status.code(), error.lines().count()), (Some(125), 1))?;
    world.nothing_is_left(&[])
}

/// A state root on a file system that is full.
fn disk_full() -> Outcome {
    let folder = tempfile::Builder::new().prefix("mini-docker-full").tempdir()?;
    let place = folder.path().to_path_buf();
    mount(Some("none"), &place, Some("tmpfs"), MsFlags::empty(), Some("size=24m"))?;
    let outcome = (|| {
        let world = World::at(tempfile::Builder::new().tempdir_in(&place)?);
        world.ok(&["run", "--rm", "base", "true"])?;
        let id =
            world.ok(&["run", "-d", "--name", "chatty", "base", "sh", "-c", "while :; do echo x; sleep 0.1; done"])?;
        let filler = place.join("filler");
        let mut file = std::fs::File::create(&filler)?;
        while file.write_all(&[7; 65_536]).is_ok() {}
        while file.write_all(&[7; 64]).is_ok() {}
        has(&world.fails(125, &["run", "base", "true"])?, "No space left on device")?;
        same(world.inspect("chatty", ".State.Running")?, "true".to_owned())?;
        std::fs::remove_file(&filler)?;
        world.ok(&["rm", "-f", "chatty"])?;
        world.nothing_is_left(&[&id])
    })();
    umount2(&place, MntFlags::MNT_DETACH)?;
    outcome
}

fn another_user() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    // The test's own folder is opened up, so that only the state root's mode protects it.
    use std::os::unix::fs::PermissionsExt;
    let above = world.root().parent().ok_or("no folder")?.to_path_buf();
    std::fs::set_permissions(&above, std::fs::Permissions::from_mode(0o755))?;
    let root = world.root();
    for path in ["containers", "images", "names", "network"] {
        let read = Command::new("ls").arg(root.join(path)).uid(65534).gid(65534).output()?;
        same((path, read.status.success()), (path, false))?;
    }
    let socket = root.join("containers").join(&id).join("control.sock");
    let read = Command::new("stat").arg(socket).uid(65534).gid(65534).output()?;
    same(read.status.success(), false)
}

fn another_version() -> Outcome {
    let world = World::new()?;
    let id = world.ok(&["create", "--name", "box", "base", "true"])?;
    let path = world.root().join("containers").join(&id).join("definition.json");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 9"))?;
    has(&world.fails(1, &["start", &id])?, "format 9 instead of 1")?;
    std::fs::write(&path, text)?;
    Ok(())
}
