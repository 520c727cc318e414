//! What comes through the API and ends in a container: logs and exec.
//!
//! The API has checked the call: pod and container exist. Which process that is, the register of started containers
//! says. Logs are read from the container's files, also after it has ended, as long as its pod is there.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apiserver::listener::{Delegate, Exit, Session};
use apiserver::{ExecOptions, LogOptions, PodCall, PodVerb, Status};
use container_core::supervisor::{Follow, LogQuery, LogReader, Time};
use container_core::{Ended, Exec, Size, Stdio};

use crate::error::chain;
use crate::node::live::{Containers, Live};

/// How often a followed log that does not grow is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Reaches into the containers of all nodes.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) containers: Arc<Containers>,
    /// The folder of all nodes.
    pub(super) nodes: PathBuf,
}

impl Delegate for Reach {
    fn log(&self, call: &PodCall) -> Result<Box<dyn Read + Send>, Status> {
        let PodVerb::Log(options) = &call.verb else { return Err(Status::bad_request("this is no log request")) };
        let live = self.containers.get(&call.uid, &call.container);
        let logs = self.nodes.join(&call.node).join("pods").join(&call.uid).join("logs").join(&call.container);
        let dir = attempt(&logs, options.previous).ok_or_else(|| {
            let (container, pod) = (&call.container, &call.pod);
            Status::bad_request(match options.previous {
                true => format!("previous terminated container \"{container}\" in pod \"{pod}\" not found"),
                false => format!("container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating"),
            })
        })?;
        let query = LogQuery {
            tail: options.tail_lines.and_then(|lines| usize::try_from(lines).ok()),
            since: options
                .since_seconds
                .map(|seconds| Time::now().before(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))),
            until: None,
        };
        let reader = LogReader::open(&dir, query).map_err(|error| Status::internal(chain(&error)))?;
        let live = live.filter(|live| options.follow && live.log == dir);
        let left = options.limit_bytes.unwrap_or(u64::MAX);
        let log = Log { reader, live, options: options.clone(), ready: VecDeque::new(), over: false };
        Ok(Box::new(log.take(left)))
    }

    fn exec(&self, call: &PodCall) -> Result<Session, Status> {
        let PodVerb::Exec(options) = &call.verb else {
            return Err(Status::not_implemented("attach: the containers of pods have no terminal to share"));
        };
        let live = self.containers.get(&call.uid, &call.container);
        let running = live.filter(|live| matches!(live.container.try_wait(), Ok(None)));
        let live = running.ok_or_else(|| {
            Status::bad_request(format!("container {} of pod {} is not running", call.container, call.pod))
        })?;
        session(&live, options).map_err(|error| Status::internal(chain(&error)))
    }
}

/// The folder of the latest run, or of the one before.
fn attempt(logs: &Path, previous: bool) -> Option<PathBuf> {
    let runs = std::fs::read_dir(logs).ok()?.flatten();
    let mut runs: Vec<u32> = runs.filter_map(|run| run.file_name().to_string_lossy().parse().ok()).collect();
    runs.sort_unstable();
    let at = runs.len().checked_sub(if previous { 2 } else { 1 })?;
    Some(logs.join(runs.get(at)?.to_string()))
}

fn session(live: &Arc<Live>, options: &ExecOptions) -> container_core::Result<Session> {
    let mut exec = Exec::new(options.command.clone());
    if options.tty {
        exec = exec.pty(Size { rows: 24, cols: 80 });
    } else {
        exec = exec.stdout(Stdio::Piped).stderr(Stdio::Piped);
        exec = exec.stdin(if options.stdin { Stdio::Piped } else { Stdio::Null });
    }
    let mut process = live.container.exec(exec)?;
    let mut session = Session {
        stdin: process.take_stdin().map(|pipe| Box::new(pipe) as _),
        stdout: process.take_stdout().map(|pipe| Box::new(pipe) as _),
        stderr: process.take_stderr().map(|pipe| Box::new(pipe) as _),
        resize: None,
        wait: Box::new(|| Exit::Lost),
    };
    if let (Some(reader), Some(writer)) = (process.pty_master()?, process.pty_master()?) {
        session.stdout = Some(Box::new(Terminal(reader.into())));
        session.stdin = options.stdin.then(|| Box::new(std::fs::File::from(writer)) as _);
    }
    let process = Arc::new(process);
    let resized = Arc::clone(&process);
    if options.tty {
        session.resize = Some(Box::new(move |columns, rows| {
            // A terminal that has ended needs no size.
            let _ = resized.resize(Size { rows, cols: columns });
        }));
    }
    session.wait = Box::new(move || match process.wait() {
        Ok(status) if status.ended != Ended::Lost => Exit::Code(status.code()),
        _ => Exit::Lost,
    });
    Ok(session)
}

/// The master of a terminal: its end is an error to the kernel and an end of file to everyone else.
struct Terminal(std::fs::File);

impl Read for Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) => Ok(0),
            other => other,
        }
    }
}

/// A log as bytes; while its container runs and it is followed, it waits for more.
struct Log {
    reader: LogReader,
    live: Option<Arc<Live>>,
    options: LogOptions,
    ready: VecDeque<u8>,
    over: bool,
}

impl Log {
    fn fill(&mut self) -> io::Result<()> {
        let failed = |error: container_core::Error| io::Error::other(chain(&error));
        while self.ready.is_empty() && !self.over {
            if let Some(entry) = self.reader.next_entry().map_err(failed)? {
                if self.options.timestamps {
                    self.ready.extend(format!("{} ", entry.time).bytes());
                }
                self.ready.extend(entry.log.bytes());
                continue;
            }
            let Some(live) = &self.live else {
                self.over = true;
                return Ok(());
            };
            let writing = matches!(live.container.wait_timeout(LOOK), Ok(None));
            self.over = self.reader.look_again(writing).map_err(failed)? == Follow::Done;
        }
        Ok(())
    }
}

impl Read for Log {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        self.ready.read(buffer)
    }
}
