//! A contender: a process that does one unit of work for every line it reads and answers with its nanoseconds.
//!
//! Separate processes keep one contender's memory, threads and caches out of another's figures. A contender that
//! gives no answer in time is killed and counted as stalled: peers hang now and then. Absent: what the work is.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

/// Long enough for a contender that first fills gigabytes of memory on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running contender.
#[derive(Debug)]
pub struct Worker {
    name: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Why a contender gave no time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be started, written to or read from.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It did not answer in time.
    #[error("no answer within {} s: stalled and killed", PATIENCE.as_secs())]
    Stalled,
    /// It answered something else than a number.
    #[error("answered {answer:?} instead of nanoseconds")]
    Answer {
        /// What it said.
        answer: String,
    },
}

impl Worker {
    /// Starts `command` as the contender `name`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, Error> {
        let io = |source| Error::Io { doing: "start a contender", source };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(io)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let running = pipes.map(|(questions, out)| Running { child, questions, answers: BufReader::new(out) });
        Ok(Self { name: name.to_owned(), running })
    }

    /// What it is called in the report.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has one unit of work done; `None` when the contender was dropped before.
    ///
    /// # Errors
    /// Any [`Error`]; the contender is killed and dropped then.
    pub fn once(&mut self) -> Result<Option<u64>, Error> {
        let Some(running) = &mut self.running else { return Ok(None) };
        let outcome = running.ask();
        if outcome.is_err()
            && let Some(mut running) = self.running.take()
        {
            // It may be dead already; either way it must be reaped.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        outcome.map(Some)
    }
}

impl Running {
    fn ask(&mut self) -> Result<u64, Error> {
        let io = |doing| move |source| Error::Io { doing, source };
        self.questions.write_all(b"\n").map_err(io("write to a contender"))?;
        let end = Instant::now() + PATIENCE;
        let patience = PollTimeout::try_from(end - Instant::now()).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(self.answers.get_ref().as_fd(), PollFlags::POLLIN)];
        let count = poll(&mut ready, patience).map_err(|errno| io("wait for a contender")(errno.into()))?;
        if count == 0 {
            return Err(Error::Stalled);
        }
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(io("read from a contender"))?;
        answer.trim().parse().map_err(|_| Error::Answer { answer })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(Running { mut child, questions, .. }) = self.running.take() {
            // End of input is its cue to clean up and leave.
            drop(questions);
            let _ = child.wait();
        }
    }
}

/// The other side: calls `work` for every line on standard input and prints the nanoseconds it returns.
///
/// # Errors
/// The first error of `work` or of the pipes, as text.
pub fn serve(mut work: impl FnMut(usize) -> Result<u64, String>) -> Result<(), String> {
    let mut output = std::io::stdout().lock();
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        line.map_err(|error| format!("read a question: {error}"))?;
        let nanos = work(number)?;
        writeln!(output, "{nanos}").and_then(|()| output.flush()).map_err(|error| format!("answer: {error}"))?;
    }
    Ok(())
}
