//! Limits that are really in force, and what they count.

use container_core::spec::{Cpu, Memory, Pids, Resources};
use container_core::{Ended, Runtime, Signal, Spec, Status, Stdio};
use test_lane::{Failed, Outcome, Trial, case};

use super::support::{ROOT, Scratch, finish, holds, id, launch, run, runtime, same, shell};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("memory_is_limited_and_the_kill_is_seen", ROOT, memory),
        case("processes_are_limited", ROOT, pids),
        case("the_cpu_quota_stands_in_the_group", ROOT, cpu),
        case("usage_is_counted_and_limits_change", ROOT, stats),
        case("pause_stops_and_resume_goes_on", ROOT, pause),
        case("a_paused_container_can_be_dropped", ROOT, paused_drop),
        case("on_a_pure_v2_machine_devices_are_a_program", ROOT, unified_devices),
        case("on_a_pure_v1_machine_the_freezer_pauses", ROOT, v1_freezer),
        case("kill_all_reaches_everything", ROOT, kill_all),
    ]
}

fn resources(memory: Option<i64>, pids: Option<i64>) -> Resources {
    Resources {
        memory: memory.map(|limit| Memory { limit: Some(limit), swap: Some(limit), ..Memory::default() }),
        pids: pids.map(|limit| Pids { limit }),
        ..Resources::default()
    }
}

fn memory() -> Outcome {
    let spec = Spec::container(["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]);
    let (status, _) = run(spec.resources(resources(Some(32 << 20), None)))?;
    same(&status.ended, &Ended::Signaled { signal: Signal::KILL, core: false })?;
    holds(status.oom_killed, "the kill for lack of memory was not seen")?;
    let (status, _) = run(Spec::container(["true"]).resources(resources(Some(32 << 20), None)))?;
    holds(!status.oom_killed && status.success(), "a kill was seen that did not happen")
}

fn pids() -> Outcome {
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo unreached";
    let (_, text) = run(shell(script).resources(resources(None, Some(5))))?;
    holds(text.contains("fork") && !text.contains("unreached"), text)
}

fn cpu() -> Outcome {
    let scratch = Scratch::new();
    let cpu = Cpu { quota: Some(50_000), period: Some(100_000), shares: Some(512), ..Cpu::default() };
    let spec = Spec::container(["sleep", "100"]).resources(Resources { cpu: Some(cpu), ..Resources::default() });
    let container = runtime().run(&id(), launch(spec, &scratch))?;
    let own = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid()))?;
    let Some((_, path)) = own.lines().find_map(|line| line.split_once(":cpu:")) else {
        let path = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or("no cpu group")?;
        let unified = runtime().host().cgroups.v2.clone().ok_or("no unified hierarchy")?;
        let read = |file: &str| std::fs::read_to_string(format!("{}{path}/{file}", unified.mount.display()));
        same(&read("cpu.max")?.trim(), &"50000 100000")?;
        return same(&read("cpu.weight")?.trim(), &"20");
    };
    let mount = runtime().host().cgroups.v1.get("cpu").ok_or("no cpu controller")?;
    let read = |file: &str| std::fs::read_to_string(format!("{}{path}/{file}", mount.display()));
    same(&read("cpu.cfs_quota_us")?.trim(), &"50000")?;
    same(&read("cpu.shares")?.trim(), &"512")
}

fn stats() -> Outcome {
    let scratch = Scratch::new();
    let spec = Spec::container(["sleep", "100"]).resources(resources(Some(64 << 20), Some(10)));
    let container = runtime().run(&id(), launch(spec, &scratch))?;
    let stats = container.stats();
    same(&stats.memory_limit, &Some(64 << 20))?;
    same(&stats.pids, &Some(1))?;
    holds(stats.cpu_nanos.is_some_and(|nanos| nanos > 0), "no processor time")?;
    container.update(&resources(Some(128 << 20), None))?;
    same(&container.stats().memory_limit, &Some(128 << 20))?;
    container.update(&resources(Some(48 << 20), None))?;
    same(&container.stats().memory_limit, &Some(48 << 20))
}

fn pause() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(Spec::container(["sleep", "100"]), &scratch))?;
    container.pause()?;
    same(&container.status()?, &Status::Paused)?;
    holds(container.pause().is_err(), "paused twice")?;
    container.resume()?;
    same(&container.status()?, &Status::Running)?;
    container.kill(Signal::KILL)?;
    same(&container.wait()?.code(), &137)
}

fn paused_drop() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(Spec::container(["sleep", "100"]), &scratch))?;
    container.pause()?;
    let pid = container.pid();
    drop(container);
    holds(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it still exists")
}

/// A runtime that believes in one half of this machine's cgroups only.
fn half(unified: bool) -> Result<Runtime, Failed> {
    let mut host = runtime().host().clone();
    if unified {
        host.cgroups.v1.clear();
    } else {
        host.cgroups.v2 = None;
    }
    Ok(Runtime::with_host(host))
}

fn unified_devices() -> Outcome {
    if runtime().host().cgroups.v2.is_none() {
        return Ok(());
    }
    let scratch = Scratch::new();
    let script = "mknod /tmp/mem c 1 1; head -c1 /tmp/mem || echo denied; head -c1 /dev/zero | wc -c; echo x > /dev/null && echo null; \
                  grep -c cgroup2 /proc/self/mountinfo";
    let launch = launch(shell(&format!("({script}) 2>/dev/null")), &scratch).stdout(Stdio::Piped);
    let mut container = half(true)?.run(&id(), launch)?;
    same(&finish(&mut container)?.1.as_str(), &"denied\n1\nnull\n1\n")
}

fn v1_freezer() -> Outcome {
    if !runtime().host().cgroups.v1.contains_key("freezer") {
        return Ok(());
    }
    let scratch = Scratch::new();
    let container = half(false)?.run(&id(), launch(Spec::container(["sleep", "100"]), &scratch))?;
    container.pause()?;
    same(&container.status()?, &Status::Paused)?;
    container.resume()?;
    same(&container.status()?, &Status::Running)?;
    container.pause()?;
    container.delete()?;
    Ok(())
}

fn kill_all() -> Outcome {
    let scratch = Scratch::new();
    let spec = shell("sleep 100 & sleep 100 & wait").share(container_core::NamespaceKind::Pid);
    let container = runtime().run(&id(), launch(spec, &scratch))?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while container.pids().len() < 3 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    let pids = container.pids();
    same(&pids.len(), &3)?;
    container.kill_all(Signal::KILL)?;
    same(&container.wait()?.code(), &137)?;
    container.delete()?;
    // Without a pid namespace the others are reaped by the machine's first process, in its own time.
    let gone =
        |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    holds(pids.iter().all(gone), "a process survived")
}
