//! The clone, and the few calls about process descriptors that no safe wrapper knows: the only unsafe code here.
//!
//! The child shares this program's memory until it becomes the stub, a few instructions later, while the calling
//! thread waits. In between it runs on a stack of its own, with every signal blocked, makes plain system calls, and
//! touches nothing but its [`Birth`]: no allocation, no lock, no thread-local, no library function.
#![allow(unsafe_code, reason = "clone with shared memory and raw calls have no safe form")]

use std::arch::asm;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

const CLONE_VM: u64 = 0x100;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const STACK_WORDS: usize = 2048;
/// The helper's word when the ids are mapped.
pub(super) const GATE_OPEN: u8 = 1;

/// Everything the child needs before it becomes the stub. It lives in the caller's frame, which waits.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    /// Namespace flags.
    pub(crate) flags: u32,
    /// The unified group to be born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// The stub's program.
    pub(crate) stub: BorrowedFd<'a>,
    /// Its arguments.
    pub(crate) args: [&'a CStr; 3],
    /// Descriptors that stay open in the stub.
    pub(crate) keep: &'a [RawFd],
    /// In a new user namespace: where to wait until the ids are mapped.
    pub(crate) gate: Option<BorrowedFd<'a>>,
    /// The child's pid as the caller sees it, written by the kernel before the child runs.
    pub(crate) pid: AtomicI32,
    /// Why the child could not become the stub.
    pub(crate) errno: AtomicI32,
}

#[repr(C, align(16))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// One system call of the child.
///
/// # Safety
/// Arguments that the call reads as addresses must be valid for it.
unsafe fn raw(number: libc::c_long, args: [usize; 5]) -> isize {
    let [a, b, c, d, e] = args;
    let answer: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the arguments; the registers that `syscall` destroys are declared.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller vouches for the arguments; `svc` destroys nothing but its result.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => answer, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack));
    }
    answer
}

/// What the child does: waits for its ids, keeps its descriptors, becomes the stub.
///
/// # Safety
/// `birth` must point to a [`Birth`] that outlives the call, and its texts and lists with it.
unsafe extern "C" fn child(birth: *const Birth<'_>) -> ! {
    // SAFETY: the parent passed the address of its own `Birth` and waits until this process has left.
    let birth = unsafe { &*birth };
    let errno = become_stub(birth);
    birth.errno.store(errno, Ordering::SeqCst);
    loop {
        // SAFETY: exit_group takes no address.
        unsafe { raw(libc::SYS_exit_group, [125, 0, 0, 0, 0]) };
    }
}

/// Returns only with an error number.
fn become_stub(birth: &Birth<'_>) -> i32 {
    if let Some(gate) = birth.gate {
        let mut word = [0_u8; 1];
        let gate = gate.as_raw_fd() as usize;
        // SAFETY: one byte is read from `word`, which lives in this frame.
        let told = unsafe { raw(libc::SYS_write, [gate, word.as_ptr() as usize, 1, 0, 0]) };
        // SAFETY: one byte is written to `word`, which lives in this frame.
        let heard = unsafe { raw(libc::SYS_read, [gate, word.as_mut_ptr() as usize, 1, 0, 0]) };
        if told != 1 || heard != 1 || word[0] != GATE_OPEN {
            return libc::ECHILD;
        }
        // Becoming the namespace's root before execve, which would otherwise take all capabilities away.
        for call in [libc::SYS_setresgid, libc::SYS_setresuid] {
            // SAFETY: three numbers, no address.
            let answer = unsafe { raw(call, [0, 0, 0, 0, 0]) };
            if answer != 0 {
                return -answer as i32;
            }
        }
    }
    for fd in birth.keep {
        // SAFETY: F_SETFD takes numbers only.
        unsafe { raw(libc::SYS_fcntl, [*fd as usize, libc::F_SETFD as usize, 0, 0, 0]) };
    }
    let [program, plan, length] = birth.args;
    let argv = [program.as_ptr(), plan.as_ptr(), length.as_ptr(), std::ptr::null()];
    let envp = [std::ptr::null::<u8>()];
    let args = [
        birth.stub.as_raw_fd() as usize,
        c"".as_ptr() as usize,
        argv.as_ptr() as usize,
        envp.as_ptr() as usize,
        libc::AT_EMPTY_PATH as usize,
    ];
    // SAFETY: `argv` and `envp` end with null and live in this frame; their texts live in the waiting parent's.
    let answer = unsafe { raw(libc::SYS_execveat, args) };
    -answer as i32
}

