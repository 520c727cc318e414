//! System calls and the view of the mapped plan: the only unsafe code of the stub.
//!
//! Every wrapper takes texts as `&CStr`, buffers as slices and descriptors as numbers, so that whatever it hands to
//! the kernel is valid for the whole call. An error is the kernel's number. Nothing here allocates, locks or returns
//! to a caller outside the stub.
#![allow(unsafe_code, reason = "this module is where the stub talks to the kernel")]

use core::arch::asm;
use core::ffi::CStr;

use crate::abi::*;
use crate::wire;

/// The kernel's error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// One system call. Returns the kernel's raw answer.
///
/// # Safety
/// The arguments that the call reads as addresses must be valid for what it does with them.
unsafe fn raw(number: usize, args: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = args;
    let answer: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the arguments; the clobbered registers of `syscall` are declared.
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller vouches for the arguments; `svc` clobbers nothing but its result.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => answer, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            in("x5") f, options(nostack));
    }
    answer
}

fn checked(answer: isize) -> Result<usize> {
    usize::try_from(answer).map_err(|_| Errno(i32::try_from(-answer).unwrap_or(EINVAL)))
}

/// A call whose arguments are plain numbers: no address among them.
fn plain(number: usize, args: [usize; 6]) -> Result<usize> {
    // SAFETY: no argument of the calls made through here is read as an address (see each caller in this file).
    checked(unsafe { raw(number, args) })
}

/// A call whose addresses all come from references that live until it returns.
macro_rules! call {
    ($number:expr $(, $arg:expr)*) => {{
        let mut args = [0_usize; 6];
        for (slot, value) in args.iter_mut().zip([$($arg as usize),*]) { *slot = value; }
        // SAFETY: every address in `args` was taken from a reference that outlives this statement, and the kernel
        // reads or writes only as many bytes as the length beside it or the text's own end says.
        checked(unsafe { raw($number, args) })
    }};
}

fn fd_word(fd: i32) -> usize {
    fd as isize as usize
}

pub(crate) fn exit(code: i32) -> ! {
    loop {
        let _ = plain(EXIT_GROUP, [fd_word(code), 0, 0, 0, 0, 0]);
    }
}

pub(crate) fn read(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    call!(READ, fd_word(fd), buffer.as_mut_ptr(), buffer.len())
}

pub(crate) fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    call!(WRITE, fd_word(fd), bytes.as_ptr(), bytes.len())
}

pub(crate) fn close(fd: i32) {
    let _ = plain(CLOSE, [fd_word(fd), 0, 0, 0, 0, 0]);
}

fn as_fd(value: usize) -> i32 {
    value as i32
}

pub(crate) fn openat(dir: i32, path: &CStr, flags: u32, mode: u32) -> Result<i32> {
    call!(OPENAT, fd_word(dir), path.as_ptr(), flags | O_CLOEXEC, mode).map(as_fd)
}

pub(crate) fn openat2(dir: i32, path: &CStr, flags: u32, mode: u32, resolve: u64) -> Result<i32> {
    let how = [u64::from(flags | O_CLOEXEC), u64::from(mode), resolve];
    call!(OPENAT2, fd_word(dir), path.as_ptr(), how.as_ptr(), 24_usize).map(as_fd)
}

pub(crate) fn mkdirat(dir: i32, path: &CStr, mode: u32) -> Result<()> {
    call!(MKDIRAT, fd_word(dir), path.as_ptr(), mode).map(drop)
}

pub(crate) fn mknodat(dir: i32, path: &CStr, mode: u32, major: u32, minor: u32) -> Result<()> {
    let device = (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12);
    call!(MKNODAT, fd_word(dir), path.as_ptr(), mode, device).map(drop)
}

pub(crate) fn fchmodat(dir: i32, path: &CStr, mode: u32) -> Result<()> {
    call!(FCHMODAT, fd_word(dir), path.as_ptr(), mode).map(drop)
}

