//! The options of `run` that shape what the program sees and may use.

use test_lane::{Need, Outcome, case};

use crate::world::{World, has, same};

const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("options_environment_folder_user_host_name", ROOT, identity),
        case("options_entrypoint_and_command", ROOT, entrypoint),
        case("options_volumes_and_read_only", ROOT, volumes),
        case("options_limits_are_in_force", ROOT, limits),
        case("options_memory_limit_kills_and_says_so", ROOT, oom),
        case("options_privileges", ROOT, privileges),
    ]
}

fn shell(world: &World, options: &[&str], script: &str) -> Result<String, test_lane::Failed> {
    world.ok(&[&["run", "--rm"], options, &["base", "sh", "-c", script]].concat())
}

fn identity() -> Outcome {
    let world = World::new()?;
    let options = ["-e", "A=1 2", "-w", "/tmp", "-u", "65534:65534", "-h", "myhost"];
    let said = shell(&world, &options, "echo $A; pwd; id -u; hostname; echo $HOSTNAME")?;
    same(said, "1 2\n/tmp\n65534\nmyhost\nmyhost".to_owned())?;
    same(shell(&world, &[], "echo $HOME")?, "/root".to_owned())?;
    let file = world.path("env");
    std::fs::write(&file, "# comment\nB=from file\n")?;
    let file = file.to_string_lossy().into_owned();
    same(shell(&world, &["--env-file", &file], "echo $B")?, "from file".to_owned())?;
    let id = world.ok(&["create", "base", "hostname"])?;
    same(world.ok(&["start", "-a", &id])?, id[..12].to_owned())?;
    same(shell(&world, &["-w", "/made/up"], "pwd")?, "/made/up".to_owned())
}

fn entrypoint() -> Outcome {
    let world = World::new()?;
    same(world.ok(&["run", "--rm", "--entrypoint", "echo", "base", "-n", "a", "b"])?, "a b".to_owned())?;
    has(&world.fails(125, &["run", "--entrypoint", "", "base"])?, "no command specified")?;
    same(world.ok(&["run", "--rm", "base", "echo", "--name", "-e", "x"])?, "--name -e x".to_owned())
}

fn volumes() -> Outcome {
    let world = World::new()?;
    let folder = world.path("data");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("in"), "hello")?;
    let bind = format!("{}:/data", folder.display());
    same(shell(&world, &["-v", &bind], "cat /data/in; echo out > /data/out")?, "hello".to_owned())?;
    same(std::fs::read_to_string(folder.join("out"))?, "out\n".to_owned())?;
    let locked = format!("{bind}:ro");
    same(shell(&world, &["-v", &locked], "echo x 2>/dev/null > /data/x || echo refused")?, "refused".to_owned())?;
    same(shell(&world, &["--read-only"], "touch /x 2>/dev/null || echo refused")?, "refused".to_owned())?;
    same(shell(&world, &["--read-only", "--tmpfs", "/run"], "touch /run/x && echo fine")?, "fine".to_owned())?;
    shell(&world, &["-v", "store:/store"], "echo kept > /store/file")?;
    same(shell(&world, &["-v", "store:/store"], "cat /store/file")?, "kept".to_owned())?;
    same(shell(&world, &["-v", "etc:/copy", "-v", "etc2:/etc"], "grep -c root: /etc/passwd")?, "1".to_owned())?;
    same(world.ok(&["volume", "ls", "-q"])?, "etc\netc2\nstore".to_owned())?;
    world.ok(&["create", "--name", "user", "-v", "store:/x", "-v", "/own", "base", "true"])?;
    world.ok(&["start", "-a", "user"])?;
    same(world.ok(&["volume", "ls", "-q"])?.lines().count(), 4)?;
    has(&world.fails(1, &["volume", "rm", "store"])?, "volume is in use")?;
    world.ok(&["rm", "-v", "user"])?;
    world.ok(&["volume", "rm", "store", "etc", "etc2"])?;
    same(world.ok(&["volume", "ls", "-q"])?, String::new())?;
    let missing = format!("type=bind,src={}/nope,dst=/x", world.path("").display());
    has(&world.fails(125, &["run", "--mount", &missing, "base", "true"])?, "bind source path does not exist")
}

fn limits() -> Outcome {
    let world = World::new()?;
    let options = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "20"];
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us \
                  /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max \
                  /sys/fs/cgroup/pids.max";
    let said = shell(&world, &options, script)?;
    for wanted in ["67108864", "50000", "20"] {
        has(&said, wanted)?;
    }
    let forks = "i=0; while [ $i -lt 30 ]; do sleep 1 & i=$((i+1)); done 2>&1; echo end";
    let did = world.run(&["run", "--rm", "--pids-limit", "10", "base", "sh", "-c", forks])?;
    has(&(did.out + &did.err), "fork")
}

fn oom() -> Outcome {
    let world = World::new()?;
    let eat = "head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null; exec tail /dev/zero";
    let did =
        world.run(&["run", "--name", "hog", "--memory", "16m", "--memory-swap", "16m", "base", "sh", "-c", eat])?;
    same(did.code, 137)?;
    same(world.inspect("hog", ".State.OOMKilled")?, "true".to_owned())
}

fn privileges() -> Outcome {
    let world = World::new()?;
    let bounding = |options: &[&str]| shell(&world, options, "grep CapBnd /proc/self/status | cut -f 2");
    same(bounding(&[])?, "00000000a80425fb".to_owned())?;
    same(bounding(&["--cap-drop", "ALL"])?, "0000000000000000".to_owned())?;
    same(bounding(&["--cap-drop", "ALL", "--cap-add", "chown"])?, "0000000000000001".to_owned())?;
    let flag =
        |options: &[&str], field: &str| shell(&world, options, &format!("grep ^{field}: /proc/self/status | cut -f 2"));
    same(flag(&[], "Seccomp")?, "2".to_owned())?;
    same(flag(&["--security-opt", "seccomp=unconfined"], "Seccomp")?, "0".to_owned())?;
    same(flag(&["--security-opt", "no-new-privileges"], "NoNewPrivs")?, "1".to_owned())
}