/// Clones, and returns when the child has become the stub or failed to.
///
/// # Errors
/// The kernel's answer to the clone itself; the child's own failure is in [`Birth::errno`].
pub(crate) fn spawn(birth: &Birth<'_>) -> Result<OwnedFd, Errno> {
    let mut stack: Vec<u128> = Vec::with_capacity(STACK_WORDS);
    let mut pidfd: RawFd = -1;
    let mut flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID | u64::from(birth.flags);
    if birth.cgroup.is_some() {
        flags |= CLONE_INTO_CGROUP;
    }
    let args = CloneArgs {
        flags,
        pidfd: (&raw mut pidfd) as u64,
        parent_tid: birth.pid.as_ptr() as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: (STACK_WORDS * 16) as u64,
        cgroup: birth.cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    // A handler must not run in the child: it would run on the host's data.
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    // SAFETY: `args` is a clone_args of its size whose stack is ours alone and outlives the child's use of it (VFORK:
    // this thread waits for execve or exit); `birth` lives in the caller's frame just as long.
    let answer = unsafe { clone3(&args, birth) };
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    drop(stack);
    if answer < 0 {
        return Err(Errno::from_raw(-answer as i32));
    }
    // SAFETY: CLONE_PIDFD made the kernel store a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// The clone itself: the parent gets the answer, the child calls [`child`] on the new stack and never comes back.
///
/// # Safety
/// `args` must hold a stack that nothing else uses, and `birth` must outlive the child's use of shared memory.
unsafe fn clone3(args: &CloneArgs, birth: &Birth<'_>) -> isize {
    let answer: isize;
    let size = size_of::<CloneArgs>();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: in the parent the block is an ordinary system call; the child starts on its own 16-aligned stack, so
    // `call` keeps the convention's alignment, and `child` never returns into this frame. `size` excludes padding.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r12", "call r13", "ud2", "2:",
            inlateout("rax") libc::SYS_clone3 as isize => answer, in("rdi") args, in("rsi") size.min(88),
            in("r12") birth, in("r13") child as unsafe extern "C" fn(*const Birth<'_>) -> !,
            lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: in the parent the block is an ordinary system call; the child starts on its own 16-aligned stack and
    // `child` never returns into this frame. `size` excludes padding.
    unsafe {
        asm!("svc 0", "cbnz x0, 2f", "mov x29, xzr", "mov x0, x20", "blr x21", "brk 1", "2:",
            inlateout("x0") args => answer, in("x1") size.min(88), in("x8") libc::SYS_clone3,
            in("x20") birth, in("x21") child as unsafe extern "C" fn(*const Birth<'_>) -> !, lateout("x30") _);
    }
    answer
}

/// Opens a descriptor of a process.
pub(crate) fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open takes numbers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends a signal to exactly the process behind the descriptor.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo means "as kill(2)"; the rest are numbers.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) }).map(drop)
}

/// Asks a process descriptor for the exit status, even after somebody else reaped the process (Linux 6.15).
pub(crate) fn exit_of(pidfd: BorrowedFd<'_>) -> Option<i32> {
    const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    // The first 64 bytes of struct pidfd_info: the mask first, the exit status last.
    let mut info = [0_u64; 8];
    info[0] = PIDFD_INFO_EXIT;
    // SAFETY: the request's size field says 64 bytes, which is what `info` has.
    let answer = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, info.as_mut_ptr()) };
    (answer == 0 && info[0] & PIDFD_INFO_EXIT != 0).then_some((info[7] >> 32) as i32)
}

/// Sets a terminal's size.
pub(crate) fn set_window(terminal: BorrowedFd<'_>, rows: u16, cols: u16) -> Result<(), Errno> {
    let size = libc::winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize, which lives in this frame.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

/// Takes ownership of a descriptor that arrived over a socket.
pub(crate) fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel made the descriptor for the receiver of the message, and only `receive` calls this, once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
