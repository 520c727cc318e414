//! Commands that change containers: start, stop, restart, kill, rm, pause, wait, rename.

use std::collections::BTreeSet;

use container_core::Signal;
use container_core::supervisor::{StartOptions, Started, Status, Time};

use super::attach::Supervised;
use super::run::finish;
use super::{each, say, tell};
use crate::cli::{ContainerNames, KillArgs, RenameArgs, RmArgs, StartArgs, StopArgs};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::session::{DetachKeys, Options, Signals, hold, size_of_terminal};

pub(super) fn start(engine: &Engine, args: &StartArgs) -> Result<u8> {
    if args.all_by_policy {
        return start_by_policy(engine);
    }
    if !args.attach && !args.interactive {
        return each(&args.containers, |name| {
            let dir = engine.state().find(name)?;
            engine.operator().start(&dir, StartOptions::default())?;
            say(name)
        });
    }
    let [name] = args.containers.as_slice() else {
        return Err(Error::usage("you cannot start and attach multiple containers at once"));
    };
    let keys = DetachKeys::parse(&args.detach_keys).map_err(Error::usage)?;
    let dir = engine.state().find(name)?;
    let definition = dir.definition()?;
    let stdin = args.interactive && definition.stdin;
    let signals = Signals::catch()?;
    let size = size_of_terminal().filter(|_| definition.terminal);
    match engine.operator().start(&dir, StartOptions { attach: true, stdin, size })? {
        Started::Already => Err(Error::Refused { message: format!("container {name} is running: use attach") }),
        Started::Now(control) => {
            let options = Options { stdin, terminal: definition.terminal, proxy_signals: true, detach: keys };
            finish(hold(&mut Supervised::new(control, &definition), options, &signals)?)
        }
    }
}

/// Starts what ran before the reboot and whose policy wants it running.
fn start_by_policy(engine: &Engine) -> Result<u8> {
    let mut failed = false;
    for seen in engine.see_all()?.into_iter().rev() {
        let ran = seen.state.started_at != Time::NEVER && seen.state.status == Status::Exited;
        let wanted = seen.definition.restart.starts_at_boot(seen.state.exit_code, seen.state.stopped_by_user);
        if !ran || !wanted {
            continue;
        }
        match engine.operator().start(&seen.dir, StartOptions::default()) {
            Ok(_) => say(&seen.definition.name)?,
            Err(error) => {
                tell(&error.into());
                failed = true;
            }
        }
    }
    if failed { Err(Error::Told) } else { Ok(0) }
}

fn parse_signal(text: Option<&str>) -> Result<Option<Signal>> {
    let parse = |text: &str| text.parse().map_err(|_| Error::Refused { message: format!("Invalid signal: {text}") });
    text.map(parse).transpose()
}

pub(super) fn stop(engine: &Engine, args: &StopArgs) -> Result<u8> {
    let signal = parse_signal(args.signal.as_deref())?;
    each(&args.containers, |name| {
        engine.operator().stop(&engine.state().find(name)?, signal, args.timeout)?;
        say(name)
    })
}

pub(super) fn restart(engine: &Engine, args: &StopArgs) -> Result<u8> {
    let signal = parse_signal(args.signal.as_deref())?;
    each(&args.containers, |name| {
        engine.operator().restart(&engine.state().find(name)?, signal, args.timeout)?;
        say(name)
    })
}

pub(super) fn kill(engine: &Engine, args: &KillArgs) -> Result<u8> {
    let signal = parse_signal(Some(&args.signal))?.unwrap_or(Signal::KILL);
    each(&args.containers, |name| {
        engine.operator().kill(&engine.state().find(name)?, signal)?;
        say(name)
    })
}

pub(super) fn rm(engine: &Engine, args: &RmArgs) -> Result<u8> {
    let mut done = BTreeSet::new();
    each(&args.containers, |name| {
        let dir = match engine.state().find(name) {
            // Named twice, or gone as was asked for.
            Err(_) if done.contains(name) => return Ok(()),
            other => other?,
        };
        engine.remove(&dir, args.force, args.volumes)?;
        done.insert(name.to_owned());
        say(name)
    })
}

pub(super) fn pause(engine: &Engine, args: &ContainerNames, pause: bool) -> Result<u8> {
    each(&args.containers, |name| {
        engine.operator().pause(&engine.state().find(name)?, pause)?;
        say(name)
    })
}

pub(super) fn wait(engine: &Engine, args: &ContainerNames) -> Result<u8> {
    each(&args.containers, |name| {
        let code = engine.operator().wait(&engine.state().find(name)?)?;
        say(&code.to_string())
    })
}

pub(super) fn rename(engine: &Engine, args: &RenameArgs) -> Result<u8> {
    let dir = engine.state().find(&args.container)?;
    if dir.definition()?.name == args.name {
        let message = "Renaming a container with the same name as its current name".to_owned();
        return Err(Error::Refused { message });
    }
    engine.state().rename(&dir, args.name.strip_prefix('/').unwrap_or(&args.name))?;
    Ok(0)
}
