//! What must not be possible inside.

use std::os::unix::fs::symlink;

use container_core::spec::Mount;
use container_core::{Error, Exec, Spec, Stdio};
use test_lane::{Outcome, Trial, case};

use super::support::{ROOT, Scratch, finish, holds, id, launch, run, run_launch, runtime, same, shell};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("capabilities_are_dropped_and_none_inherited", ROOT, capabilities),
        case("the_filter_is_loaded_and_denies", ROOT, filter),
        case("no_new_privileges_when_asked", ROOT, no_new_privileges),
        case("kernel_files_are_hidden_or_read_only", ROOT, masks),
        case("only_the_standard_descriptors_are_open", ROOT, descriptors),
        case("a_working_folder_cannot_be_a_descriptor", ROOT, working_folder),
        case("dev_as_a_link_leads_nowhere_outside", ROOT, dev_link),
        case("proc_as_a_link_is_refused", ROOT, proc_link),
        case("a_mount_target_behind_a_link_stays_inside", ROOT, target_link),
        case("a_racer_in_the_root_reaches_nothing_outside", ROOT, racer),
        case("null_device_of_the_image_does_not_matter", ROOT, null_link),
        case("the_program_can_be_proc_self_exe_and_changes_nothing", ROOT, self_exe),
        case("read_only_root_and_volumes", ROOT, read_only),
        case("the_hosts_tree_is_out_of_sight", ROOT, no_host),
        case("namespaces_are_new", ROOT, namespaces),
        case("sysctls_of_the_host_are_refused", ROOT, sysctls),
        case("devices_beyond_the_list_are_denied", ROOT, devices),
    ]
}

fn capabilities() -> Outcome {
    let (_, text) = run(shell("grep Cap /proc/self/status"))?;
    let docker = "00000000a80425fb";
    let none = "0000000000000000";
    let expected =
        format!("CapInh:\t{none}\nCapPrm:\t{docker}\nCapEff:\t{docker}\nCapBnd:\t{docker}\nCapAmb:\t{none}\n");
    same(&text, &expected)
}

fn filter() -> Outcome {
    let (_, text) = run(shell("grep Seccomp: /proc/self/status; unshare -U true || echo denied"))?;
    holds(text.contains("Seccomp:\t2") && text.contains("denied"), text)
}

fn no_new_privileges() -> Outcome {
    let mut spec = shell("grep NoNewPrivs /proc/self/status");
    let (_, text) = run(spec.clone())?;
    same(&text.as_str(), &"NoNewPrivs:\t0\n")?;
    spec.process.no_new_privileges = true;
    let (_, text) = run(spec.user(1000, 1000))?;
    same(&text.as_str(), &"NoNewPrivs:\t1\n")
}

fn masks() -> Outcome {
    let script = "head -c1 /proc/kcore | wc -c; head -c1 /proc/timer_list | wc -c; ls /sys/firmware | wc -l; \
                  echo 1 > /proc/sys/kernel/domainname && echo wrote; echo h > /proc/sysrq-trigger && echo wrote; \
                  mkdir /sys/x 2>/dev/null && echo made; touch /sys/fs/cgroup/x 2>/dev/null && echo made; \
                  umount /proc/kcore 2>/dev/null && echo unmounted; true";
    let (_, text) = run(shell(&format!("({script}) 2>/dev/null")))?;
    same(&text.as_str(), &"0\n0\n0\n")
}

fn descriptors() -> Outcome {
    // A descriptor that a careless host left open across execve.
    let careless = std::fs::File::open("/etc")?;
    nix::fcntl::fcntl(&careless, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    let list = "n=0; while test $n -lt 80; do test -e /proc/$$/fd/$n && echo $n; n=$((n+1)); done";
    let (_, text) = run(shell(list))?;
    same(&text.as_str(), &"0\n1\n2\n")?;
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(Spec::container(["sleep", "100"]), &scratch))?;
    let mut process = container.exec(Exec::new(["sh", "-c", list]).stdout(Stdio::Piped))?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut process.take_stdout().ok_or("no stream")?, &mut text)?;
    same(&text.as_str(), &"0\n1\n2\n")
}

fn working_folder() -> Outcome {
    for number in 0..20 {
        let scratch = Scratch::new();
        let spec =
            shell("pwd; ls -d /proc/self/cwd/../../../../etc/debian_version").cwd(format!("/proc/self/fd/{number}"));
        let outcome = runtime().run(&id(), launch(spec, &scratch));
        holds(matches!(outcome, Err(Error::WorkingFolder { .. })), format!("descriptor {number}: {outcome:?}"))?;
    }
    Ok(())
}

fn dev_link() -> Outcome {
    let outside = tempfile::tempdir()?;
    let scratch = Scratch::new();
    symlink(outside.path(), scratch.upper().join("dev"))?;
    let outcome = runtime().run(&id(), launch(shell("true"), &scratch));
    holds(matches!(outcome, Err(Error::Launch { .. })), format!("{outcome:?}"))?;
    same(&std::fs::read_dir(outside.path())?.count(), &0)
}

fn proc_link() -> Outcome {
    for name in ["proc", "sys"] {
        let scratch = Scratch::new();
        symlink("/tmp", scratch.upper().join(name))?;
        let outcome = runtime().run(&id(), launch(shell("true"), &scratch));
        holds(matches!(outcome, Err(Error::Launch { .. })), format!("{name}: {outcome:?}"))?;
    }
    Ok(())
}

