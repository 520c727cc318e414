//! The container's standard streams as the supervisor holds them.
//!
//! Output goes through named pipes in the container's folder, whose container side is open for
//! reading too: when the supervisor is killed, writes do not fail, and the next one reads on where
//! this one ended. A terminal cannot outlive the holder of its master; its programs are hung up on.

use std::fs::{File, OpenOptions, Permissions, set_permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::supervisor::dir::ContainerDir;
use crate::supervisor::error::{Result, io_at};
use crate::supervisor::protocol::Stream;
use crate::supervisor::state::Definition;
use crate::{Container, Launch, Size, Stdio};

/// Unwritten bytes of standard input from which on its client is not read.
const FULL: usize = 128 * 1024;

#[derive(Debug)]
pub(super) struct Output {
    pub(super) stream: Stream,
    file: File,
}

/// What the supervisor reads from and writes to.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) outputs: Vec<Output>,
    input: Option<File>,
    unwritten: Vec<u8>,
    input_ends: bool,
    terminal: bool,
}

impl Streams {
    /// Makes the streams of the next run and gives the container's sides to `launch`.
    pub(super) fn open(
        definition: &Definition,
        dir: &ContainerDir,
        size: Size,
        launch: Launch,
    ) -> Result<(Self, Launch)> {
        if definition.terminal {
            return Ok((Self { terminal: true, ..Self::default() }, launch.pty(size)));
        }
        let mut streams = Self::default();
        let mut ends = Vec::new();
        for (stream, name) in NAMES {
            let path = dir.path().join(name);
            make_fifo(&path)?;
            streams.outputs.push(open_reader(stream, &path)?);
            let end = OpenOptions::new().read(true).write(true).open(&path).map_err(io_at("open", &path))?;
            ends.push(Stdio::Fd(OwnedFd::from(end)));
        }
        let stderr = ends.pop().unwrap_or_default();
        let stdout = ends.pop().unwrap_or_default();
        let mut launch = launch.stdout(stdout).stderr(stderr);
        if definition.stdin {
            let (read, write) = std::io::pipe().map_err(io_at("make a pipe for", dir.path()))?;
            let write = OwnedFd::from(write);
            set_nonblocking(write.as_fd(), dir.path())?;
            streams.input = Some(File::from(write));
            launch = launch.stdin(Stdio::Fd(OwnedFd::from(read)));
        }
        Ok((streams, launch))
    }

    /// Opens the streams of a container that a killed supervisor left running.
    pub(super) fn reopen(definition: &Definition, dir: &ContainerDir) -> Result<Self> {
        let mut streams = Self { terminal: definition.terminal, ..Self::default() };
        if !definition.terminal {
            for (stream, name) in NAMES {
                streams.outputs.push(open_reader(stream, &dir.path().join(name))?);
            }
        }
        Ok(streams)
    }

    /// Takes the terminal's master from a launched container.
    pub(super) fn take_terminal(&mut self, container: &Container, dir: &ContainerDir) -> Result<()> {
        let master = container
            .pty_master()
            .map_err(|error| io_at("open the terminal of", dir.path())(std::io::Error::other(error)))?;
        let Some(master) = master else { return Ok(()) };
        set_nonblocking(master.as_fd(), dir.path())?;
        let master = File::from(master);
        self.input = Some(master.try_clone().map_err(io_at("hold the terminal of", dir.path()))?);
        self.outputs.push(Output { stream: Stream::Stdout, file: master });
        Ok(())
    }

    /// Takes bytes for standard input.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.input.is_some() && !self.input_ends {
            self.unwritten.extend_from_slice(bytes);
            self.write();
        }
    }

    /// Ends standard input after what is still unwritten. A terminal has no end.
    pub(super) fn end_input(&mut self) {
        if !self.terminal {
            self.input_ends = true;
            self.write();
        }
    }

    /// Standard input, when there is something to write and the pipe may have been full.
    pub(super) fn blocked_input(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().filter(|_| !self.unwritten.is_empty()).map(AsFd::as_fd)
    }

    pub(super) fn input_is_full(&self) -> bool {
        self.unwritten.len() > FULL
    }

    /// Writes what fits.
    pub(super) fn write(&mut self) {
        while let (Some(input), false) = (&mut self.input, self.unwritten.is_empty()) {
            match input.write(&self.unwritten) {
                Ok(count) => drop(self.unwritten.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    // The program closed its input: nobody wants the rest.
                    self.unwritten.clear();
                    self.input_ends = true;
                }
            }
        }
        if self.input_ends && self.unwritten.is_empty() {
            self.input = None;
        }
    }

    /// Gives up a stream at its end.
    pub(super) fn forget(&mut self, stream: Stream) {
        self.outputs.retain(|output| output.stream != stream);
    }
}

const NAMES: [(Stream, &str); 2] = [(Stream::Stdout, "stdout.fifo"), (Stream::Stderr, "stderr.fifo")];

impl Output {
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reads what is there: nothing yet (`None`), or bytes, none of them meaning the end.
    pub(super) fn read<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        match self.file.read(buffer) {
            Ok(count) => Some(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
            // A terminal whose last program is gone answers EIO.
            Err(_) => Some(&[]),
        }
    }
}

/// Makes a fresh named pipe: an old one may hold bytes of the last run.
fn make_fifo(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_at("remove", path)(error)),
        _ => {}
    }
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600))
        .map_err(|errno| io_at("create", path)(errno.into()))?;
    // Programs of any user in the container reopen /dev/stdout; the folder around it is closed to the host's users.
    set_permissions(path, Permissions::from_mode(0o666)).map_err(io_at("set the mode of", path))
}

fn open_reader(stream: Stream, path: &Path) -> Result<Output> {
    let file =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(io_at("open", path))?;
    Ok(Output { stream, file })
}

fn set_nonblocking(fd: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let flags = fcntl(fd, FcntlArg::F_GETFL).map_err(|errno| io_at("prepare a pipe for", path)(errno.into()))?;
    fcntl(fd, FcntlArg::F_SETFL(OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK))
        .map(|_| ())
        .map_err(|errno| io_at("prepare a pipe for", path)(errno.into()))
}
