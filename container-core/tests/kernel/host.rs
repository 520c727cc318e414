//! What a launch means for the program that makes it: threads, stolen statuses, nothing left.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use container_core::{Adopted, Ended, Error, ExitStatus, Runtime, Signal, Spec};
use nix::sys::wait::{WaitPidFlag, waitpid};
use test_lane::{Failed, Outcome, Trial, case};

use super::support::{ROOT, Scratch, holds, id, launch, runtime, same, shell};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("launches_among_busy_threads_never_hang", ROOT, threads),
        case("nothing_is_left_after_many_launches", ROOT, leaks),
        case("a_stolen_status_is_found_or_lost_never_invented", ROOT, stolen),
        case("a_container_is_adopted_by_its_record", ROOT, adopted),
        case("a_dropped_container_is_gone", ROOT, dropped),
        case("the_hosts_own_state_is_untouched", ROOT, untouched),
        case("exec_never_shows_the_hosts_memory", ROOT, memory_race),
    ]
}

/// How many launches the long cases make: the gate takes a slice, a soak sets the variable.
fn count(usual: usize) -> usize {
    std::env::var("CONTAINER_CORE_LAUNCHES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[allow(unsafe_code, reason = "setting the environment beside other threads is exactly what is tried here")]
fn set_variable(round: usize) {
    // SAFETY: no other thread of this test reads the environment; the launch must not either, or it would hang.
    unsafe { std::env::set_var("CORE_TEST_NOISE", format!("{round}")) };
}

fn threads() -> Outcome {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let stop = &stop;
            scope.spawn(move || {
                let mut round = 0_usize;
                while !stop.load(Ordering::Relaxed) {
                    let kept: Vec<Vec<u8>> = (1..40).map(|size| vec![0; size * 97]).collect();
                    std::hint::black_box(&kept);
                    if thread == 0 {
                        set_variable(round);
                    }
                    if thread == 1 && round.is_multiple_of(512) {
                        eprint!("");
                    }
                    round += 1;
                }
            });
        }
        let outcome = (|| -> Outcome {
            for _ in 0..count(150) {
                let scratch = Scratch::new();
                let container = runtime().run(&id(), launch(Spec::container(["true"]), &scratch))?;
                let status = container.wait_timeout(std::time::Duration::from_secs(30))?;
                same(&status.map(|status| status.code()), &Some(0))?;
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

fn descriptors() -> Result<usize, Failed> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn children() -> Result<usize, Failed> {
    Ok(std::fs::read_to_string(format!("/proc/self/task/{0}/children", std::process::id()))?.split_whitespace().count())
}

fn groups() -> usize {
    let cgroups = &runtime().host().cgroups;
    let mounts = cgroups.v1.values().chain(cgroups.v2.as_ref().map(|unified| &unified.mount));
    let below = mounts.map(|mount| mount.join(super::support::parent().trim_start_matches('/')));
    let folders = below.filter_map(|path| std::fs::read_dir(path).ok());
    folders.flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).count()
}

fn mounts() -> Result<usize, Failed> {
    let text = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(text.lines().filter(|line| line.contains("/core-")).count())
}

fn leaks() -> Outcome {
    let once = || -> Outcome {
        let scratch = Scratch::new();
        let container = runtime().run(&id(), launch(shell("exit 0"), &scratch))?;
        container.wait()?;
        // Failures must leave nothing either.
        let failed = Scratch::new();
        holds(runtime().run(&id(), launch(Spec::container(["/no/such"]), &failed)).is_err(), "it ran")?;
        let parked = Scratch::new();
        drop(runtime().create(&id(), launch(shell("exit 0"), &parked))?);
        Ok(())
    };
    once()?;
    let before = (descriptors()?, children()?, groups(), mounts()?);
    for _ in 0..count(30) {
        once()?;
    }
    same(&(descriptors()?, children()?, groups(), mounts()?), &before)
}

fn stolen() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(shell("exit 42"), &scratch))?;
    // What careless hosts do in a SIGCHLD handler, only for this one child: the other cases' must stay.
    let pid = nix::unistd::Pid::from_raw(container.pid());
    waitpid(pid, Some(WaitPidFlag::empty()))?;
    let status = container.wait()?;
    let newer = runtime().host().kernel >= (6, 15);
    same(&status.ended, &if newer { Ended::Exited(42) } else { ExitStatus::LOST.ended })
}

fn adopted() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(Spec::container(["sleep", "100"]), &scratch))?;
    let record = container.record()?;
    let record = serde_json::from_str(&serde_json::to_string(&record)?)?;
    container.detach();
    let other = Runtime::new()?;
    let Adopted::Running(container) = other.adopt(&record)? else { return Err("it was not found".into()) };
    let process = container.exec(container_core::Exec::new(["true"]))?;
    same(&process.wait()?.code(), &0)?;
    container.kill(Signal::TERM)?;
    container.kill(Signal::KILL)?;
    same(&container.wait()?.code(), &137)?;
    holds(matches!(other.adopt(&record)?, Adopted::Gone), "a dead one was adopted")?;
    let mut elsewhen = record.clone();
    elsewhen.boot_id = "another".to_owned();
    holds(matches!(other.adopt(&elsewhen)?, Adopted::Gone), "one of another boot was adopted")?;
    let mut reused = record.clone();
    reused.pid = i32::try_from(std::process::id())?;
    holds(matches!(other.adopt(&reused)?, Adopted::Gone), "another process was adopted")?;
    container.delete()?;
    Ok(())
}

