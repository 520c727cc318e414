//! The demo and the commands, end to end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_lane::Outcome;

use crate::support::{Cluster, Traces, nothing_left_of, wait};

pub(crate) fn holds_and_leaves_nothing_behind() -> Outcome {
    let before = Traces::now()?;
    let folder = Cluster::folder()?;
    let said = folder.ok(&["demo"])?;
    for step in [
        "three pods Ready, spread",
        "requests balanced",
        "kill -9 of a process",
        "delete pod",
        "node switched off",
        "scale to 5",
        "rolling update to 1.1.0",
        "broken image, rollout undo",
        "two containers, one pod",
        "everything tidied",
        "0 wrong answers",
        "0 failed while pods were scaled",
    ] {
        if !said.contains(step) {
            return Err(format!("{step:?} is not in the summary:\n{said}").into());
        }
    }
    if folder.root().exists() {
        return Err("the state folder is left".into());
    }
    nothing_left_of(&folder.root(), &before)
}

pub(crate) fn is_tidied_after_ctrl_c() -> Outcome {
    let before = Traces::now()?;
    let folder = Cluster::folder()?;
    let mut child = folder.command(&["demo"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let out = child.stdout.take().ok_or("no standard output")?;
    // In the middle of things: after the third step.
    let steps = BufReader::new(out).lines().map_while(Result::ok).filter(|line| line.starts_with("  ok"));
    drop(steps.take(3).collect::<Vec<_>>());
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    let status = wait(&mut child)?;
    if status.success() {
        return Err("an interrupted demo ended with success".into());
    }
    if folder.root().exists() {
        return Err("the state folder is left".into());
    }
    nothing_left_of(&folder.root(), &before)
}

const SLEEPER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: sleeper, labels: {app: sleeper}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: base:latest
    command: [sh, -c, 'echo hello from $(NAME); exec sleep 1000']
    env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
";

pub(crate) fn commands_speak_as_kubectl_does() -> Outcome {
    let cluster = Cluster::up()?;
    let said = cluster.apply(SLEEPER)?;
    same(&String::from_utf8_lossy(&said.stdout), "pod/sleeper created\n")?;
    let again = cluster.apply(SLEEPER)?;
    same(&String::from_utf8_lossy(&again.stdout), "pod/sleeper unchanged\n")?;
    let json = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}"#;
    same(&String::from_utf8_lossy(&cluster.apply(json)?.stdout), "configmap/settings created\n")?;
    let table = cluster.eventually(&["get", "pods"], &["sleeper", "1/1", "Running"])?;
    if !table.starts_with("NAME ") || !table.contains("RESTARTS") {
        return Err(format!("these are not kubectl's columns:\n{table}").into());
    }
    cluster.eventually(&["logs", "sleeper"], &["hello from sleeper\n"])?;
    same(&cluster.ok(&["exec", "sleeper", "--", "sh", "-c", "echo $NAME; exit 0"])?, "sleeper\n")?;
    let failed = cluster.run(&["exec", "sleeper", "--", "sh", "-c", "exit 7"])?;
    same(&format!("{:?}", failed.status.code()), "Some(7)")?;
    let described = cluster.ok(&["describe", "pod", "sleeper"])?;
    for wanted in ["Name:", "sleeper", "Scheduled", "Started"] {
        if !described.contains(wanted) {
            return Err(format!("{wanted:?} not in:\n{described}").into());
        }
    }
    let yaml = cluster.ok(&["get", "pod", "sleeper", "-o", "yaml"])?;
    if !yaml.contains("kind: Pod") {
        return Err(format!("no YAML:\n{yaml}").into());
    }
    same(&cluster.ok(&["delete", "pod", "sleeper"])?, "pod \"sleeper\" deleted\n")?;
    cluster.ok(&["down"]).map(drop)
}

fn same(seen: &str, wanted: &str) -> Outcome {
    if seen == wanted { Ok(()) } else { Err(format!("{seen:?} instead of {wanted:?}").into()) }
}
