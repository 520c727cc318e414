//! The parent's side of a launch, in numbered steps: descriptors, clone, handshake.
//!
//! Absent on purpose: decisions. The plan says what is done; here it is handed over and its outcome is told.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicI32;

use container_child::op::{Op, detail};
use container_child::wire;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::plan::LaunchPlan;
use crate::{ContainerId, Ended, Error, Result, exit};

pub(crate) mod clone;
mod handshake;
mod idmap;

/// A process that carries out a plan.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) master: Option<OwnedFd>,
    /// Present while the process waits for its start.
    pub(crate) parked: Option<Parked>,
}

/// The parent's ends of a launch that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    control: OwnedFd,
    memory: OwnedFd,
    plan: LaunchPlan,
}

/// What a launch is given.
#[derive(Debug)]
pub(crate) struct Handover<'a> {
    pub(crate) id: &'a ContainerId,
    pub(crate) stub: BorrowedFd<'a>,
    /// One descriptor for each of the plan's needs, in order.
    pub(crate) fds: Vec<BorrowedFd<'a>>,
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

/// Writes the stub into a sealed memory file: whoever gets hold of it can change nothing.
pub(crate) fn stub() -> Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    if container_child::STUB.is_empty() {
        return Err(Error::Unsupported {
            feature: "launching containers".to_owned(),
            hint: "containers are a matter of Linux".to_owned(),
        });
    }
    let file = memory(c"container-child", MFdFlags::MFD_ALLOW_SEALING, true)?;
    write_all(&file, container_child::STUB)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(Error::kernel("seal the stub"))?;
    Ok(file)
}

fn memory(name: &std::ffi::CStr, flags: MFdFlags, executable: bool) -> Result<OwnedFd> {
    // MFD_EXEC and MFD_NOEXEC_SEAL came with Linux 6.3; older kernels refuse flags they do not know.
    let wish = MFdFlags::from_bits_retain(if executable { 0x10 } else { 0x08 });
    let flags = flags | MFdFlags::MFD_CLOEXEC;
    memfd_create(name, flags | wish).or_else(|_| memfd_create(name, flags)).map_err(Error::kernel("make a memory file"))
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let count = nix::unistd::write(file, bytes).map_err(Error::kernel("write a memory file"))?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Launches a plan. Returns when the process is parked, or when its program runs.
pub(crate) fn launch(plan: LaunchPlan, handover: &Handover<'_>) -> Result<Launched> {
    // 1. The plan as the stub will see it, with the descriptors' real numbers.
    let kind = SockType::SeqPacket;
    let (control, theirs) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
        .map_err(Error::kernel("make the control socket"))?;
    let numbers: Vec<RawFd> = handover.fds.iter().map(AsRawFd::as_raw_fd).collect();
    let bytes = plan.serialise(&numbers, theirs.as_raw_fd());
    let memory = memory(c"launch-plan", MFdFlags::empty(), false)?;
    write_all(&memory, &bytes)?;
    // 2. The clone.
    let text = |value: usize| CString::new(value.to_string()).unwrap_or_default();
    let (fd, length) = (text(memory.as_raw_fd().unsigned_abs() as usize), text(bytes.len()));
    let mut keep = numbers;
    keep.extend([theirs.as_raw_fd(), memory.as_raw_fd()]);
    let mut birth = clone::Birth {
        flags: plan.clone_flags,
        cgroup: handover.cgroup,
        stub: handover.stub,
        args: [c"container-child", &fd, &length],
        keep: &keep,
        gate: None,
        pid: AtomicI32::new(0),
        errno: AtomicI32::new(0),
    };
    let pidfd = match &plan.maps {
        None => clone::spawn(&birth).map_err(Error::kernel("clone"))?,
        Some(maps) => idmap::spawn(&mut birth, maps)?,
    };
    let errno = birth.errno.into_inner();
    let pid = birth.pid.into_inner();
    drop(theirs);
    if errno != 0 {
        exit::reap(pidfd.as_fd(), true)?;
        let source = std::io::Error::from_raw_os_error(errno);
        return Err(Error::Kernel { doing: "execute the stub", source });
    }
    // 3. The handshake.
    let mut launched = Launched { pid, pidfd, master: None, parked: None };
    let parked = Parked { control, memory, plan };
    follow(handover.id, &mut launched, parked)?;
    Ok(launched)
}

/// Lets a parked process go on. Returns when its program runs.
pub(crate) fn start(id: &ContainerId, pidfd: BorrowedFd<'_>, parked: &Parked) -> Result<()> {
    use nix::sys::socket::{MsgFlags, send};
    if let Err(errno) = send(parked.control.as_raw_fd(), &[wire::GO], MsgFlags::MSG_NOSIGNAL) {
        // It died meanwhile; what it said last is better than "broken pipe".
        verdict(id, pidfd, parked)?;
        return Err(Error::Kernel { doing: "start the program", source: errno.into() });
    }
    loop {
        if let handshake::Message::Closed = handshake::receive(parked.control.as_fd())? {
            return verdict(id, pidfd, parked);
        }
    }
}

fn follow(id: &ContainerId, launched: &mut Launched, parked: Parked) -> Result<()> {
    use handshake::Message;
    loop {
        match handshake::receive(parked.control.as_fd())? {
            Message::Parked => {
                launched.parked = Some(parked);
                return Ok(());
            }
            Message::Master(master) => launched.master = Some(master),
            Message::Sibling(pid, pidfd) => {
                exit::reap(launched.pidfd.as_fd(), true)?;
                (launched.pid, launched.pidfd) = (pid, pidfd);
            }
            Message::Closed => return verdict(id, launched.pidfd.as_fd(), &parked),
        }
    }
}

/// The socket is closed: did the program begin, or which step failed?
fn verdict(id: &ContainerId, pidfd: BorrowedFd<'_>, parked: &Parked) -> Result<()> {
    let words = handshake::words(parked.memory.as_fd())?;
    if words.state == wire::STATE_EXEC {
        return Ok(());
    }
    let ended = exit::reap(pidfd, true)?.unwrap_or(Ended::Lost);
    if words.state != wire::STATE_FAILED {
        let how = exit::ExitStatus::new(ended).to_string();
        return Err(Error::ChildLost { id: id.clone(), how });
    }
    Err(failure(id, &parked.plan, words))
}

/// Names the step and the field of the specification behind an error number.
fn failure(id: &ContainerId, plan: &LaunchPlan, words: handshake::Words) -> Error {
    let step = words.at as usize;
    let source = std::io::Error::from_raw_os_error(words.errno);
    match plan.ops().get(step) {
        Some(Op::Exec { .. }) if words.detail == detail::NOT_FOUND => {
            Error::CommandNotFound { command: plan.command.clone() }
        }
        Some(Op::Exec { .. }) if words.detail == detail::NOT_EXECUTABLE => {
            Error::NotExecutable { command: plan.command.clone(), source }
        }
        Some(Op::Cwd { .. }) => Error::WorkingFolder { path: plan.cwd.clone(), source },
        _ => Error::Launch {
            id: id.clone(),
            step,
            steps: plan.len(),
            op: plan.step_text(step),
            origin: plan.origins.get(step).cloned().unwrap_or_default(),
            source,
        },
    }
}