fn dropped() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(Spec::container(["sleep", "100"]), &scratch))?;
    let pid = container.pid();
    drop(container);
    holds(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it still exists")
}

fn untouched() -> Outcome {
    let state = || -> Result<_, Failed> {
        let status = std::fs::read_to_string("/proc/thread-self/status")?;
        let masks: BTreeSet<String> = status
            .lines()
            .filter(|line| line.starts_with("Sig") || line.starts_with("Umask"))
            .map(str::to_owned)
            .collect();
        Ok((std::env::current_dir()?, masks, std::fs::read_link("/proc/self/ns/mnt")?))
    };
    let before = state()?;
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(shell("umask 77; cd /tmp; exit 0"), &scratch))?;
    container.wait()?;
    same(&state()?, &before)?;
    let scratch = Scratch::new();
    let error = runtime().run(&id(), launch(shell("true").cwd("/etc/passwd"), &scratch));
    holds(matches!(error, Err(Error::WorkingFolder { .. })), "it ran")?;
    same(&state()?, &before)
}

/// A process inside, with the usual capabilities, looks into every process that appears while others join.
fn memory_race() -> Outcome {
    static SECRET: &str = "the-secret-of-the-embedding-program";
    let secret = SECRET.repeat(4);
    let scratch = Scratch::new();
    let attack = "while :; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$$) ;; *) \
                  grep -c the-secret-of $p/environ $p/cmdline $p/maps; readlink $p/exe; \
                  dd if=$p/mem of=/tmp/stolen bs=4096 count=1 skip=0; esac; done; done 2>/dev/null >> /tmp/log";
    let spec = shell(attack);
    let container = runtime().run(&id(), launch(spec, &scratch))?;
    for _ in 0..count(60) {
        let process = container.exec(container_core::Exec::new(["true"]))?;
        same(&process.wait()?.code(), &0)?;
    }
    drop(container);
    let log = std::fs::read_to_string(scratch.upper().join("tmp/log")).unwrap_or_default();
    holds(!log.contains("kernel-") && !log.contains("container-child"), format!("a host program was seen: {log}"))?;
    holds(!log.lines().any(|line| line.contains(":1")), "the secret was found")?;
    std::hint::black_box(secret);
    Ok(())
}
