//! What clients ask, carried out or refused with Docker's words.

use super::Supervisor;
use super::client::Awaits;
use crate::supervisor::protocol::{Frame, Reply, Request};
use crate::supervisor::state::Status;
use crate::{Signal, Size};

impl Supervisor<'_> {
    /// Reads from one client and does what it says.
    pub(super) fn hear(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        for frame in client.read() {
            match frame {
                Frame::Stdin(bytes) => {
                    if let (true, Some(run)) = (self.clients[index].feeds, &mut self.run) {
                        run.streams.feed(&bytes);
                    }
                }
                Frame::StdinEnd => {
                    if let (true, Some(run)) = (self.clients[index].feeds, &mut self.run) {
                        run.streams.end_input();
                    }
                }
                Frame::Request(request) => {
                    if let Some(reply) = self.carry_out(index, &request) {
                        self.clients[index].reply(&reply);
                    }
                }
                // Only a supervisor sends these.
                Frame::Output(..) | Frame::Reply(_) => self.clients[index].gone = true,
            }
        }
    }

    /// Carries a request out. Nothing is answered now when the answer comes later.
    fn carry_out(&mut self, index: usize, request: &Request) -> Option<Reply> {
        match *request {
            Request::Start => Some(self.start_asked()),
            Request::Attach { stdin } => {
                let started = self.run.is_some();
                let client = &mut self.clients[index];
                client.attached = true;
                client.awaits = Awaits::RunEnd;
                client.feeds = stdin;
                client.feeds_once = stdin && !started && !self.definition.terminal;
                None
            }
            Request::Resize { rows, columns } => {
                self.size = Size { rows, cols: columns };
                if let Some(run) = &self.run {
                    // A terminal that is gone has no size.
                    let _ = run.container.resize(self.size);
                }
                None
            }
            Request::Signal { number, ends } => Some(self.signal_asked(number, ends)),
            Request::Stop { signal, timeout } => self.stop_asked(index, signal, timeout, false),
            Request::Restart { signal, timeout } => self.stop_asked(index, signal, timeout, true),
            Request::Pause => Some(self.pause_asked()),
            Request::Resume => Some(self.resume_asked()),
            Request::Wait => {
                self.clients[index].awaits = Awaits::LastEnd;
                None
            }
            Request::Inspect => Some(Reply::State(Box::new(self.state.clone()))),
        }
    }

    fn start_asked(&mut self) -> Reply {
        if self.run.is_some() {
            return Reply::Done;
        }
        self.start_may_follow = false;
        self.state.stopped_by_user = false;
        self.state.restart_count = 0;
        match self.start() {
            Ok(()) => Reply::Done,
            Err(failure) => {
                self.vanish_if_wanted();
                Reply::Failed { message: failure.message, code: failure.code }
            }
        }
    }

    fn signal_asked(&mut self, number: i32, ends: bool) -> Reply {
        let Some(signal) = Signal::from_number(number) else {
            return refused(format!("Invalid signal: {number}"));
        };
        if self.run.is_none() {
            return refused(format!("container {} is not running", self.definition.id));
        }
        if ends {
            self.stopped_by_hand();
        }
        self.kill(signal);
        Reply::Done
    }

    fn stop_asked(&mut self, index: usize, signal: Option<i32>, timeout: Option<i64>, again: bool) -> Option<Reply> {
        let signal = signal.unwrap_or(self.definition.stop_signal);
        let Some(signal) = Signal::from_number(signal) else {
            return Some(refused(format!("Invalid signal: {signal}")));
        };
        self.clients[index].awaits = if again { Awaits::Restart } else { Awaits::Stop };
        self.again = again;
        if !again {
            self.stopped_by_hand();
        }
        if self.run.is_some() {
            self.stop_run(signal, timeout.unwrap_or(self.definition.stop_timeout));
        } else if again {
            self.restart_now();
        } else {
            self.end_for_good();
        }
        None
    }

    /// Cancels the policy, and makes that known to a later boot before anything else happens.
    fn stopped_by_hand(&mut self) {
        self.machine.cancel();
        self.state.stopped_by_user = true;
        if let Err(error) = self.dir.write_intent(&self.state) {
            self.note(&error);
        }
    }

    fn pause_asked(&mut self) -> Reply {
        let name = &self.definition.id;
        let Some(run) = &mut self.run else {
            return refused(format!("Container {name} is not running"));
        };
        if self.state.status == Status::Paused {
            return refused(format!("Container {name} is already paused"));
        }
        if let Err(error) = run.container.pause() {
            return refused(crate::supervisor::embedding::chain(&error));
        }
        self.state.status = Status::Paused;
        self.save();
        Reply::Done
    }

    fn resume_asked(&mut self) -> Reply {
        let Some(run) = self.run.as_mut().filter(|_| self.state.status == Status::Paused) else {
            return refused(format!("Container {} is not paused", self.definition.id));
        };
        if let Err(error) = run.container.resume() {
            return refused(crate::supervisor::embedding::chain(&error));
        }
        self.state.status = Status::Running;
        self.save();
        Reply::Done
    }
}

fn refused(message: String) -> Reply {
    Reply::Failed { message, code: 1 }
}
