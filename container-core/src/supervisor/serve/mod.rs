//! The supervisor process: one per running container, one thread, one `poll`.
//!
//! It launches, pumps output into the log and to attached clients, watches the first process by its
//! pidfd, restarts by policy, carries out what clients ask, and ends with the container. Everything
//! that must not be lost is on disk before anybody is told, so it may be killed at any instruction:
//!
//! 1. `state.json` says that a launch is under way, and which control groups it will make
//! 2. launch: the first process exists and waits before its program
//! 3. `state.json` names the process; 4. attach the network; 5. start; 6. `state.json` says running
//! 7. the program ends: detach, delete, then `exit.json` (synced), then `state.json`, then clients
//!
//! Killed before 3, the waiting process ends by itself, because its launcher is gone; killed later,
//! the next supervisor finds it through the record and goes on from there.

mod client;
mod requests;
mod run;
mod streams;

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::client::Client;
use self::run::Run;
use super::client::socket_path;
use super::dir::{ContainerDir, StateRoot};
use super::embedding::{Embedding, Failure, chain};
use super::error::{Result, io_at};
use super::files::Lock;
use super::log::LogWriter;
use super::policy::RestartMachine;
use super::state::{Definition, State};
use crate::Size;

/// More clients than this wait in the socket's queue.
const MOST_CLIENTS: usize = 200;
/// How long a new supervisor waits for the last one of the same container to leave.
const HANDOVER: Duration = Duration::from_secs(10);
/// How long the last bytes may make no progress before clients are given up.
const STALLED: Duration = Duration::from_secs(30);

/// Supervises the container `id` until it has ended for good.
///
/// Standard input is the first client: the command that started this process. Its [`Request::Start`] launches the
/// container, unless a killed supervisor left it running, which is then taken over.
///
/// [`Request::Start`]: super::protocol::Request::Start
pub fn main(root: &StateRoot, id: &str, embedding: &dyn Embedding) -> ExitCode {
    match supervise(root, id, embedding) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error is the file `supervisor.log` in the container's folder.
            let line = format!("{} {}\n", super::time::Time::now(), failure.message);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            ExitCode::from(125)
        }
    }
}

fn supervise(root: &StateRoot, id: &str, embedding: &dyn Embedding) -> std::result::Result<(), Failure> {
    // A group leader already is what it should become.
    let _ = nix::unistd::setsid();
    let dir = root.container(id);
    let mut supervisor = Supervisor::open(root, dir, embedding).map_err(|error| Failure::new(&error))?;
    supervisor.recover();
    while !supervisor.finished() {
        supervisor.turn().map_err(|error| Failure::new(&error))?;
    }
    supervisor.leave();
    Ok(())
}

struct Supervisor<'a> {
    root: &'a StateRoot,
    dir: ContainerDir,
    embedding: &'a dyn Embedding,
    definition: Definition,
    state: State,
    machine: RestartMachine,
    log: LogWriter,
    run: Option<Run>,
    /// The terminal's size, as the last client told it.
    size: Size,
    /// When the policy starts the next run.
    next_run: Option<Instant>,
    /// Whether the end of this run is followed by another, because somebody asked for a restart.
    again: bool,
    /// Whether the first client has not asked for the start yet.
    start_may_follow: bool,
    clients: Vec<Client>,
    listener: UnixListener,
    /// The mark of the living supervisor.
    mark: Option<Lock>,
}

/// What `poll` waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Listener,
    ClientRead(usize),
    ClientWrite(usize),
    Output(usize),
    Input,
    Process,
}

impl<'a> Supervisor<'a> {
    fn open(root: &'a StateRoot, dir: ContainerDir, embedding: &'a dyn Embedding) -> Result<Self> {
        let mark = wait_for_mark(&dir)?;
        let definition = dir.definition()?;
        let state = dir.state()?;
        let (_folder, path) = socket_path(&dir)?;
        // A killed supervisor's socket; its owner is gone, since we hold the mark.
        let _ = fs::remove_file(dir.socket());
        let listener = UnixListener::bind(&path).map_err(io_at("make", &dir.socket()))?;
        listener.set_nonblocking(true).map_err(io_at("make", &dir.socket()))?;
        let first = first_client(&dir)?;
        Ok(Self {
            root,
            embedding,
            machine: RestartMachine::new(definition.restart),
            log: LogWriter::open(&dir.log_dir(), definition.log.clone())?,
            definition,
            state,
            run: None,
            size: Size { rows: 24, cols: 80 },
            next_run: None,
            again: false,
            start_may_follow: true,
            clients: vec![first],
            listener,
            mark: Some(mark),
            dir,
        })
    }

    /// Nothing runs, nothing will, and nobody can ask for it any more.
    fn finished(&self) -> bool {
        let may_start = self.start_may_follow && self.clients.iter().any(|client| !client.gone);
        self.run.is_none() && self.next_run.is_none() && !may_start
    }

