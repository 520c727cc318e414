//! One run of the container: launched, pumped, ended, and what follows.

use std::time::{Duration, Instant};

use super::Supervisor;
use super::client::Awaits;
use super::streams::Streams;
use crate::cgroup::Group;
use crate::supervisor::embedding::Failure;
use crate::supervisor::policy::{Decision, Ended, RestartMachine};
use crate::supervisor::protocol::{Reply, Stream};
use crate::supervisor::state::{LOST, Status};
use crate::supervisor::time::Time;
use crate::{Adopted, Container, ContainerId, ExitStatus, Record, Signal};

/// How long after the end of the first process others may hold the output open.
const DRAIN: Duration = Duration::from_millis(500);

pub(super) struct Run {
    pub(super) container: Container,
    pub(super) streams: Streams,
    pub(super) ended: Option<ExitStatus>,
    began: Instant,
    /// When SIGKILL follows the stop signal.
    kill_at: Option<Instant>,
    /// When output is no longer waited for.
    drained_at: Option<Instant>,
}

impl Run {
    fn new(container: Container, streams: Streams) -> Self {
        Self { container, streams, ended: None, began: Instant::now(), kill_at: None, drained_at: None }
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        [self.kill_at, self.drained_at].into_iter().flatten().min()
    }
}

impl Supervisor<'_> {
    /// Takes over what a killed supervisor left, or cleans it up.
    pub(super) fn recover(&mut self) {
        let started = self.state.status.is_active();
        if !started && self.state.record.is_null() {
            return;
        }
        let record: Option<Record> = serde_json::from_value(self.state.record.clone()).ok();
        let adopted = record.as_ref().and_then(|record| self.embedding.runtime().adopt(record).ok());
        if let Some(Adopted::Running(container)) = adopted {
            match Streams::reopen(&self.definition, &self.dir) {
                Ok(streams) => self.run = Some(Run::new(*container, streams)),
                Err(error) => self.note(&error),
            }
        }
        if self.run.is_some() {
            if !started {
                self.state.status = Status::Running;
                self.state.started_at = Time::now();
            }
            if let Err(failure) = self.embedding.take_over(&self.definition, &self.dir, &self.state.attachment) {
                self.note_line(&failure.message);
            }
            self.save();
            self.start_may_follow = false;
            return;
        }
        let launching: Option<Group> = serde_json::from_value(self.state.record["launching"].clone()).ok();
        let cleaned = record.map(|record| record.clean()).or_else(|| Some(launching?.clean()));
        if let Some(Err(error)) = cleaned {
            self.note(&error);
        }
        self.take_away();
        self.start_may_follow = false;
        if started {
            self.run_over(LOST, false, Duration::ZERO);
        } else {
            self.state.record = serde_json::Value::Null;
            self.save();
        }
    }

    /// Starts the next run. A failure leaves nothing of it.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        self.next_run = None;
        self.definition = self.dir.definition().map_err(|error| Failure::new(&error))?;
        self.state.error.clear();
        let launched = self.launch();
        if let Err(failure) = &launched {
            self.take_away();
            self.state.record = serde_json::Value::Null;
            self.state.pid = 0;
            self.state.error.clone_from(&failure.message);
            self.state.exit_code = if failure.code == 125 { 128 } else { failure.code };
            self.save();
        }
        launched
    }

    fn launch(&mut self) -> Result<(), Failure> {
        let launch = self.embedding.prepare(&self.definition, &self.dir)?;
        let as_failure = |error: &(dyn std::error::Error + 'static)| Failure::new(error);
        let (mut streams, launch) =
            Streams::open(&self.definition, &self.dir, self.size, launch).map_err(|error| as_failure(&error))?;
        let id = ContainerId::new(self.definition.id.as_str())?;
        let groups = self.embedding.runtime().groups(&id, &launch)?;
        self.state.record = serde_json::json!({ "launching": groups });
        self.dir.write_state(&self.state).map_err(|error| Failure::new(&error))?;
        let container = self.embedding.runtime().create(&id, launch)?;
        let started = self.attach_and_start(&container, &mut streams);
        if started.is_err() {
            // The error being returned is the one to tell; what could not be deleted is noted.
            if let Err(error) = container.delete() {
                self.note(&error);
            }
            return started;
        }
        self.run = Some(Run::new(container, streams));
        self.state.status = Status::Running;
        self.state.started_at = Time::now();
        self.state.exit_code = 0;
        self.state.oom_killed = false;
        self.save();
        Ok(())
    }

    fn attach_and_start(&mut self, container: &Container, streams: &mut Streams) -> Result<(), Failure> {
        self.state.pid = container.pid();
        self.state.record = serde_json::to_value(container.record()?).map_err(|error| Failure::new(&error))?;
        self.dir.write_state(&self.state).map_err(|error| Failure::new(&error))?;
        self.state.attachment = self.embedding.attach(&self.definition, &self.dir, container)?;
        container.start()?;
        streams.take_terminal(container, &self.dir).map_err(|error| Failure::new(&error))
    }

    /// Reads output and hands it on. The indexes come in falling order, so that a stream at its end can be taken out.
    pub(super) fn pump(&mut self, outputs: Vec<usize>) {
        let Some(run) = &mut self.run else { return };
        let mut buffer = [0; 64 * 1024];
        for index in outputs {
            let Some(output) = run.streams.outputs.get_mut(index) else { continue };
            let stream: Stream = output.stream;
            let Some(bytes) = output.read(&mut buffer) else { continue };
            if bytes.is_empty() {
                run.streams.forget(stream);
                continue;
            }
            // A full disk costs log lines, never the container.
            let _ = self.log.write(stream, bytes, Time::now());
            for client in &mut self.clients {
                client.output(stream, bytes);
            }
        }
        self.finish_run_if_drained();
    }

    /// The first process may have ended.
    pub(super) fn look_at_process(&mut self) {
        let Some(run) = &mut self.run else { return };
        match run.container.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => run.ended = Some(status),
            Err(_) => run.ended = Some(ExitStatus::LOST),
        }
        run.drained_at = Some(Instant::now() + DRAIN);
        self.finish_run_if_drained();
    }

    pub(super) fn on_time(&mut self) {
        let now = Instant::now();
        if let Some(run) = self.run.as_mut().filter(|run| run.kill_at.is_some_and(|at| at <= now)) {
            run.kill_at = None;
            self.kill(Signal::KILL);
        }
        self.finish_run_if_drained();
        if self.next_run.is_some_and(|at| at <= now)
            && let Err(failure) = self.start()
        {
            self.note_line(&failure.message);
            self.state.finished_at = Time::now();
            self.end_for_good();
        }
    }

    fn finish_run_if_drained(&mut self) {
        let Some(run) = &self.run else { return };
        let Some(status) = run.ended else { return };
        let complete = run.streams.outputs.is_empty() || run.drained_at.is_some_and(|at| at <= Instant::now());
        if !complete {
            return;
        }
        let ran = run.began.elapsed();
        if let Some(run) = self.run.take()
            && let Err(error) = run.container.delete()
        {
            self.note(&error);
        }
        let _ = self.log.end_of_run(Time::now());
        self.take_away();
        self.run_over(status.code(), status.oom_killed, ran);
    }

    fn take_away(&mut self) {
        if let Err(failure) = self.embedding.detach(&self.definition, &self.dir, &self.state.attachment) {
            self.note_line(&failure.message);
        }
        self.state.attachment = serde_json::Value::Null;
    }

    /// Decides what follows the end of a run.
    fn run_over(&mut self, code: i32, oom_killed: bool, ran: Duration) {
        self.state.exit_code = code;
        self.state.oom_killed = oom_killed;
        self.state.finished_at = Time::now();
        self.state.pid = 0;
        self.state.record = serde_json::Value::Null;
        if std::mem::take(&mut self.again) {
            self.restart_now();
            return;
        }
        match self.machine.ended(Ended { code, ran }) {
            Decision::Stay => self.end_for_good(),
            Decision::Again(wait) => {
                self.state.status = Status::Restarting;
                self.state.restart_count = self.machine.count();
                self.next_run = Some(Instant::now() + wait);
                self.save();
                self.answer(Awaits::RunEnd, &Reply::Exited { code });
            }
        }
    }

    /// Carries out the second half of a restart by hand.
    pub(super) fn restart_now(&mut self) {
        self.machine = RestartMachine::new(self.definition.restart);
        self.state.stopped_by_user = false;
        self.state.restart_count = 0;
        match self.start() {
            Ok(()) => self.answer(Awaits::Restart, &Reply::Done),
            Err(Failure { message, code }) => {
                self.answer(Awaits::Restart, &Reply::Failed { message, code });
                self.end_for_good();
            }
        }
    }

    /// Writes the end down, removes the container if it is to vanish, then tells everybody.
    pub(super) fn end_for_good(&mut self) {
        self.next_run = None;
        self.state.status = Status::Exited;
        self.save();
        self.vanish_if_wanted();
        let exited = Reply::Exited { code: self.state.exit_code };
        self.answer(Awaits::RunEnd, &exited);
        self.answer(Awaits::LastEnd, &exited);
        self.answer(Awaits::Stop, &Reply::Done);
    }

    /// Removes the container if it was made to vanish.
    pub(super) fn vanish_if_wanted(&mut self) {
        if !self.definition.remove {
            return;
        }
        match self.root.remove(&self.dir) {
            Ok(()) => self.embedding.removed(&self.definition),
            Err(error) => self.note(&error),
        }
    }

    /// Stops the run: the signal now, SIGKILL when `timeout` seconds have passed.
    pub(super) fn stop_run(&mut self, signal: Signal, timeout: i64) {
        self.kill(signal);
        let Some(run) = &mut self.run else { return };
        run.kill_at = u64::try_from(timeout).ok().map(|seconds| Instant::now() + Duration::from_secs(seconds));
    }

    /// Sends a signal; frozen processes are let go when it is meant to end them.
    pub(super) fn kill(&mut self, signal: Signal) {
        let Some(run) = &mut self.run else { return };
        let sent = if signal == Signal::KILL { run.container.kill_all(signal) } else { run.container.kill(signal) };
        let thawed = if self.state.status == Status::Paused { run.container.resume() } else { Ok(()) };
        for error in [sent, thawed].into_iter().filter_map(Result::err) {
            self.note(&error);
        }
        if self.state.status == Status::Paused {
            self.state.status = Status::Running;
            self.save();
        }
    }

    /// Writes the state; a full disk is noted, since the container runs whether or not it can be written down.
    pub(super) fn save(&mut self) {
        if let Err(error) = self.dir.write_state(&self.state) {
            self.note(&error);
        }
    }

    pub(super) fn answer(&mut self, awaited: Awaits, reply: &Reply) {
        for client in self.clients.iter_mut().filter(|client| client.awaits == awaited) {
            client.awaits = Awaits::Nothing;
            client.reply(reply);
        }
    }
}
