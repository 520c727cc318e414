//! A real terminal: `-it` through a pseudo-terminal pair, as a person at a keyboard would use it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::termios::{Winsize, tcsetwinsize};
use test_lane::{Failed, Need, Outcome, case};

use crate::world::{PATIENCE, World, has, same, wait_for};

const NEEDS: &[Need] = &[Need::Root, Need::Program("setsid")];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("terminal_run_it", NEEDS, run_it),
        case("terminal_size_follows", NEEDS, resize),
        case("terminal_ctrl_c_and_job_control", NEEDS, keys),
        case("terminal_detach_and_attach_again", NEEDS, detach),
        case("terminal_exec_it", NEEDS, exec_it),
        case("terminal_is_restored", NEEDS, restored),
        case("terminal_is_asked_for", NEEDS, no_tty),
    ]
}

/// A command with a terminal of its own, and the keyboard and screen of it.
struct Person {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Person {
    fn runs(world: &World, args: &[&str]) -> Result<Self, Failed> {
        let pair = nix::pty::openpty(None, None)?;
        tcsetwinsize(&pair.master, Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 })?;
        let command = world.command(args);
        let side = || -> Result<Stdio, Failed> { Ok(Stdio::from(pair.slave.try_clone()?)) };
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(side()?)
            .stdout(side()?)
            .stderr(side()?)
            .spawn()?;
        drop(pair.slave);
        Ok(Self {
            child,
            keyboard: File::from(pair.master.try_clone()?),
            screen: watch(pair.master),
            seen: String::new(),
        })
    }

    fn types(&mut self, keys: &str) -> Outcome {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits until the screen shows a text after everything that was waited for before.
    fn sees(&mut self, text: &str) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => return Err(format!("no `{text}` on the screen: {:?}", self.seen).into()),
            }
        }
    }

    /// Presses a key until the screen shows its effect: the program that it is meant for may not have begun yet.
    fn presses_until(&mut self, key: &str, effect: &str) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(effect) && Instant::now() < deadline {
            self.types(key)?;
            if let Ok(bytes) = self.screen.recv_timeout(std::time::Duration::from_millis(200)) {
                self.seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        self.sees(effect)
    }

    fn ends_with(mut self, code: i32) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return same(status.code(), Some(code));
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        self.child.kill()?;
        self.child.wait()?;
        Err(format!("the session did not end: {:?}", self.seen).into())
    }
}

fn watch(master: OwnedFd) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut master = File::from(master);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn run_it() -> Outcome {
    let world = World::new()?;
    let mut person = Person::runs(&world, &["run", "--rm", "-it", "base", "sh"])?;
    person.types("echo a$((40+2))b; tty\n")?;
    person.sees("a42b")?;
    person.sees("/dev/")?;
    person.types("exit 6\n")?;
    person.ends_with(6)?;
    world.nothing_is_left(&[])
}

fn resize() -> Outcome {
    let world = World::new()?;
    let mut person = Person::runs(&world, &["run", "--rm", "-it", "base", "sh"])?;
    person.types("stty size; echo first\n")?;
    person.sees("33 101")?;
    tcsetwinsize(&person.keyboard, Winsize { ws_row: 44, ws_col: 123, ws_xpixel: 0, ws_ypixel: 0 })?;
    // The new size arrives by a signal: ask until it has.
    person.types("until stty size | grep 44; do sleep 0.05; done; echo res$((1+1))zed\n")?;
    person.sees("44 123")?;
    person.sees("res2zed")?;
    person.types("exit\n")?;
    person.ends_with(0)
}

fn keys() -> Outcome {
    let world = World::new()?;
    let mut person = Person::runs(&world, &["run", "--rm", "-it", "base", "sh"])?;
    person.types("echo re$((1+1))dy; sleep 600\n")?;
    person.sees("re2dy")?;
    // An interrupt between the job's fork and its execve reaches the shell's handler and is lost: press again.
    person.presses_until("\x03echo al$((1+1))ve\n", "al2ve")?;
    person.types("echo go$((1+1)); sleep 600\n")?;
    person.sees("go2")?;
    person.presses_until("\x1a", "Stopped")?;
    person.types("jobs; kill %1; exit 0\n")?;
    person.types("exit 0\n")?;
    person.ends_with(0)
}

fn detach() -> Outcome {
    let world = World::new()?;
    let mut person = Person::runs(&world, &["run", "-it", "--name", "box", "base", "sh"])?;
    person.types("echo be$((1+1))fore\n")?;
    person.sees("be2fore")?;
    person.types("\x10\x11")?;
    person.ends_with(0)?;
    same(world.inspect("box", ".State.Running")?, "true".to_owned())?;
    let mut person = Person::runs(&world, &["attach", "box"])?;
    person.types("echo af$((1+1))ter\n")?;
    person.sees("af2ter")?;
    person.types("exit 9\n")?;
    person.ends_with(9)?;
    has(&world.ok(&["logs", "box"])?, "be2fore")
}

fn exec_it() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    let mut person = Person::runs(&world, &["exec", "-it", "box", "sh"])?;
    person.types("stty size; echo $TERM\n")?;
    person.sees("33 101")?;
    person.sees("xterm")?;
    person.types("exit 4\n")?;
    person.ends_with(4)?;
    let mut person = Person::runs(&world, &["exec", "-it", "box", "sh"])?;
    person.types("echo he$((1+1))re\n")?;
    person.sees("he2re")?;
    person.types("\x10\x11")?;
    person.ends_with(0)
}

fn restored() -> Outcome {
    let world = World::new()?;
    let mut person = Person::runs(&world, &["run", "--rm", "-it", "--name", "box", "base", "sh"])?;
    person.types("echo re$((1+1))dy\n")?;
    person.sees("re2dy")?;
    let is_raw = |file: &File| {
        rustix::termios::tcgetattr(file).map(|modes| !modes.local_modes.contains(rustix::termios::LocalModes::ECHO))
    };
    same(is_raw(&person.keyboard)?, true)?;
    world.ok(&["kill", "box"])?;
    let keyboard = person.keyboard.try_clone()?;
    person.ends_with(137)?;
    wait_for("the terminal to be as before", || Ok(!is_raw(&keyboard)?))
}

fn no_tty() -> Outcome {
    let world = World::new()?;
    has(&world.fails(125, &["run", "-it", "base", "sh"])?, "the input device is not a TTY")
}
