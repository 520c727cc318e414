//! A pod's phase from the states of its containers: upstream's cases, one letter for each container.
//!
//! `r` running, `s` ended with 0, `f` ended with 1, `-` not there yet.

use orchestrate_core::node::{Exit, Facts, Machine, NodePolicy, Run, RunState, Sandbox};
use orchestrate_core::objects::*;
use orchestrate_core::{Resource, Time};
use serde_json::json;

const NOW: Time = Time::from_secs(1000);

fn run(letter: char) -> Option<Run> {
    let exit = |code| {
        let (started, finished) = (Time::from_secs(900), Time::from_secs(999));
        RunState::Exited(Exit {
            code,
            signal: None,
            oom: false,
            started,
            finished,
            message: String::new(),
            id: "x".into(),
        })
    };
    let state = match letter {
        'r' => RunState::Running { since: Time::from_secs(900) },
        's' => exit(0),
        'f' => exit(1),
        _ => return None,
    };
    Some(Run { attempt: 0, id: "x".into(), image_id: String::new(), state, stopping: None, previous: None })
}

fn phase(policy: &str, init: &str, sidecar: &str, main: &str) -> PodPhase {
    let mut facts = Facts { sandbox: Sandbox::Ready { ip: "10.0.0.1".into() }, ..Facts::default() };
    let mut containers = |prefix: &str, letters: &str, restart: Option<&str>| -> Vec<serde_json::Value> {
        let mut all = Vec::new();
        for (n, letter) in letters.chars().enumerate() {
            let name = format!("{prefix}{n}");
            facts.containers.extend(run(letter).map(|run| (name.clone(), run)));
            all.push(json!({"name": name, "image": "i", "restartPolicy": restart}));
        }
        all
    };
    let mut inits = containers("init", init, None);
    inits.extend(containers("sidecar", sidecar, Some("Always")));
    let mains = containers("main", main, None);
    let json = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d"},
        "spec": {"restartPolicy": policy, "initContainers": inits, "containers": mains}});
    let pod = Pod::from_object(Object::from_json(json).unwrap()).unwrap();
    Machine::new(NodePolicy::default()).step(&pod, &facts, NOW).status.phase.unwrap()
}

#[test]
fn phases() {
    use PodPhase::{Failed, Pending, Running, Succeeded};
    for (policy, init, sidecar, main, want) in [
        ("Always", "", "", "--", Pending),
        ("Always", "", "", "rr", Running),
        ("Always", "", "", "ss", Running),
        ("Always", "", "", "ff", Running),
        ("Always", "", "", "rf", Running),
        ("Always", "", "", "r-", Pending),
        ("OnFailure", "", "", "--", Pending),
        ("OnFailure", "", "", "rr", Running),
        ("OnFailure", "", "", "ss", Succeeded),
        ("OnFailure", "", "", "ff", Running),
        ("OnFailure", "", "", "rs", Running),
        ("OnFailure", "", "", "r-", Pending),
        ("Never", "", "", "rr", Running),
        ("Never", "", "", "ss", Succeeded),
        ("Never", "", "", "ff", Failed),
        ("Never", "", "", "sf", Failed),
        ("Never", "", "", "rs", Running),
        ("Never", "", "", "rf", Running),
        ("Never", "", "", "r-", Pending),
        ("Always", "-", "", "--", Pending),
        ("Always", "r", "", "--", Pending),
        ("Always", "f", "", "--", Pending),
        ("Always", "s", "", "--", Pending),
        ("Always", "s", "", "rr", Running),
        ("OnFailure", "f", "", "--", Pending),
        ("Never", "r", "", "--", Pending),
        ("Never", "f", "", "--", Failed),
        ("Never", "s", "", "rr", Running),
        ("Always", "", "r", "--", Pending),
        ("Always", "", "s", "--", Pending),
        ("Always", "", "r", "r-", Pending),
        ("Always", "", "r", "rr", Running),
        ("Always", "", "s", "rr", Running),
        ("Always", "", "f", "rr", Running),
        ("Never", "", "f", "ss", Succeeded),
        ("Never", "", "r", "sf", Failed),
        ("OnFailure", "s", "r", "ss", Succeeded),
    ] {
        assert_eq!(
            phase(policy, init, sidecar, main),
            want,
            "{policy}: init {init:?} sidecar {sidecar:?} main {main:?}"
        );
    }
}
