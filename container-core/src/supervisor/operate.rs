//! What a command does to a container: directly when nothing runs, else through its supervisor.
//!
//! Every operation first *settles* the container: when a crash left it running without a
//! supervisor, a new one is started, which takes it over or writes down that its end was not seen.
//! So whatever was killed, the next command finds a legal state.

use std::process::Command;
use std::time::{Duration, Instant};

use super::client::Control;
use super::dir::{ContainerDir, StateRoot};
use super::error::{Error, Result};
use super::files::Lock;
use super::protocol::{Reply, Request};
use super::state::{State, Status};
use crate::Signal;

/// How long a supervisor that was told to end may take.
const GONE: Duration = Duration::from_secs(10);

/// Carries out commands on the containers of one state root.
pub struct Operator<'a> {
    root: &'a StateRoot,
    supervisor: &'a (dyn Fn(&str) -> Command + Sync),
}

impl std::fmt::Debug for Operator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("root", &self.root.path()).finish_non_exhaustive()
    }
}

/// What a start found.
#[derive(Debug)]
pub enum Started {
    /// It ran already.
    Already,
    /// It was started; this is the connection to its supervisor.
    Now(Control),
}

/// What is wanted of a start.
#[derive(Debug, Clone, Copy, Default)]
pub struct StartOptions {
    /// Send the output of the run over the connection.
    pub attach: bool,
    /// Take standard input from the connection.
    pub stdin: bool,
    /// The size of the terminal, in lines and characters.
    pub size: Option<(u16, u16)>,
}

impl<'a> Operator<'a> {
    /// Works on `root`. `supervisor` makes the command that leads to [`main`](super::main) for an id.
    pub fn new(root: &'a StateRoot, supervisor: &'a (dyn Fn(&str) -> Command + Sync)) -> Self {
        Self { root, supervisor }
    }

    /// Reads how the container is, after a crash mended what it left.
    ///
    /// # Errors
    /// `NoSuchContainer`, `Corrupt`, or `Io`.
    pub fn settle(&self, dir: &ContainerDir) -> Result<State> {
        let state = dir.state()?;
        if !needs_recovery(&state) || dir.is_supervised()? {
            return Ok(state);
        }
        let _lock = dir.lock()?;
        require(dir)?;
        self.recover(dir)
    }

    /// As `settle`, with the container's lock held.
    fn recover(&self, dir: &ContainerDir) -> Result<State> {
        let state = dir.state()?;
        if !needs_recovery(&state) || dir.is_supervised()? {
            return Ok(state);
        }
        let (mut control, mut child) = Control::spawn(dir, (self.supervisor)(dir.id()))?;
        // Either it answers, and then it watches the container, or it has put things in order and left.
        if control.ask(&Request::Inspect).is_err() {
            let _ = child.wait();
        }
        require(dir)?;
        dir.state()
    }

    /// A connection to the supervisor of a container that runs; nothing when it does not.
    ///
    /// # Errors
    /// `NoSuchContainer`, `Corrupt`, or `Io`.
    pub fn control(&self, dir: &ContainerDir) -> Result<Option<Control>> {
        if !self.settle(dir)?.status.is_active() {
            return Ok(None);
        }
        Control::connect(dir)
    }

    /// Starts a container that does not run.
    ///
    /// # Errors
    /// `Refused` with the supervisor's words, `WrongState` when paused, or `Io`.
    pub fn start(&self, dir: &ContainerDir, options: StartOptions) -> Result<Started> {
        let _lock = dir.lock()?;
        require(dir)?;
        // What cannot be read here cannot be read by a supervisor either, whose words nobody would hear.
        dir.definition()?;
        match self.recover(dir)?.status {
            Status::Running | Status::Restarting => return Ok(Started::Already),
            Status::Paused => {
                let message = "cannot start a paused container, try unpause instead".to_owned();
                return Err(Error::WrongState { message });
            }
            _ => {}
        }
        let (mut control, _child) = Control::spawn(dir, (self.supervisor)(dir.id()))?;
        if options.attach {
            control.request(&Request::Attach { stdin: options.stdin })?;
        }
        if let Some((rows, columns)) = options.size {
            control.request(&Request::Resize { rows, columns })?;
        }
        control.request(&Request::Start)?;
        match wait_for_start(&mut control) {
            Ok(()) => Ok(Started::Now(control)),
            Err(Error::SupervisorGone { id }) => Err(last_words(dir).unwrap_or(Error::SupervisorGone { id })),
            Err(error) => Err(error),
        }
    }