    fn turn(&mut self) -> Result<()> {
        let ready = self.wait()?;
        if ready.contains(&Source::Listener) {
            self.accept();
        }
        for source in &ready {
            if let Source::ClientRead(index) = source {
                self.hear(*index);
            }
        }
        if ready.contains(&Source::Input)
            && let Some(run) = &mut self.run
        {
            run.streams.write();
        }
        let outputs = ready.iter().filter_map(|source| match source {
            Source::Output(index) => Some(*index),
            _ => None,
        });
        self.pump(outputs.rev().collect());
        if ready.contains(&Source::Process) {
            self.look_at_process();
        }
        self.on_time();
        self.settle_clients();
        Ok(())
    }

    fn accept(&mut self) {
        if let Ok((stream, _)) = self.listener.accept() {
            self.clients.extend(Client::new(stream).ok());
        }
    }

    fn settle_clients(&mut self) {
        for client in &mut self.clients {
            client.flush();
        }
        if let Some(run) = &mut self.run
            && self.clients.iter().any(|client| client.gone && client.feeds_once)
        {
            run.streams.end_input();
        }
        self.clients.retain(|client| !client.gone);
    }

    /// Waits until something happens or a time has come.
    fn wait(&self) -> Result<BTreeSet<Source>> {
        let wanted = self.wanted();
        let mut fds: Vec<PollFd<'_>> = wanted.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        match poll(&mut fds, self.timeout()) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(BTreeSet::new()),
            Err(errno) => return Err(io_at("wait for", self.dir.path())(errno.into())),
        }
        let is_ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        Ok(wanted.iter().zip(&fds).filter(|(_, fd)| is_ready(fd)).map(|((source, ..), _)| *source).collect())
    }

    fn wanted(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut wanted = Vec::new();
        if self.clients.len() < MOST_CLIENTS {
            wanted.push((Source::Listener, self.listener.as_fd(), PollFlags::POLLIN));
        }
        let input_is_full = self.run.as_ref().is_some_and(|run| run.streams.input_is_full());
        for (index, client) in self.clients.iter().enumerate() {
            if !(client.feeds && input_is_full) {
                wanted.push((Source::ClientRead(index), client.stream().as_fd(), PollFlags::POLLIN));
            }
            if client.has_unsent() {
                wanted.push((Source::ClientWrite(index), client.stream().as_fd(), PollFlags::POLLOUT));
            }
        }
        let Some(run) = &self.run else { return wanted };
        if !self.clients.iter().any(Client::is_congested) {
            for (index, output) in run.streams.outputs.iter().enumerate() {
                wanted.push((Source::Output(index), output.as_fd(), PollFlags::POLLIN));
            }
        }
        if let Some(input) = run.streams.blocked_input() {
            wanted.push((Source::Input, input, PollFlags::POLLOUT));
        }
        if run.ended.is_none() {
            wanted.push((Source::Process, run.container.as_fd(), PollFlags::POLLIN));
        }
        wanted
    }

    fn timeout(&self) -> PollTimeout {
        let times = [self.next_run, self.run.as_ref().and_then(Run::next_time)];
        let Some(next) = times.into_iter().flatten().min() else { return PollTimeout::NONE };
        let left = next.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(left.min(60_000)).unwrap_or(PollTimeout::MAX)
    }

    /// Writes a line to the supervisor's own log: the container goes on.
    fn note(&self, error: &(dyn std::error::Error + 'static)) {
        self.note_line(&chain(error));
    }

    fn note_line(&self, line: &str) {
        let line = format!("{} {line}\n", super::time::Time::now());
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }

    /// Gives way to the next supervisor, then delivers what clients have not received yet.
    fn leave(&mut self) {
        let _ = fs::remove_file(self.dir.socket());
        self.mark = None;
        let mut last_move = Instant::now();
        while self.clients.iter().any(|client| client.has_unsent() && !client.gone) && last_move.elapsed() < STALLED {
            let mut fds: Vec<PollFd<'_>> = self
                .clients
                .iter()
                .filter(|client| client.has_unsent())
                .map(|client| PollFd::new(client.stream().as_fd(), PollFlags::POLLOUT))
                .collect();
            let _ = poll(&mut fds, PollTimeout::from(1000_u16));
            for client in &mut self.clients {
                if client.flush() {
                    last_move = Instant::now();
                }
            }
        }
    }
}

fn wait_for_mark(dir: &ContainerDir) -> Result<Lock> {
    let deadline = Instant::now() + HANDOVER;
    loop {
        if let Some(mark) = dir.become_supervisor()? {
            return Ok(mark);
        }
        if Instant::now() >= deadline {
            let busy = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
            return Err(io_at("supervise", dir.path())(busy));
        }
        // The last supervisor leaves within moments of telling its clients; a lock has no deadline to wait with.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Standard input, which is then closed to others.
fn first_client(dir: &ContainerDir) -> Result<Client> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(io_at("talk to the starter of", dir.path()))?;
    let null = fs::File::open("/dev/null").map_err(io_at("open", std::path::Path::new("/dev/null")))?;
    nix::unistd::dup2_stdin(null).map_err(|errno| io_at("close the input of", dir.path())(errno.into()))?;
    Client::new(UnixStream::from(stdin)).map_err(io_at("talk to the starter of", dir.path()))
}