fn target_link() -> Outcome {
    let (outside, volume) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::write(volume.path().join("mark"), "x")?;
    let scratch = Scratch::new();
    // The link names a folder of the host, and a way up and out.
    symlink(outside.path(), scratch.upper().join("a"))?;
    symlink("../../../../../../../tmp", scratch.upper().join("b"))?;
    let volume = volume.path().to_string_lossy().into_owned();
    let spec =
        shell("ls /tmp").mount(Mount::bind(volume.clone(), "/a/new", false)).mount(Mount::bind(volume, "/b", false));
    let outcome = run_launch(launch(spec, &scratch));
    same(&std::fs::read_dir(outside.path())?.count(), &0)?;
    if let Ok((_, text)) = outcome {
        same(&text.as_str(), &"mark\n")?;
    }
    Ok(())
}

/// A folder that is a link every other moment, while mounts are put on it.
fn racer() -> Outcome {
    let (outside, volume, root) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::write(volume.path().join("mark"), "x")?;
    for name in ["proc", "sys", "dev", "bin", "tmp"] {
        std::fs::create_dir(root.path().join(name))?;
    }
    std::fs::copy("/bin/busybox", root.path().join("bin/true"))?;
    let (flipping, way_out) = (root.path().join("a"), outside.path().to_owned());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = std::fs::create_dir(&flipping);
                let _ = std::fs::remove_dir_all(&flipping);
                let _ = symlink(&way_out, &flipping);
                let _ = std::fs::remove_file(&flipping);
            }
        });
        for _ in 0..40 {
            let source = volume.path().to_string_lossy().into_owned();
            let spec = Spec::container(["/bin/true"])
                .mount(Mount::bind(source.clone(), "/a/b/c", false))
                .mount(Mount::bind(format!("{source}/mark"), "/a/file", false))
                .cwd("/a/work");
            let launch = container_core::Launch::new(spec, container_core::Rootfs::Path(root.path().to_owned()));
            // It may fail, when the folder vanishes in between; it may not reach out.
            let _ = runtime().run(&id(), launch.cgroup_parent(super::support::parent()));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    same(&std::fs::read_dir(outside.path())?.count(), &0)
}

fn null_link() -> Outcome {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.upper().join("dev"))?;
    symlink("/proc/sysrq-trigger", scratch.upper().join("dev/null"))?;
    let script = "test -c /dev/null && head -c1 /proc/timer_list | wc -c; test -L /dev/null || echo device";
    let (_, text) = run_launch(launch(shell(script), &scratch))?;
    same(&text.as_str(), &"0\ndevice\n")
}

fn self_exe() -> Outcome {
    // At execve the link names the stub, which is sealed: it runs, finds no plan, and nothing can be written.
    let scratch = Scratch::new();
    let before = std::fs::read(std::env::current_exe()?)?;
    let mut container =
        runtime().run(&id(), launch(Spec::container(["/proc/self/exe"]), &scratch).stdout(Stdio::Piped))?;
    finish(&mut container)?;
    let script = "exec 3>>/proc/1/exe; for pid in /proc/[0-9]*; do echo x 3>>$pid/exe; done; true";
    run(shell(&format!("({script}) 2>/dev/null")))?;
    let same_bytes = before == std::fs::read(std::env::current_exe()?)?;
    holds(same_bytes, "the host's program changed")
}

fn read_only() -> Outcome {
    let volume = tempfile::tempdir()?;
    let path = volume.path().to_string_lossy().into_owned();
    let script = "touch /x 2>/dev/null && echo root; touch /vol/x 2>/dev/null && echo volume; touch /rw/y && echo rw; \
                  touch /dev/shm/z && echo shm";
    let spec = shell(script).read_only(true);
    let spec = spec.mount(Mount::bind(path.clone(), "/vol", true)).mount(Mount::bind(path, "/rw", false));
    let (_, text) = run(spec)?;
    same(&text.as_str(), &"rw\nshm\n")?;
    holds(volume.path().join("y").exists(), "the volume was not written")
}

fn no_host() -> Outcome {
    let (_, text) =
        run(shell("ls /; grep -c ' / / ' /proc/self/mountinfo; ls /proc/1/root/; wc -l < /proc/self/mountinfo"))?;
    let expected = "bin\ndev\netc\nproc\nroot\nsys\ntmp\n";
    holds(text.starts_with(expected) && !text.contains("debian_version"), text)
}

fn namespaces() -> Outcome {
    let (_, text) = run(shell("for kind in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$kind; done"))?;
    for line in text.lines() {
        let kind = line.split(':').next().unwrap_or_default();
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}"))?;
        holds(own.to_string_lossy() != line, format!("{kind} is the host's"))?;
    }
    same(&text.lines().count(), &6)
}

fn sysctls() -> Outcome {
    for key in [
        "kernel.core_pattern",
        "net/../kernel.core_pattern",
        "kernel.shm_rmid_forced+kernel.core_pattern",
        "vm.swappiness",
    ] {
        let scratch = Scratch::new();
        let mut spec = shell("true");
        spec.linux.sysctl.insert(key.to_owned(), "1".to_owned());
        let outcome = runtime().run(&id(), launch(spec, &scratch));
        holds(matches!(outcome, Err(Error::InvalidSpec { .. })), format!("{key}: {outcome:?}"))?;
    }
    let mut spec = shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced");
    spec.linux.sysctl.insert("net.ipv4.ip_forward".to_owned(), "1".to_owned());
    spec.linux.sysctl.insert("kernel.shm_rmid_forced".to_owned(), "1".to_owned());
    same(&run(spec)?.1.as_str(), &"1\n1\n")
}

fn devices() -> Outcome {
    let script = "mknod /tmp/mem c 1 1; head -c1 /tmp/mem || echo denied; head -c1 /dev/zero | wc -c; echo x > /dev/null && echo null";
    let (_, text) = run(shell(&format!("({script}) 2>/dev/null")))?;
    same(&text.as_str(), &"denied\n1\nnull\n")
}