    /// Stops a container: its stop signal, then, after the time, SIGKILL. One that does not run is left as it is.
    ///
    /// # Errors
    /// `Refused` or `Io`.
    pub fn stop(&self, dir: &ContainerDir, signal: Option<Signal>, timeout: Option<i64>) -> Result<()> {
        let Some(mut control) = self.control(dir)? else { return Ok(()) };
        let signal = signal.map(Signal::number);
        done_or_gone(control.ask(&Request::Stop { signal, timeout }))
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// `Refused` or `Io`.
    pub fn restart(&self, dir: &ContainerDir, signal: Option<Signal>, timeout: Option<i64>) -> Result<()> {
        if let Some(mut control) = self.control(dir)? {
            let signal = signal.map(Signal::number);
            match control.ask(&Request::Restart { signal, timeout }) {
                Err(Error::SupervisorGone { .. }) => {}
                other => return other.map(|_| ()),
            }
        }
        self.start(dir, StartOptions::default()).map(|_| ())
    }

    /// Sends a signal to the first process.
    ///
    /// # Errors
    /// `WrongState` when it does not run, `Refused`, or `Io`.
    pub fn kill(&self, dir: &ContainerDir, signal: Signal) -> Result<()> {
        let definition = dir.definition()?;
        let id = &definition.id;
        let not_running = || Error::WrongState {
            message: format!("cannot kill container: {}: container {id} is not running", definition.name),
        };
        let mut control = self.control(dir)?.ok_or_else(not_running)?;
        // As Docker: with a stop signal of its own, other signals are not meant to end a container.
        let ends =
            !definition.stop_signal_chosen || signal == Signal::KILL || signal.number() == definition.stop_signal;
        match control.ask(&Request::Signal { number: signal.number(), ends }) {
            Err(Error::SupervisorGone { .. }) => Err(not_running()),
            other => other.map(|_| ()),
        }
    }

    /// Freezes (or lets go) all processes.
    ///
    /// # Errors
    /// `WrongState`, `Refused` or `Io`.
    pub fn pause(&self, dir: &ContainerDir, pause: bool) -> Result<()> {
        let message = format!("Container {} is not running", dir.id());
        let mut control = self.control(dir)?.ok_or(Error::WrongState { message })?;
        control.ask(if pause { &Request::Pause } else { &Request::Resume }).map(|_| ())
    }

    /// Waits until the container has ended for good and gives its exit code.
    ///
    /// # Errors
    /// `NoSuchContainer` or `Io`.
    pub fn wait(&self, dir: &ContainerDir) -> Result<i32> {
        loop {
            let Some(mut control) = self.control(dir)? else { return Ok(dir.state()?.exit_code) };
            match control.ask(&Request::Wait) {
                Ok(Reply::Exited { code }) => return Ok(code),
                // It was killed, or left in this moment: look again.
                Ok(_) | Err(Error::SupervisorGone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes a container. With `force`, one that runs is killed first.
    ///
    /// # Errors
    /// `WrongState` when it runs, or `Io`.
    pub fn remove(&self, dir: &ContainerDir, force: bool) -> Result<()> {
        let state = self.settle(dir)?;
        if state.status.is_active() {
            self.require_force(dir, state.status, force)?;
            if let Some(mut control) = self.control(dir)? {
                done_or_gone(control.ask(&Request::Stop { signal: Some(Signal::KILL.number()), timeout: Some(0) }))?;
            }
        }
        let _lock = match dir.lock() {
            // It removed itself when it ended.
            Err(_) if force && !dir.exists() => return Ok(()),
            other => other?,
        };
        let _mark = match self.take_mark(dir, force) {
            Err(_) if force && !dir.exists() => return Ok(()),
            other => other?,
        };
        match self.root.remove(dir) {
            Err(Error::NoSuchContainer { .. }) if force => Ok(()),
            other => other,
        }
    }

    /// Becomes the one that no supervisor can come after. A command killed while it started a container leaves a
    /// supervisor that is on its way: the state does not show it yet, the mark or a moment's patience does.
    fn take_mark(&self, dir: &ContainerDir, force: bool) -> Result<Lock> {
        let end = Instant::now() + GONE;
        loop {
            if let Some(mark) = dir.become_supervisor()? {
                return Ok(mark);
            }
            // One that is on its way out has written the end already; it leaves within moments.
            if !force && needs_recovery(&dir.state()?) {
                self.require_force(dir, Status::Running, force)?;
            }
            if force && let Some(mut control) = Control::connect(dir)? {
                done_or_gone(control.ask(&Request::Stop { signal: Some(Signal::KILL.number()), timeout: Some(0) }))?;
            }
            if Instant::now() > end {
                let message = format!("container {}: its supervisor does not end", dir.id());
                return Err(Error::WrongState { message });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn require_force(&self, dir: &ContainerDir, status: Status, force: bool) -> Result<()> {
        if force {
            return Ok(());
        }
        let name = dir.definition()?.name;
        let why = match status {
            Status::Paused => "container is paused and must be unpaused first",
            Status::Restarting => "container is restarting: stop the container before removing or force remove",
            _ => "container is running: stop the container before removing or force remove",
        };
        Err(Error::WrongState { message: format!("cannot remove container \"/{name}\": {why}") })
    }
}

/// Whether a state can only be true while a supervisor lives.
fn needs_recovery(state: &State) -> bool {
    state.status.is_active() || !state.record.is_null()
}

/// What a supervisor wrote before it ended without an answer: it could not even begin.
fn last_words(dir: &ContainerDir) -> Option<Error> {
    let text = std::fs::read_to_string(dir.path().join("supervisor.log")).ok()?;
    let line = text.lines().last()?;
    // Our own lines begin with the time, those of the program around us with its name.
    let message = line.split_once(' ').map_or(line, |(_, message)| message).to_owned();
    Some(Error::Refused { message, code: 125 })
}

fn require(dir: &ContainerDir) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    Err(Error::NoSuchContainer { reference: dir.id().to_owned() })
}

/// A supervisor that leaves before it answers a stop has stopped its container.
fn done_or_gone(reply: Result<Reply>) -> Result<()> {
    match reply {
        Err(Error::SupervisorGone { .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits for the answer to `Start`. Output of a very fast program may come first: it stays in the connection.
fn wait_for_start(control: &mut Control) -> Result<()> {
    match control.first_reply()? {
        Reply::Failed { message, code } => Err(Error::Refused { message, code }),
        _ => Ok(()),
    }
}
