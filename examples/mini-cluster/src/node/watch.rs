//! One thread per node that waits for everything its containers do by themselves: they write, and they end.
//!
//! Output goes to the container's rotated log. The end of a process is learnt from its pidfd; what is left in the
//! pipes is read first, then the node is told. No polling: the thread sleeps until a descriptor is ready. A process
//! that outlives its container's first one keeps a pipe open, and that does not delay the news.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError, mpsc};

use container_core::supervisor::LogWriter;
use container_core::supervisor::protocol::Stream;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Read at once from one pipe, so that a chatty container does not starve the others.
const CHUNK: usize = 32 * 1024;

/// A container as the watcher sees it.
#[derive(Debug)]
pub(super) struct Watched {
    /// What the node is told when it ends.
    pub(super) key: String,
    /// Readable once the first process has ended.
    pub(super) pidfd: OwnedFd,
    /// Standard output and error.
    pub(super) pipes: [Option<OwnedFd>; 2],
    /// Where they go.
    pub(super) log: LogWriter,
}

/// The handle of the thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    added: mpsc::Sender<Watched>,
    bell: Mutex<PipeWriter>,
}

impl Watcher {
    /// Starts the thread; `ended` is called with the key of each container that has ended.
    pub(super) fn start(ended: impl Fn(String) + Send + 'static) -> io::Result<Self> {
        let (ringing, bell) = io::pipe()?;
        let (added, incoming) = mpsc::channel();
        std::thread::Builder::new().name("watch".into()).spawn(move || watch(&ringing, &incoming, &ended))?;
        Ok(Self { added, bell: Mutex::new(bell) })
    }

    /// Watches one more container.
    pub(super) fn add(&self, watched: Watched) -> io::Result<()> {
        for pipe in watched.pipes.iter().flatten() {
            let flags = OFlag::from_bits_truncate(fcntl(pipe, FcntlArg::F_GETFL)?);
            fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        }
        self.added.send(watched).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.bell.lock().unwrap_or_else(PoisonError::into_inner).write_all(b".")
    }
}

fn watch(mut ringing: &PipeReader, incoming: &mpsc::Receiver<Watched>, ended: &impl Fn(String)) {
    let mut all: Vec<Watched> = Vec::new();
    loop {
        let ready = wait(ringing.as_fd(), &all);
        if ready.first().copied().unwrap_or(false) {
            let mut rings = [0; 64];
            // The end of the pipe means that the node is gone.
            if !matches!(ringing.read(&mut rings), Ok(count) if count > 0) {
                return;
            }
        }
        let mut at = 1;
        let mut over = Vec::new();
        for (index, one) in all.iter_mut().enumerate() {
            let process_ended = ready.get(at).copied().unwrap_or(false);
            at += 1;
            for which in 0..2 {
                if one.pipes[which].is_some() {
                    if ready.get(at).copied().unwrap_or(false) || process_ended {
                        drain(one, which, process_ended);
                    }
                    at += 1;
                }
            }
            if process_ended {
                over.push(index);
            }
        }
        for index in over.into_iter().rev() {
            let mut one = all.swap_remove(index);
            let _ = one.log.end_of_run(super::clock::log_time());
            ended(one.key);
        }
        all.extend(incoming.try_iter());
    }
}

/// Waits until something is ready: the bell, then per container its pidfd and its open pipes.
fn wait(bell: BorrowedFd<'_>, all: &[Watched]) -> Vec<bool> {
    let mut fds = vec![PollFd::new(bell, PollFlags::POLLIN)];
    for one in all {
        fds.push(PollFd::new(one.pidfd.as_fd(), PollFlags::POLLIN));
        fds.extend(one.pipes.iter().flatten().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
    }
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) => fds.iter().map(|fd| fd.any().unwrap_or(false)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Moves what is in a pipe to the log: one chunk, or at the end of the process all that is there.
fn drain(one: &mut Watched, which: usize, whole: bool) {
    let Some(pipe) = &one.pipes[which] else { return };
    let stream = if which == 0 { Stream::Stdout } else { Stream::Stderr };
    let mut chunk = vec![0; CHUNK];
    // Bounded at the end, too: a survivor of the container might write for ever.
    for _ in 0..if whole { 64 } else { 1 } {
        match nix::unistd::read(pipe, &mut chunk) {
            Ok(0) => {
                one.pipes[which] = None;
                return;
            }
            // A full disk loses output; the container goes on.
            Ok(count) => drop(one.log.write(stream, &chunk[..count], super::clock::log_time())),
            Err(nix::errno::Errno::EINTR) => {}
            Err(nix::errno::Errno::EAGAIN) => return,
            Err(_) => {
                one.pipes[which] = None;
                return;
            }
        }
    }
}