pub(crate) fn fchownat(dir: i32, path: &CStr, uid: u32, gid: u32) -> Result<()> {
    call!(FCHOWNAT, fd_word(dir), path.as_ptr(), uid, gid, AT_SYMLINK_NOFOLLOW).map(drop)
}

pub(crate) fn fchown(fd: i32, uid: u32, gid: u32) -> Result<()> {
    plain(FCHOWN, [fd_word(fd), uid as usize, gid as usize, 0, 0, 0]).map(drop)
}

pub(crate) fn symlinkat(target: &CStr, dir: i32, path: &CStr) -> Result<()> {
    call!(SYMLINKAT, target.as_ptr(), fd_word(dir), path.as_ptr()).map(drop)
}

/// Mode of what a descriptor or a path below it names; links are not followed.
pub(crate) fn mode_of(dir: i32, path: &CStr) -> Result<u32> {
    let mut statx = [0_u8; 256];
    let flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
    // 3: type and mode are all that is asked for.
    call!(STATX, fd_word(dir), path.as_ptr(), flags, 3_usize, statx.as_mut_ptr())?;
    let [low, high] = [28, 29].map(|at: usize| statx.get(at).copied().unwrap_or(0));
    Ok(u32::from(u16::from_ne_bytes([low, high])))
}

pub(crate) fn chdir(path: &CStr) -> Result<()> {
    call!(CHDIR, path.as_ptr()).map(drop)
}

