//! The demo application's accept loop: a thread per connection, a signal descriptor, a graceful end.
//!
//! Order at the end: SIGTERM → health and answers go on while the listener still accepts for the drain time (rules
//! that still point here may send a last connection) → the listener closes → requests already begun are finished →
//! exit. Idle keep-alive connections are told `connection: close` with their next answer.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::answers::App;
use crate::http1;

/// How long begun requests may take to finish once the listener is closed.
const FINISH: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Shared {
    app: App,
    draining: AtomicBool,
    begun: AtomicUsize,
}

/// Serves until SIGTERM or SIGINT, then ends gracefully.
pub(super) fn serve(address: SocketAddr, app: App, drain: Duration) -> io::Result<()> {
    // Blocked before any thread exists, so that every thread inherits it. A blocked signal reaches even pid 1.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    let end = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let shared = Arc::new(Shared { app, draining: AtomicBool::new(false), begun: AtomicUsize::new(0) });
    accept_until(&listener, Some(&end), None, &shared)?;
    println!("ending: drains for {} ms", drain.as_millis());
    shared.draining.store(true, Ordering::SeqCst);
    accept_until(&listener, None, Some(Instant::now() + drain), &shared)?;
    drop(listener);
    let deadline = Instant::now() + FINISH;
    while shared.begun.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Accepts until `end` is readable or `deadline` has passed.
fn accept_until(
    listener: &TcpListener,
    end: Option<&SignalFd>,
    deadline: Option<Instant>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut wanted = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        wanted.extend(end.map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN)));
        match poll(&mut wanted, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if wanted.get(1).is_some_and(|end| end.any().unwrap_or(false)) {
            return Ok(());
        }
        while let Ok((stream, _)) = listener.accept() {
            // Counted from here: a connection accepted in the last moment of the drain is still answered.
            shared.begun.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(shared);
            std::thread::Builder::new().stack_size(256 * 1024).spawn(move || converse(stream, &shared))?;
        }
    }
}

fn converse(stream: TcpStream, shared: &Shared) {
    // A broken connection concerns its client only.
    let _ = answer_all(stream, shared);
    shared.begun.fetch_sub(1, Ordering::SeqCst);
}

fn answer_all(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = http1::read_request(&mut reader)? {
        let answer = shared.app.answer(&request);
        let keep_alive = request.keep_alive && answer.exit.is_none() && !shared.draining.load(Ordering::SeqCst);
        http1::write_response(&mut writer, answer.status, answer.media_type, &answer.body, keep_alive)?;
        if let Some(code) = answer.exit {
            std::process::exit(code);
        }
        if !keep_alive {
            return Ok(());
        }
    }
    Ok(())
}
