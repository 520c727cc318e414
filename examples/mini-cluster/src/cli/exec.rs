//! `exec`: a command in a container, with our standard streams, and with our terminal for `-it`.

use std::io::IsTerminal;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};

use apiserver::listener::{Exit, Streams};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::args::Exec;
use super::kinds;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::outside::sweep_if_idle;

/// Runs it; its exit code becomes ours.
pub(super) fn exec(client: &Client, namespace: &str, exec: &Exec) -> Result<ExitCode> {
    let name = match exec.pod.contains('/') {
        true => kinds::one(&exec.pod)?.name.unwrap_or_default(),
        false => exec.pod.clone(),
    };
    let terminal = exec.tty && std::io::stdin().is_terminal();
    if exec.tty && !terminal {
        eprintln!("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    let stdin = exec.stdin;
    let mut query = vec![format!("stdin={stdin}&stdout=true&stderr={}&tty={terminal}", !terminal)];
    query.extend(exec.command.iter().map(|word| format!("command={}", apiserver::encode(word))));
    if let Some(container) = &exec.container {
        query.push(format!("container={}", apiserver::encode(container)));
    }
    let path = format!("{}/exec?{}", kinds::path(kinds::kind("pods")?, namespace, &name), query.join("&"));
    let Ok(stream) = UnixStream::connect(client.root().api_socket()) else { return Err(sweep_if_idle(client.root())) };
    let resize = terminal.then(sizes).transpose()?;
    let raw = terminal.then(Raw::enter).transpose()?;
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let streams =
        Streams { stdin: stdin.then(|| Box::new(std::io::stdin()) as _), stdout: &mut out, stderr: &mut err, resize };
    let ended = apiserver::listener::exec(stream, &path, None, streams);
    drop(raw);
    match ended {
        Ok(Exit::Code(code)) => Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX))),
        Ok(Exit::Lost) => Err(Error::Half { problem: "lost sight of the command".to_owned() }),
        Err(apiserver::Error::Refused { source, .. }) => {
            Err(Error::Api { reason: source.reason.clone(), message: source.message })
        }
        Err(error) => Err(Error::library("run the command", error)),
    }
}

/// The size of our terminal, now and whenever it changes.
fn sizes() -> Result<Receiver<(u16, u16)>> {
    let (sender, sizes) = mpsc::channel();
    let mut change = SigSet::empty();
    change.add(Signal::SIGWINCH);
    change.thread_block().map_err(|errno| Error::system("watch the terminal's size", errno))?;
    std::thread::spawn(move || {
        loop {
            if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
                && sender.send((size.ws_col, size.ws_row)).is_err()
            {
                return;
            }
            if change.wait().is_err() {
                return;
            }
        }
    });
    Ok(sizes)
}

/// Our terminal passes every key on, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self> {
        let failed = |errno: nix::errno::Errno| Error::system("set up the terminal", errno);
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that vanished.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}
