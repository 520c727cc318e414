//! Further processes in a container, and terminals.

use std::fs::File;
use std::io::{Read, Write};

use container_core::{Container, Error, Exec, Launch, Size, Spec, Status, Stdio};
use test_lane::{Failed, Outcome, Trial, case};

use super::support::{ROOT, Scratch, holds, id, launch, runtime, same, shell};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("exec_sees_what_the_container_sees", ROOT, exec_joins),
        case("exec_runs_as_another_user", ROOT, exec_user),
        case("exec_reports_its_failures", ROOT, exec_failures),
        case("a_terminal_has_a_size_and_job_control", ROOT, terminal),
        case("exec_with_a_terminal", ROOT, exec_terminal),
        case("containers_of_a_pod_share_namespaces", ROOT, pod),
        case("a_user_by_name_gets_groups_and_home", ROOT, user_by_name),
    ]
}

fn sleeper(scratch: &Scratch) -> Result<Container, Failed> {
    Ok(runtime().run(&id(), launch(Spec::container(["sleep", "1000"]).hostname("inside"), scratch))?)
}

fn output(container: &Container, exec: Exec) -> Result<(i32, String), Failed> {
    let mut process = container.exec(exec.stdout(Stdio::Piped).stderr(Stdio::Piped))?;
    let mut text = String::new();
    for stream in [process.take_stdout(), process.take_stderr()] {
        stream.ok_or("no stream")?.read_to_string(&mut text)?;
    }
    Ok((process.wait()?.code(), text))
}

fn exec_joins() -> Outcome {
    let scratch = Scratch::new();
    let container = sleeper(&scratch)?;
    let script = "hostname; pwd; for kind in mnt pid net ipc uts cgroup; do test $(readlink /proc/self/ns/$kind) = \
                  $(readlink /proc/1/ns/$kind) || echo other $kind; done; cat /proc/1/comm; exit 4";
    let (code, text) = output(&container, Exec::new(["sh", "-c", script]))?;
    same(&(code, text.as_str()), &(4, "inside\n/\nsleep\n"))?;
    holds(container.pids().len() == 1, "the ended process is still in the group")
}

fn exec_user() -> Outcome {
    let scratch = Scratch::new();
    let container = sleeper(&scratch)?;
    let script = "id -u; id -G; echo $HOME; pwd; grep -E '^Cap(Eff|Inh)' /proc/self/status";
    let (_, text) = output(&container, Exec::new(["sh", "-c", script]).user("web").cwd("/tmp").env("A", "b"))?;
    let none = "0000000000000000";
    same(&text, &format!("1000\n1000 2000\n/home/web\n/tmp\nCapInh:\t{none}\nCapEff:\t{none}\n"))
}

fn exec_failures() -> Outcome {
    let scratch = Scratch::new();
    let container = sleeper(&scratch)?;
    let code = |exec| container.exec(exec).map(|_| 0).map_err(|error| error.docker_exit_code());
    same(&code(Exec::new(["nothing-like-this"])), &Err(127))?;
    same(&code(Exec::new(["/etc/passwd"])), &Err(126))?;
    same(&code(Exec::new(["true"]).cwd("/etc/passwd")), &Err(126))?;
    same(&code(Exec::new(["true"]).user("nobody-known")), &Err(125))?;
    container.pause()?;
    same(&container.status()?, &Status::Paused)?;
    holds(matches!(container.exec(Exec::new(["true"])), Err(Error::WrongStatus { .. })), "exec into a paused one")?;
    container.resume()?;
    same(&code(Exec::new(["true"])), &Ok(0))
}

fn pod() -> Outcome {
    use container_core::NamespaceKind::{Ipc, Network, Pid, Uts};
    let (first, second) = (Scratch::new(), Scratch::new());
    let holder = runtime().run(&id(), launch(Spec::container(["sleep", "1000"]).hostname("pod"), &first))?;
    let script = "hostname; for kind in net ipc uts pid; do readlink /proc/self/ns/$kind; done; cat /proc/1/comm";
    let mut joining = launch(shell(script), &second).stdout(Stdio::Piped);
    for kind in [Network, Ipc, Uts, Pid] {
        joining = joining.join(kind, holder.namespace(kind)?);
    }
    let mut joined = runtime().run(&id(), joining)?;
    let (status, text) = super::support::finish(&mut joined)?;
    let mut expected = "pod\n".to_owned();
    for kind in ["net", "ipc", "uts", "pid"] {
        let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", holder.pid()))?;
        expected += &format!("{}\n", link.display());
    }
    same(&text, &(expected + "sleep\n"))?;
    holds(status.success(), "it failed")?;
    joined.delete()?;
    holder.delete()?;
    Ok(())
}

/// Reads the terminal until the text appears.
fn expect(terminal: &mut File, wanted: &str) -> Outcome {
    let mut seen = String::new();
    let mut byte = [0];
    while !seen.contains(wanted) {
        match terminal.read(&mut byte) {
            Ok(1) => seen.push(char::from(byte[0])),
            other => return Err(format!("{other:?} after {seen:?}").into()),
        }
    }
    Ok(())
}

fn terminal() -> Outcome {
    let scratch = Scratch::new();
    let spec = Spec::container(["sh"]);
    let launch = Launch::new(spec, scratch.rootfs()).cgroup_parent(super::support::parent());
    let container = runtime().run(&id(), launch.pty(Size { rows: 30, cols: 90 }))?;
    let mut terminal = File::from(container.pty_master()?.ok_or("no terminal")?);
    terminal.write_all(b"stty size; tty; echo end-$((1+1))\n")?;
    expect(&mut terminal, "30 90")?;
    expect(&mut terminal, "/dev/pts/0")?;
    expect(&mut terminal, "end-2")?;
    container.resize(Size { rows: 40, cols: 100 })?;
    terminal.write_all(b"stty size; echo here > /dev/console\n")?;
    expect(&mut terminal, "40 100")?;
    expect(&mut terminal, "here")?;
    // Job control: Ctrl-C reaches the foreground job and not the shell.
    terminal.write_all(b"sleep 1000\n")?;
    expect(&mut terminal, "sleep 1000")?;
    // Between fork and execve the job still has the shell's handler, and before that the shell has the terminal.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let in_front = || {
        let job = nix::unistd::tcgetpgrp(&terminal).unwrap_or(nix::unistd::Pid::from_raw(0));
        std::fs::read_to_string(format!("/proc/{job}/comm")).is_ok_and(|name| name.trim() == "sleep")
    };
    while !in_front() && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    terminal.write_all(&[3])?;
    terminal.write_all(b"echo status-$?; exit 5\n")?;
    expect(&mut terminal, "status-130")?;
    same(&container.wait()?.code(), &5)
}

fn exec_terminal() -> Outcome {
    let scratch = Scratch::new();
    let container = sleeper(&scratch)?;
    let process = container
        .exec(Exec::new(["sh", "-c", "tty; stty size; id -u"]).user("1000").pty(Size { rows: 7, cols: 70 }))?;
    let mut terminal = File::from(process.pty_master()?.ok_or("no terminal")?);
    expect(&mut terminal, "/dev/pts/0")?;
    expect(&mut terminal, "7 70")?;
    expect(&mut terminal, "1000")?;
    same(&process.wait()?.code(), &0)
}

fn user_by_name() -> Outcome {
    let scratch = Scratch::new();
    let launch = launch(shell("id -u; id -g; id -G; echo $HOME; umask"), &scratch).user("web:data");
    let (_, text) = super::support::run_launch(launch)?;
    same(&text.as_str(), &"1000\n2000\n2000\n/home/web\n0022\n")
}
