//! `exec`: another program in a running container.
//!
//! This process launches it itself, so it works whether or not the container's supervisor lives. With a terminal, a
//! session holds the pseudo-terminal; without one, the streams are plain pipes, copied by threads.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use container_core::supervisor::Status;
use container_core::supervisor::protocol::Stream;
use container_core::{Container, Exec, Process, Signal, Size, Stdio};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::run::finish;
use super::show::running;
use crate::cli::ExecArgs;
use crate::create::given_environment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::session::{DetachKeys, Event, Options, Peer, Signals, hold, size_of_terminal, stdin_is_terminal};

pub(super) fn exec(engine: &Engine, args: &ExecArgs) -> Result<u8> {
    let [name, command @ ..] = args.container_and_command.as_slice() else {
        return Err(Error::usage("exec needs a container and a command"));
    };
    let keys = DetachKeys::parse(&args.detach_keys).map_err(Error::usage)?;
    if args.tty && args.interactive && !args.detach && !stdin_is_terminal() {
        return Err(Error::usage("the input device is not a TTY"));
    }
    let seen = engine.see(name)?;
    if seen.state.status == Status::Paused {
        let message = format!("Container {name} is paused, unpause the container before exec");
        return Err(Error::Refused { message });
    }
    let container = running(&seen)?;
    let outcome = in_container(&container, asked(args, command)?, args, keys);
    container.detach();
    outcome
}

fn asked(args: &ExecArgs, command: &[String]) -> Result<Exec> {
    let mut exec = Exec::new(command.iter().map(String::as_str));
    if args.tty {
        exec = exec.env("TERM", "xterm");
    }
    for entry in given_environment(&args.env_file, &args.env)? {
        let (name, value) = entry.split_once('=').unwrap_or((&entry, ""));
        exec = exec.env(name, value);
    }
    if let Some(folder) = &args.workdir {
        exec = exec.cwd(folder.as_str());
    }
    if let Some(user) = &args.user {
        exec = exec.user(user.as_str());
    }
    Ok(exec)
}

fn in_container(container: &Container, exec: Exec, args: &ExecArgs, keys: DetachKeys) -> Result<u8> {
    if args.detach {
        container.exec(exec)?;
        return Ok(0);
    }
    if !args.tty {
        return piped(container, exec, args.interactive);
    }
    let signals = Signals::catch()?;
    let (rows, cols) = size_of_terminal().unwrap_or((24, 80));
    let process = container.exec(exec.pty(Size { rows, cols }))?;
    let options = Options { stdin: args.interactive, terminal: true, proxy_signals: false, detach: keys };
    finish(hold(&mut InTerminal::over(process)?, options, &signals)?)
}

/// Copies the streams until the program has ended and its output is at its end.
fn piped(container: &Container, exec: Exec, stdin: bool) -> Result<u8> {
    let input = if stdin { Stdio::Piped } else { Stdio::Null };
    let mut process = container.exec(exec.stdin(input).stdout(Stdio::Piped).stderr(Stdio::Piped))?;
    if let Some(mut writer) = process.take_stdin() {
        // Not waited for: it may hang in a read of our own input when the program has long ended.
        std::thread::spawn(move || drop(std::io::copy(&mut std::io::stdin().lock(), &mut writer)));
    }
    let (stdout, stderr) = (process.take_stdout(), process.take_stderr());
    std::thread::scope(|scope| {
        scope.spawn(|| stdout.map(|mut from| copy_at_once(&mut from, &mut std::io::stdout())));
        scope.spawn(|| stderr.map(|mut from| copy_at_once(&mut from, &mut std::io::stderr())));
    });
    let status = process.wait()?;
    Ok(u8::try_from(status.code() & 0xff).unwrap_or(255))
}

fn copy_at_once(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = [0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) if to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_err() => return,
            Err(error) if error.kind() != ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}

/// A program behind a pseudo-terminal of our own.
struct InTerminal {
    process: Process,
    master: File,
    unwritten: VecDeque<u8>,
    hung_up: bool,
}

impl InTerminal {
    fn over(process: Process) -> Result<Self> {
        let missing = || Error::io("open", "the terminal")(ErrorKind::NotFound.into());
        let master = File::from(process.pty_master()?.ok_or_else(missing)?);
        let nonblocking = fcntl_getfl(&master).and_then(|flags| fcntl_setfl(&master, flags | OFlags::NONBLOCK));
        nonblocking.map_err(|errno| Error::io("set up", "the terminal")(errno.into()))?;
        Ok(Self { process, master, unwritten: VecDeque::new(), hung_up: false })
    }
}

impl Peer for InTerminal {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        if self.hung_up { vec![self.process.as_fd()] } else { vec![self.master.as_fd(), self.process.as_fd()] }
    }

    fn unsent(&self) -> Option<BorrowedFd<'_>> {
        (!self.unwritten.is_empty() && !self.hung_up).then(|| self.master.as_fd())
    }

    fn flush(&mut self) -> Result<()> {
        while !self.unwritten.is_empty() && !self.hung_up {
            match self.master.write(self.unwritten.make_contiguous()) {
                Ok(count) => drop(self.unwritten.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.hung_up = true,
            }
        }
        Ok(())
    }

    fn events(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut buffer = [0; 64 * 1024];
        // The end is looked for first, so that output written before it is read after it.
        let ended = self.process.try_wait()?;
        while !self.hung_up {
            match self.master.read(&mut buffer) {
                Ok(count) if count > 0 => events.push(Event::Output(Stream::Stdout, buffer[..count].to_vec())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // EIO: the last program let go of the terminal.
                _ => self.hung_up = true,
            }
            if events.len() >= 16 && ended.is_none() {
                break;
            }
        }
        events.extend(ended.map(|status| Event::Ended(status.code())));
        Ok(events)
    }

    fn input(&mut self, bytes: &[u8]) -> Result<()> {
        self.unwritten.extend(bytes);
        self.flush()
    }

    fn end_input(&mut self) -> Result<()> {
        Ok(())
    }

    fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        // A terminal that is gone has no size.
        let _ = self.process.resize(Size { rows, cols: columns });
        Ok(())
    }

    fn signal(&mut self, number: i32) -> Result<()> {
        match Signal::from_number(number) {
            Some(signal) => Ok(self.process.kill(signal)?),
            None => Ok(()),
        }
    }
}