pub(crate) fn fchdir(fd: i32) -> Result<()> {
    plain(FCHDIR, [fd_word(fd), 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn mount(source: &CStr, target: &CStr, fstype: &CStr, flags: u32, data: &CStr) -> Result<()> {
    let empty = data.is_empty();
    let data = if empty { core::ptr::null() } else { data.as_ptr() };
    call!(MOUNT, source.as_ptr(), target.as_ptr(), fstype.as_ptr(), flags, data).map(drop)
}

pub(crate) fn umount(path: &CStr, flags: u32) -> Result<()> {
    call!(UMOUNT2, path.as_ptr(), flags).map(drop)
}

pub(crate) fn pivot_root(new: &CStr, old: &CStr) -> Result<()> {
    call!(PIVOT_ROOT, new.as_ptr(), old.as_ptr()).map(drop)
}

pub(crate) fn open_tree(dir: i32, path: &CStr, flags: u32) -> Result<i32> {
    call!(OPEN_TREE, fd_word(dir), path.as_ptr(), flags | OPEN_TREE_CLOEXEC).map(as_fd)
}

/// Attaches the detached mount `from` onto what the descriptor `onto` names.
pub(crate) fn move_mount(from: i32, onto: i32) -> Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    call!(MOVE_MOUNT, fd_word(from), c"".as_ptr(), fd_word(onto), c"".as_ptr(), flags).map(drop)
}

pub(crate) fn fsopen(fstype: &CStr) -> Result<i32> {
    call!(FSOPEN, fstype.as_ptr(), FSOPEN_CLOEXEC).map(as_fd)
}

pub(crate) fn fsconfig(fd: i32, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<()> {
    let key = key.map_or(core::ptr::null(), CStr::as_ptr);
    let value = value.map_or(core::ptr::null(), CStr::as_ptr);
    call!(FSCONFIG, fd_word(fd), command, key, value).map(drop)
}

pub(crate) fn fsmount(fd: i32, attrs: u32) -> Result<i32> {
    plain(FSMOUNT, [fd_word(fd), FSMOUNT_CLOEXEC as usize, attrs as usize, 0, 0, 0]).map(as_fd)
}

pub(crate) fn mount_setattr(dir: i32, path: &CStr, flags: u32, set: u64, clear: u64, propagation: u64) -> Result<()> {
    let attr = [set, clear, propagation, 0];
    call!(MOUNT_SETATTR, fd_word(dir), path.as_ptr(), flags, attr.as_ptr(), 32_usize).map(drop)
}

pub(crate) fn unshare(flags: u32) -> Result<()> {
    plain(UNSHARE, [flags as usize, 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn setns(fd: i32, flags: u32) -> Result<()> {
    plain(SETNS, [fd_word(fd), flags as usize, 0, 0, 0, 0]).map(drop)
}

/// Clones the stub as a sibling. Returns the pid (0 in the new process) and, in the old one, a process descriptor.
pub(crate) fn clone_sibling() -> Result<(u32, i32)> {
    let mut pidfd = -1_i32;
    let args = [CLONE_PARENT | CLONE_PIDFD, (&raw mut pidfd) as u64, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let pid = call!(CLONE3, args.as_ptr(), 88_usize)?;
    Ok((pid as u32, pidfd))
}

pub(crate) fn sethostname(name: &CStr) -> Result<()> {
    call!(SETHOSTNAME, name.as_ptr(), name.count_bytes()).map(drop)
}

pub(crate) fn setdomainname(name: &CStr) -> Result<()> {
    call!(SETDOMAINNAME, name.as_ptr(), name.count_bytes()).map(drop)
}

pub(crate) fn setrlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limits = [soft, hard];
    call!(PRLIMIT64, 0_usize, resource, limits.as_ptr(), 0_usize).map(drop)
}

pub(crate) fn ioctl(fd: i32, request: usize, value: usize) -> Result<usize> {
    plain(IOCTL, [fd_word(fd), request, value, 0, 0, 0])
}

pub(crate) fn unlock_terminal(master: i32) -> Result<()> {
    let unlock = 0_i32;
    call!(IOCTL, fd_word(master), TIOCSPTLCK, &raw const unlock).map(drop)
}

pub(crate) fn set_window(terminal: i32, rows: u32, cols: u32) -> Result<()> {
    let size = [rows as u16, cols as u16, 0, 0];
    call!(IOCTL, fd_word(terminal), TIOCSWINSZ, size.as_ptr()).map(drop)
}

pub(crate) fn dup3(from: i32, to: i32) -> Result<()> {
    plain(DUP3, [fd_word(from), fd_word(to), 0, 0, 0, 0]).map(drop)
}

pub(crate) fn keep_across_exec(fd: i32) -> Result<()> {
    // 2 is F_SETFD; dup3 refuses equal numbers, which is when this is needed.
    #[cfg(target_arch = "x86_64")]
    const FCNTL: usize = 72;
    #[cfg(target_arch = "aarch64")]
    const FCNTL: usize = 25;
    plain(FCNTL, [fd_word(fd), 2, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn setsid() -> Result<()> {
    plain(SETSID, [0; 6]).map(drop)
}

pub(crate) fn umask(mask: u32) {
    let _ = plain(UMASK, [mask as usize, 0, 0, 0, 0, 0]);
}

pub(crate) fn prctl(option: usize, a: usize, b: usize) -> Result<()> {
    plain(PRCTL, [option, a, b, 0, 0, 0]).map(drop)
}

pub(crate) fn setgroups(groups: &[u32]) -> Result<()> {
    call!(SETGROUPS, groups.len(), groups.as_ptr()).map(drop)
}

pub(crate) fn setresuid(uid: u32) -> Result<()> {
    plain(SETRESUID, [uid as usize, uid as usize, uid as usize, 0, 0, 0]).map(drop)
}

pub(crate) fn setresgid(gid: u32) -> Result<()> {
    plain(SETRESGID, [gid as usize, gid as usize, gid as usize, 0, 0, 0]).map(drop)
}

/// `data`: effective, permitted, inheritable of the low word, then of the high word.
pub(crate) fn capset(data: [u32; 6]) -> Result<()> {
    // _LINUX_CAPABILITY_VERSION_3, this process.
    let header = [0x2008_0522_u32, 0];
    call!(CAPSET, header.as_ptr(), data.as_ptr()).map(drop)
}

pub(crate) fn default_action(signal: usize) {
    // handler SIG_DFL, no flags, no restorer, empty mask: all zero on both machines.
    let action = [0_u64; 4];
    let _ = call!(RT_SIGACTION, signal, action.as_ptr(), 0_usize, 8_usize);
}

pub(crate) fn unblock_signals() -> Result<()> {
    let none = 0_u64;
    // 2 is SIG_SETMASK.
    call!(RT_SIGPROCMASK, 2_usize, &raw const none, 0_usize, 8_usize).map(drop)
}

pub(crate) fn close_on_exec_from(first: u32) -> Result<()> {
    plain(CLOSE_RANGE, [first as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC as usize, 0, 0, 0]).map(drop)
}

/// Loads a filter; `program` holds whole 8-byte instructions.
pub(crate) fn seccomp(program: &[u64], flags: u32) -> Result<()> {
    // struct sock_fprog: a length, padding, an address.
    let fprog = [program.len() as u64, program.as_ptr() as u64];
    // 1 is SECCOMP_SET_MODE_FILTER.
    call!(SECCOMP, 1_usize, flags, fprog.as_ptr()).map(drop)
}

/// Loads a device program and attaches it to the cgroup beside those already there.
pub(crate) fn attach_device_program(cgroup: i32, program: &[u64]) -> Result<()> {
    let kind_and_count = 15_u64 | ((program.len() as u64) << 32);
    let load = [kind_and_count, program.as_ptr() as u64, c"Apache-2.0".as_ptr() as u64, 0, 0, 0, 0, 0];
    let loaded = call!(BPF, 5_usize, load.as_ptr(), 64_usize).map(as_fd)?;
    // target and program, then attach type BPF_CGROUP_DEVICE and flag BPF_F_ALLOW_MULTI.
    let attach = [cgroup as u32, loaded as u32, 6, 2];
    let attached = call!(BPF, 8_usize, attach.as_ptr(), 16_usize).map(drop);
    close(loaded);
    attached
}

/// Sends `bytes` with the descriptor `fd` over the control socket.
pub(crate) fn send_fd(socket: i32, bytes: &[u8], fd: i32) -> Result<()> {
    let iov = [bytes.as_ptr() as usize, bytes.len()];
    // cmsghdr {len 20, SOL_SOCKET, SCM_RIGHTS}, then the descriptor and padding.
    let control = [20_u64, 1 | (1 << 32), u64::from(fd as u32)];
    // msghdr {name, namelen, iov, iovlen, control, controllen, flags}.
    let message = [0, 0, iov.as_ptr() as usize, 1, control.as_ptr() as usize, 24, 0];
    call!(SENDMSG, fd_word(socket), message.as_ptr(), 0_usize).map(drop)
}

/// The plan, mapped shared. Offsets are checked; texts end inside the map.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    base: *mut u8,
    length: usize,
}

impl Plan {
    /// Maps `length` bytes of the memory file `fd`, whose header must carry the magic word.
    pub(crate) fn map(fd: i32, length: usize) -> Option<Self> {
        // PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE: all of it is read, one fault at a time costs more.
        let base = plain(MMAP, [0, length, 3, 0x8001, fd_word(fd), 0]).ok()?;
        let plan = Self { base: core::ptr::with_exposed_provenance_mut(base), length };
        (length >= wire::HEADER_BYTES && plan.header(wire::word::MAGIC) == wire::MAGIC).then_some(plan)
    }

    #[cfg(test)]
    pub(crate) fn over(words: &mut [u64]) -> Self {
        Self { base: words.as_mut_ptr().cast(), length: words.len() * 8 }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `map` (or the borrowed buffer of `over`) made `length` bytes from `base` readable; texts and lists
        // are never written after the parent wrote them, and status words and tables are not read through this slice.
        unsafe { core::slice::from_raw_parts(self.base, self.length) }
    }

    fn word_at(&self, offset: usize) -> Option<u32> {
        let bytes = self.bytes().get(offset..offset.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }

    pub(crate) fn header(&self, index: usize) -> u32 {
        self.word_at(index * 4).unwrap_or(0)
    }

    /// Writes a status word, so that the parent sees it whatever happens next.
    pub(crate) fn publish(&self, index: usize, value: u32) {
        if index >= wire::HEADER_WORDS {
            return;
        }
        let word = self.base.cast::<u32>().wrapping_add(index);
        // SAFETY: `index` was checked to lie in the header, which `map` proved to be inside the map; 4-aligned.
        unsafe { word.write_volatile(value) };
    }

    pub(crate) fn op(&self, index: usize) -> Option<crate::op::Words> {
        let start = wire::HEADER_BYTES.checked_add(index.checked_mul(wire::OP_BYTES)?)?;
        let mut words = [0; 8];
        for (i, word) in words.iter_mut().enumerate() {
            *word = self.word_at(start + i * 4)?;
        }
        Some(words)
    }

    pub(crate) fn fd(&self, index: u32) -> Result<i32> {
        let at = self.header(wire::word::FDS_AT) as usize + index as usize * 4;
        let known = index < self.header(wire::word::FDS);
        self.word_at(at).filter(|_| known).map(|fd| fd as i32).ok_or(Errno(EBADF))
    }

    fn arena(&self, offset: u32) -> Result<&[u8]> {
        let start = self.header(wire::word::ARENA_AT) as usize + offset as usize;
        self.bytes().get(start..).ok_or(Errno(EINVAL))
    }

    pub(crate) fn text(&self, offset: u32) -> Result<&CStr> {
        CStr::from_bytes_until_nul(self.arena(offset)?).map_err(|_| Errno(EINVAL))
    }

    pub(crate) fn list(&self, offset: u32) -> Result<&[u32]> {
        let bytes = self.arena(offset)?;
        let count = self.word_at(self.header(wire::word::ARENA_AT) as usize + offset as usize).ok_or(Errno(EINVAL))?;
        let bytes = bytes.get(4..4 + count as usize * 4).ok_or(Errno(EINVAL))?;
        // SAFETY: any four bytes are a u32; the middle part is what is aligned, and it is checked to be all of it.
        let (head, words, _) = unsafe { bytes.align_to::<u32>() };
        if head.is_empty() { Ok(words) } else { Err(Errno(EINVAL)) }
    }

    pub(crate) fn program(&self, offset: u32) -> Result<&[u64]> {
        let bytes = self.arena(offset)?;
        let count = self.word_at(self.header(wire::word::ARENA_AT) as usize + offset as usize).ok_or(Errno(EINVAL))?;
        let bytes = bytes.get(8..8 + count as usize * 8).ok_or(Errno(EINVAL))?;
        // SAFETY: any eight bytes are a u64; the middle part is what is aligned, and it is checked to be all of it.
        let (head, words, _) = unsafe { bytes.align_to::<u64>() };
        if head.is_empty() { Ok(words) } else { Err(Errno(EINVAL)) }
    }

    /// Turns a table of text offsets into addresses, in place. Once per table.
    pub(crate) fn relocate(&self, offset: u32) -> Result<Argv> {
        let arena = self.header(wire::word::ARENA_AT) as usize;
        let start = arena + offset as usize;
        let mut at = start;
        loop {
            let bytes = self.bytes().get(at..at + 8).ok_or(Errno(EINVAL))?;
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            let value = u64::from_ne_bytes(word);
            if value == 0 {
                return Ok(Argv(self.base.wrapping_add(start) as usize));
            }
            let text = u32::try_from(value - 1).map_err(|_| Errno(EINVAL))?;
            let address = self.text(text)?.as_ptr() as u64;
            let slot = self.base.wrapping_add(at).cast::<u64>();
            // SAFETY: `at..at + 8` was checked to lie inside the map; unaligned writes are allowed by the call.
            unsafe { slot.write_unaligned(address) };
            at += 8;
        }
    }
}

/// The address of a relocated, zero-ended table of texts inside the plan.
#[derive(Clone, Copy)]
pub(crate) struct Argv(usize);

/// Returns only when the kernel refused.
pub(crate) fn execve(path: &CStr, argv: Argv, envp: Argv) -> Errno {
    // The tables came from `relocate`: zero-ended, and every entry points to a text inside the same map.
    call!(EXECVE, path.as_ptr(), argv.0, envp.0).err().unwrap_or(Errno(EINVAL))
}

#[cfg(stub)]
mod entry {
    //! Where the kernel enters, and the memory functions that compiled code expects.

    use core::arch::{asm, global_asm};
    use core::ffi::CStr;

    #[cfg(target_arch = "x86_64")]
    global_asm!(".globl _start", "_start:", "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {0}", "ud2", sym start);
    #[cfg(target_arch = "aarch64")]
    global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "mov x0, sp", "b {0}", sym start);

    extern "C" fn start(stack: *const usize) -> ! {
        let plan = argument(stack, 1).and_then(|fd| super::Plan::map(fd as i32, argument(stack, 2)?));
        match plan {
            Some(plan) => crate::run::run(plan),
            None => super::exit(crate::wire::EXIT_BROKEN),
        }
    }

    /// Reads a decimal argument from the initial stack: the count, then that many addresses.
    fn argument(stack: *const usize, index: usize) -> Option<usize> {
        // SAFETY: `stack` is the stack pointer at entry, where the kernel put the argument count.
        let count = unsafe { stack.read() };
        if index >= count {
            return None;
        }
        // SAFETY: `index < count`, and the addresses follow the count.
        let address = unsafe { stack.add(1 + index).read() };
        // SAFETY: the kernel ends every argument with a zero byte.
        let text = unsafe { CStr::from_ptr(core::ptr::with_exposed_provenance(address)) };
        text.to_str().ok()?.parse().ok()
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller of memcpy vouches for both ranges; the direction flag is clear by the calling convention.
        unsafe {
            asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the caller of memcpy vouches for both ranges; the loop touches `count` bytes of each.
        unsafe {
            asm!("2: cbz {n}, 3f", "ldrb {b:w}, [{f}], #1", "strb {b:w}, [{t}], #1", "sub {n}, {n}, #1", "b 2b", "3:",
                n = inout(reg) count => _, f = inout(reg) from => _, t = inout(reg) to => _, b = out(reg) _);
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller of memset vouches for the range; the direction flag is clear by the calling convention.
        unsafe {
            asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") byte as u8, options(nostack));
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the caller of memset vouches for the range; the loop touches `count` bytes of it.
        unsafe {
            asm!("2: cbz {n}, 3f", "strb {b:w}, [{t}], #1", "sub {n}, {n}, #1", "b 2b", "3:",
                n = inout(reg) count => _, t = inout(reg) to => _, b = in(reg) byte);
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
        let mut at = 0;
        while at < count {
            // SAFETY: `at < count`, and the caller of memcmp vouches for `count` bytes of `a`.
            let left = unsafe { a.add(at).read_volatile() };
            // SAFETY: `at < count`, and the caller of memcmp vouches for `count` bytes of `b`.
            let right = unsafe { b.add(at).read_volatile() };
            if left != right {
                return i32::from(left) - i32::from(right);
            }
            at += 1;
        }
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
        // SAFETY: the caller vouches for both ranges as memcmp asks.
        unsafe { memcmp(a, b, count) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut length = 0;
        loop {
            // SAFETY: the caller vouches for a zero byte at or after `length`.
            let byte = unsafe { text.add(length).read_volatile() };
            if byte == 0 {
                return length;
            }
            length += 1;
        }
    }
}
