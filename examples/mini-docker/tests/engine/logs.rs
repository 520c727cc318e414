//! `logs`: both streams, the end of them, following, rotation, Docker's file format.

use test_lane::{Need, Outcome, case};

use crate::world::{World, has, same, wait_with_deadline};

const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("logs_keep_streams_tail_and_time", ROOT, queries),
        case("logs_follow_to_the_end", ROOT, follow),
        case("logs_rotate_by_default_and_by_option", ROOT, rotation),
        case("logs_none_says_so", ROOT, none),
    ]
}

fn queries() -> Outcome {
    let world = World::new()?;
    let script = "for i in 1 2 3 4; do echo line $i; done; echo oops >&2; printf 'no newline'";
    world.ok(&["run", "--name", "box", "base", "sh", "-c", script])?;
    let did = world.run(&["logs", "box"])?;
    same(did.out.as_str(), "line 1\nline 2\nline 3\nline 4\nno newline")?;
    same(did.err.as_str(), "oops\n")?;
    let tail = world.run(&["logs", "--tail", "3", "box"])?;
    same(tail.out.lines().count() + tail.err.lines().count(), 3)?;
    let stamped = world.ok(&["logs", "-t", "--tail", "1", "box"])?;
    has(&stamped, "Z ")?;
    same(stamped.find('Z'), Some(29))?;
    same(world.ok(&["logs", "--since", "1h", "box"])?.lines().count(), 5)?;
    same(world.ok(&["logs", "--until", "1h", "box"])?, String::new())?;
    has(&world.fails(1, &["logs", "--since", "yesterday", "box"])?, "is not a time")?;
    let path = world.inspect("box", ".LogPath")?;
    let file = std::fs::read_to_string(path)?;
    has(&file, "{\"log\":\"line 1\\n\",\"stream\":\"stdout\",\"time\":\"20")
}

fn follow() -> Outcome {
    let world = World::new()?;
    let script = "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo last";
    world.ok(&["run", "-d", "--name", "box", "base", "sh", "-c", script])?;
    world.until_logged("box", "first")?;
    let follower = world.spawn(&["logs", "-f", "box"])?;
    world.ok(&["exec", "box", "touch", "/go"])?;
    let output = wait_with_deadline(follower)?;
    same(String::from_utf8_lossy(&output.stdout).into_owned(), "first\nlast\n".to_owned())
}

fn rotation() -> Outcome {
    let world = World::new()?;
    same(world.run(&["create", "--name", "usual", "base", "true"])?.code, 0)?;
    let script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done";
    let args = ["run", "--name", "box", "--log-opt", "max-size=4k", "--log-opt", "max-file=2", "base", "sh", "-c"];
    same(world.run(&[&args[..], &[script]].concat())?.code, 0)?;
    let folder = std::path::PathBuf::from(world.inspect("box", ".LogPath")?);
    let files = std::fs::read_dir(folder.parent().ok_or("no folder")?)?.count();
    same(files, 2)?;
    let kept = world.ok(&["logs", "box"])?;
    same(kept.lines().last(), Some("line 399"))?;
    same(kept.lines().count() < 400, true)
}

fn none() -> Outcome {
    let world = World::new()?;
    same(world.run(&["run", "--name", "box", "--log-driver", "none", "base", "echo", "hi"])?.out, "hi\n".to_owned())?;
    has(&world.fails(1, &["logs", "box"])?, "does not support reading")
}
