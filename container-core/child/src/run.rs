//! The interpreter: a loop over the plan and one match.
//!
//! Before each op its index is already known to the parent's side of the map, so a failure is the kernel's number
//! and nothing else. The loop ends in execve, in a report, or in silence when the parent is gone.
//!
//! Absent on purpose: decisions. What to do, and in which order, was settled by the parent.

use crate::abi::*;
use crate::op::{Op, Slot, detail};
use crate::sys::{self, Errno, Plan, Result};
use crate::{identity, mounts, wire};

/// What the ops share: the plan and the descriptors they opened.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    slots: [i32; wire::SLOTS],
}

/// Executes the plan.
pub(crate) fn run(plan: Plan) -> ! {
    // First of all: nobody may look into this process, whatever it joins later.
    let _ = sys::prctl(PR_SET_DUMPABLE, 0, 0);
    let mut run = Run { plan, slots: [-1; wire::SLOTS] };
    let mut index = 0;
    loop {
        let outcome = run.plan.op(index as usize).and_then(|words| Op::decode(&words)).ok_or(Errno(EINVAL));
        let outcome = if index < plan.header(wire::word::OPS) { outcome } else { Err(Errno(EINVAL)) };
        if let Err(Errno(errno)) = outcome.and_then(|op| run.step(op, index)) {
            plan.publish(wire::word::ERRNO, errno as u32);
            plan.publish(wire::word::AT, index);
            plan.publish(wire::word::STATE, wire::STATE_FAILED);
            sys::exit(wire::EXIT_FAILED)
        }
        index += 1;
    }
}

impl Run {
    pub(crate) fn slot(&self, slot: Slot) -> Result<i32> {
        self.slots.get(slot.0 as usize).copied().filter(|fd| *fd >= 0).ok_or(Errno(EBADF))
    }

    pub(crate) fn fill(&mut self, slot: Slot, fd: i32) -> Result<()> {
        *self.slots.get_mut(slot.0 as usize).ok_or(Errno(EBADF))? = fd;
        Ok(())
    }

    pub(crate) fn drain(&mut self, slot: Slot) {
        if let Some(fd) = self.slots.get_mut(slot.0 as usize) {
            sys::close(*fd);
            *fd = -1;
        }
    }

    fn control(&self) -> i32 {
        self.plan.header(wire::word::CONTROL) as i32
    }

    fn step(&mut self, op: Op, index: u32) -> Result<()> {
        match op {
            Op::Write { fd, text } => self.write(fd.0, text.0),
            Op::WriteFile { path, text } => write_file(AT_FDCWD, &self.plan, path.0, text.0),
            Op::Sysctl { proc, path, value } => write_file(self.slot(proc)?, &self.plan, path.0, value.0),
            Op::Adjust { text } => self.adjust(text.0),
            Op::Unshare { flags } => sys::unshare(flags),
            Op::Setns { fd, flags } => sys::setns(self.plan.fd(fd.0)?, flags),
            Op::Fork {} => self.fork(),
            Op::DeviceFilter { cgroup, program } => {
                sys::attach_device_program(self.plan.fd(cgroup.0)?, self.plan.program(program.0)?)
            }
            Op::Hostname { name } => sys::sethostname(self.plan.text(name.0)?),
            Op::Domainname { name } => sys::setdomainname(self.plan.text(name.0)?),
            Op::Console { rows, cols, uid, bind } => self.console(rows, cols, uid, bind),
            Op::Stdio { fd, number } => self.stdio(fd.0, number),
            Op::NewSession {} => sys::setsid(),
            Op::AwaitStart {} => self.await_start(),
            Op::Signals {} => signals(),
            Op::CloseFds {} => sys::close_on_exec_from(3),
            Op::Umask { mask } => {
                sys::umask(mask);
                Ok(())
            }
            Op::Seccomp { program, flags } => sys::seccomp(self.plan.program(program.0)?, flags),
            Op::Exec { paths, argv, envp } => self.exec(index, paths.0, argv.0, envp.0),
            op => match mounts::step(self, op) {
                Some(outcome) => outcome,
                None => identity::step(&self.plan, op),
            },
        }
    }

    fn write(&self, fd: u32, text: u32) -> Result<()> {
        sys::write(self.plan.fd(fd)?, self.plan.text(text)?.to_bytes()).map(drop)
    }

