//! Every error once, as a user reads it: the quality of messages is reviewed as text in `errors.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test errors` writes what was found.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use container_core::{ContainerId, Error, Problem, Status};

fn all() -> Vec<Error> {
    let id = || ContainerId::new("web").expect("a valid name");
    let denied = || io::Error::from_raw_os_error(13);
    let problem = |field: &str, what: &str| Problem { field: field.into(), what: what.into() };
    let malformed = serde_json::from_str::<serde_json::Value>("{").expect_err("no JSON");
    vec![
        Error::InvalidId { id: "a/b".into(), reason: "may hold letters, digits and _ . + - only" },
        Error::InvalidSpec {
            problems: vec![problem("process.args", "is empty"), problem("process.cwd", "is not an absolute path")],
        },
        Error::Malformed { source: malformed },
        Error::WrongStatus { id: id(), need: Status::Running, found: Status::Paused },
        Error::Unsupported { feature: "pausing".into(), hint: "the container has no control group".into() },
        Error::Launch {
            id: id(),
            step: 46,
            steps: 91,
            op: "attach </proc> on /proc no-links".into(),
            origin: "mounts[0]".into(),
            source: io::Error::from_raw_os_error(40),
        },
        Error::ChildLost { id: id(), how: "killed by SIGKILL".into() },
        Error::CommandNotFound { command: "no-such".into() },
        Error::NotExecutable { command: "/etc/passwd".into(), source: denied() },
        Error::WorkingFolder { path: "/etc/passwd".into(), source: io::Error::from_raw_os_error(20) },
        Error::UnknownUser { user: "nobody-here".into(), reason: "no matching entries in passwd file".into() },
        Error::UnknownSignal { text: "SIGNOT".into() },
        Error::Io { doing: "write", path: PathBuf::from("/sys/fs/cgroup/x/memory.max"), source: denied() },
        Error::Kernel { doing: "clone", source: denied() },
    ]
}

/// The chain as the binaries print it.
fn line(error: &Error) -> String {
    let mut text = format!("{} {error}", error.docker_exit_code());
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text + "\n"
}

#[test]
fn messages_are_as_reviewed() {
    let found: String = all().iter().map(line).collect();
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/errors.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).expect("a writable golden file");
    }
    assert_eq!(found, std::fs::read_to_string(golden).unwrap_or_default());
}

#[test]
fn no_message_repeats_its_source_or_ends_in_a_full_stop() {
    for error in all() {
        let text = error.to_string();
        assert!(!text.ends_with('.') && !text.starts_with(char::is_uppercase), "{text}");
        if let Some(source) = error.source() {
            assert!(!text.contains(&source.to_string()), "{text}");
        }
    }
}
