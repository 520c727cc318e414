//! `run` and `create`.

use std::fs::OpenOptions;
use std::io::Write;

use container_core::supervisor::{ContainerDir, Definition, StartOptions, Started};

use super::attach::Supervised;
use super::{obtain, say, tell};
use crate::cli::{CreateArgs, CreateFlags, RunArgs};
use crate::create;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::session::{DetachKeys, Ended, Options, Signals, hold, size_of_terminal, stdin_is_terminal};

pub(super) fn create(engine: &Engine, args: &CreateArgs) -> Result<u8> {
    let (_, definition) = make(engine, &args.create)?;
    say(&definition.id)?;
    Ok(0)
}

/// Makes the container: image, definition, folder. Whatever fails leaves nothing.
fn make(engine: &Engine, flags: &CreateFlags) -> Result<(ContainerDir, Definition)> {
    let name = flags.image_and_command.first().map(String::as_str).unwrap_or_default();
    if let Some(path) = flags.cidfile.as_ref().filter(|path| path.exists()) {
        let message = format!(
            "container ID file found, make sure the other container isn't running or delete {}",
            path.display()
        );
        return Err(Error::Refused { message });
    }
    let image = obtain::image(engine, name, flags.pull, flags.platform.as_deref(), flags.quiet)?;
    let mut definition = create::definition(flags, &image)?;
    let dir = engine.state().create(&mut definition)?;
    // A hold without a container counts as stale, so the container comes first.
    let held = engine.store().hold(&definition.id, &image).map_err(Error::from);
    if let Err(error) = held.and_then(|()| write_cidfile(flags, &definition.id)) {
        engine.remove(&dir, true, true)?;
        return Err(error);
    }
    Ok((dir, definition))
}

fn write_cidfile(flags: &CreateFlags, id: &str) -> Result<()> {
    let Some(path) = &flags.cidfile else { return Ok(()) };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(id.as_bytes())).map_err(Error::io("write", path))
}

pub(super) fn run(engine: &Engine, args: &RunArgs) -> Result<u8> {
    let flags = &args.create;
    let keys = DetachKeys::parse(&args.detach_keys).map_err(Error::usage)?;
    let attaches = Attaches::of(args)?;
    if flags.tty && attaches.stdin && !stdin_is_terminal() {
        return Err(Error::usage("the input device is not a TTY"));
    }
    let (dir, definition) = make(engine, flags)?;
    let signals = if args.detach { None } else { Some(Signals::catch()?) };
    let options =
        StartOptions { attach: !args.detach, stdin: attaches.stdin, size: size_of_terminal().filter(|_| flags.tty) };
    let started = match engine.operator().start(&dir, options) {
        Ok(started) => started,
        Err(error) => {
            // A container whose first start failed is of no use to anybody.
            discard(engine, &dir);
            return Err(error.into());
        }
    };
    let (Started::Now(control), Some(signals)) = (started, signals) else {
        say(&definition.id)?;
        return Ok(0);
    };
    let options = Options { stdin: attaches.stdin, terminal: flags.tty, proxy_signals: args.sig_proxy, detach: keys };
    let mut peer = Supervised::new(control, &definition);
    finish(hold(&mut peer, options, &signals)?)
}

fn discard(engine: &Engine, dir: &ContainerDir) {
    if dir.exists() {
        if let Err(error) = engine.remove(dir, true, true) {
            tell(&error);
        }
    } else if let Err(error) = engine.store().release(dir.id()) {
        tell(&error.into());
    }
}

/// The exit code of a session.
pub(super) fn finish(ended: Ended) -> Result<u8> {
    Ok(match ended {
        Ended::Exited(code) => u8::try_from(code & 0xff).unwrap_or(255),
        Ended::Detached => {
            let _ = writeln!(std::io::stderr());
            0
        }
        Ended::Killed(signal) => u8::try_from(128 + signal).unwrap_or(255),
    })
}

/// Which streams a run in the foreground is attached to.
struct Attaches {
    stdin: bool,
}

impl Attaches {
    fn of(args: &RunArgs) -> Result<Self> {
        let flags = &args.create;
        for stream in &flags.attach {
            if !matches!(stream.to_ascii_lowercase().as_str(), "stdin" | "stdout" | "stderr") {
                return Err(Error::usage(format!(
                    "invalid argument \"{stream}\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR"
                )));
            }
        }
        if args.detach && !flags.attach.is_empty() {
            return Err(Error::usage("Conflicting options: -a and -d"));
        }
        let wanted = flags.attach.is_empty() || flags.attach.iter().any(|stream| stream.eq_ignore_ascii_case("stdin"));
        Ok(Self { stdin: flags.interactive && !args.detach && wanted })
    }
}