    /// Through the process's own file in the host's proc: the process is not dumpable, but it is root where it stands.
    fn adjust(&self, text: u32) -> Result<()> {
        let file = sys::openat(AT_FDCWD, c"/proc/self/oom_score_adj", O_WRONLY, 0)?;
        let written = sys::write(file, self.plan.text(text)?.to_bytes()).map(drop);
        sys::close(file);
        written
    }

    /// The sibling goes on with the plan; this process hands its descriptor to the parent and ends.
    fn fork(&self) -> Result<()> {
        let (pid, pidfd) = sys::clone_sibling()?;
        if pid == 0 {
            // A clone inherits the mark, but better twice than never.
            return sys::prctl(PR_SET_DUMPABLE, 0, 0);
        }
        let [a, b, c, d] = pid.to_ne_bytes();
        sys::send_fd(self.control(), &[wire::CHILD, a, b, c, d], pidfd)?;
        sys::exit(0)
    }

    fn console(&self, rows: u32, cols: u32, uid: u32, bind: u32) -> Result<()> {
        let flags = O_RDWR | O_NOCTTY;
        let master = sys::openat2(AT_FDCWD, c"/dev/pts/ptmx", flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)?;
        sys::unlock_terminal(master)?;
        // The peer comes out of the master itself: no path that could be swapped.
        let terminal = sys::ioctl(master, TIOCGPTPEER, (flags | O_CLOEXEC) as usize)? as i32;
        if rows != 0 {
            sys::set_window(master, rows, cols)?;
        }
        sys::fchown(terminal, uid, u32::MAX)?;
        if bind != 0 {
            mounts::bind_console(terminal)?;
        }
        sys::send_fd(self.control(), &[wire::MASTER], master)?;
        sys::close(master);
        sys::setsid()?;
        for number in 0..3 {
            put(terminal, number)?;
        }
        sys::ioctl(0, TIOCSCTTY, 0).map(drop)
    }

    fn stdio(&self, fd: u32, number: u32) -> Result<()> {
        put(self.plan.fd(fd)?, number as i32)
    }

    fn await_start(&self) -> Result<()> {
        sys::write(self.control(), &[wire::PARKED])?;
        let mut word = [0];
        match sys::read(self.control(), &mut word) {
            Ok(1) => Ok(()),
            // The parent is gone, or did not want this container after all.
            _ => sys::exit(wire::EXIT_FAILED),
        }
    }

    /// Tries the paths in order, as a shell would: a missing one is passed over, a forbidden one is remembered.
    fn exec(&self, index: u32, paths: u32, argv: u32, envp: u32) -> Result<()> {
        let argv = self.plan.relocate(argv)?;
        let envp = self.plan.relocate(envp)?;
        let paths = self.plan.list(paths)?;
        let mut worst = Errno(ENOENT);
        self.plan.publish(wire::word::AT, index);
        self.plan.publish(wire::word::STATE, wire::STATE_EXEC);
        for path in paths {
            match sys::execve(self.plan.text(*path)?, argv, envp) {
                Errno(ENOENT | ENOTDIR) if paths.len() > 1 => {}
                Errno(EACCES | EISDIR) if paths.len() > 1 => worst = Errno(EACCES),
                errno => {
                    worst = errno;
                    break;
                }
            }
        }
        let detail = match worst {
            Errno(ENOENT | ENOTDIR) => detail::NOT_FOUND,
            Errno(EACCES | ENOEXEC | EISDIR | EPERM | ELOOP) => detail::NOT_EXECUTABLE,
            _ => detail::PROGRAM,
        };
        self.plan.publish(wire::word::DETAIL, detail);
        Err(worst)
    }
}

fn write_file(dir: i32, plan: &Plan, path: u32, text: u32) -> Result<()> {
    let file = sys::openat(dir, plan.text(path)?, O_WRONLY | O_NOFOLLOW, 0)?;
    let written = sys::write(file, plan.text(text)?.to_bytes()).map(drop);
    sys::close(file);
    written
}

/// Puts a descriptor at a number, open across execve.
fn put(fd: i32, number: i32) -> Result<()> {
    if fd == number { sys::keep_across_exec(fd) } else { sys::dup3(fd, number) }
}

/// Ignored signals stay ignored across execve, and a library's host may ignore any of them.
fn signals() -> Result<()> {
    for signal in 1..=64 {
        // 9 and 19 cannot be changed; the kernel says so and nothing is lost.
        sys::default_action(signal);
    }
    sys::unblock_signals()
}
