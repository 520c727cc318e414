//! The floor's one unsafe file: clone without copying memory, then the launch as straight-line system calls.
//!
//! The child shares the bench's memory until execve (CLONE_VM | CLONE_VFORK) and therefore only reads what
//! [`super::Steps`] prepared. Absent: paths that are not hard-coded or prepared, error texts, any second try.
#![allow(unsafe_code, reason = "the floor is the system calls themselves, written by hand")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "one block is one launch; its obligations are the same")]

use std::ptr;

use nix::libc::{self, c_char, c_int};

use super::Steps;

const STACK: usize = 64 * 1024;

/// `struct clone_args` of clone3(2), as far as the floor fills it.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
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

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Clones the child into new namespaces and its v2 cgroup; returns its pid once it has executed the program.
pub(super) fn launch(steps: &Steps, flags: c_int) -> c_int {
    let mut stack = vec![0_u128; STACK / 16];
    let shared = (flags | libc::CLONE_VM | libc::CLONE_VFORK) as u64;
    let arguments = CloneArguments {
        flags: shared | CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: STACK as u64,
        cgroup: steps.cgroup_unified as u64,
        ..CloneArguments::default()
    };
    let outcome: i64;
    // SAFETY: `stack` and `arguments` outlive the call, because CLONE_VFORK returns only after the child has executed
    // or exited; the stack is 16-byte aligned by its element type; the child branch never comes back here: `child`
    // exits. It reads `steps`, which is borrowed for as long.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, {steps}",
            "call {child}",
            "ud2",
            "2:",
            steps = in(reg) ptr::from_ref(steps),
            child = in(reg) child as extern "C" fn(*const Steps) -> !,
            inlateout("rax") libc::SYS_clone3 => outcome,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<CloneArguments>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    outcome as c_int
}

extern "C" fn child(steps: *const Steps) -> ! {
    // SAFETY: `launch` passes a `&Steps` that lives until this child has left the shared memory.
    let failed = run(unsafe { &*steps });
    // SAFETY: `_exit` is always callable and does not touch the shared memory's exit handlers.
    unsafe { libc::_exit(failed) }
}

macro_rules! must {
    ($step:expr, $call:expr) => {
        // SAFETY: every pointer handed to the call comes from a C string literal or from `Steps`, both alive until
        // execve; every other argument is a number.
        if unsafe { $call } < 0 {
            return $step;
        }
    };
}

/// The launch, top to bottom. Returns the number of the step that failed; on success it does not return.
fn run(steps: &Steps) -> c_int {
    for &tasks in &steps.cgroup_tasks {
        must!(1, libc::write(tasks, c"0".as_ptr().cast(), 1));
    }
    must!(2, libc::unshare(libc::CLONE_NEWCGROUP));
    let failed = mounts(steps);
    if failed != 0 {
        return failed;
    }
    must!(3, libc::sethostname(c"floor".as_ptr(), 5));
    must!(5, libc::setsid());
    for stream in 0..3 {
        must!(6, libc::dup3(steps.null, stream, 0));
    }
    let failed = privileges(steps);
    if failed != 0 {
        return failed;
    }
    must!(4, libc::execve(steps.program.as_ptr(), steps.arguments.as_ptr(), steps.environment.as_ptr()));
    0
}

/// `mount(2)` with the last argument as text.
///
/// # Safety
/// Every pointer is null or a C string that outlives the call.
unsafe fn mount(
    source: *const c_char,
    target: *const c_char,
    kind: *const c_char,
    flags: u64,
    data: *const c_char,
) -> c_int {
    // SAFETY: the caller's obligation is mount(2)'s own.
    unsafe { libc::mount(source, target, kind, flags, data.cast()) }
}

fn mounts(steps: &Steps) -> c_int {
    let null = ptr::null();
    let quiet = libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_NODEV;
    must!(10, mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_SLAVE, null));
    must!(11, mount(steps.rootfs.as_ptr(), steps.rootfs.as_ptr(), null, libc::MS_BIND | libc::MS_REC, null));
    must!(12, libc::chdir(steps.rootfs.as_ptr()));
    must!(13, mount(c"proc".as_ptr(), c"proc".as_ptr(), c"proc".as_ptr(), quiet, null));
    let dev = c"mode=755,size=65536k".as_ptr();
    must!(
        14,
        mount(c"tmpfs".as_ptr(), c"dev".as_ptr(), c"tmpfs".as_ptr(), libc::MS_NOSUID | libc::MS_STRICTATIME, dev)
    );
    for made in [c"dev/pts", c"dev/mqueue", c"dev/shm"] {
        must!(15, libc::mkdirat(libc::AT_FDCWD, made.as_ptr(), 0o755));
    }
    let pts = c"newinstance,ptmxmode=0666,mode=0620,gid=5".as_ptr();
    let unset = libc::MS_NOSUID | libc::MS_NOEXEC;
    must!(16, mount(c"devpts".as_ptr(), c"dev/pts".as_ptr(), c"devpts".as_ptr(), unset, pts));
    let read_only = quiet | libc::MS_RDONLY;
    must!(17, mount(c"sysfs".as_ptr(), c"sys".as_ptr(), c"sysfs".as_ptr(), read_only, null));
    must!(18, mount(c"mqueue".as_ptr(), c"dev/mqueue".as_ptr(), c"mqueue".as_ptr(), quiet, null));
    let shm = c"mode=1777,size=65536k".as_ptr();
    must!(19, mount(c"shm".as_ptr(), c"dev/shm".as_ptr(), c"tmpfs".as_ptr(), quiet, shm));
    must!(
        27,
        mount(c"tmpfs".as_ptr(), c"sys/fs/cgroup".as_ptr(), c"tmpfs".as_ptr(), quiet, c"mode=755,size=64k".as_ptr())
    );
    for (name, target) in &steps.cgroup_mounts {
        must!(28, libc::mkdirat(libc::AT_FDCWD, target.as_ptr(), 0o755));
        must!(29, mount(c"cgroup".as_ptr(), target.as_ptr(), c"cgroup".as_ptr(), read_only, name.as_ptr()));
    }
    must!(34, mount(null, c"sys/fs/cgroup".as_ptr(), null, libc::MS_REMOUNT | libc::MS_BIND | read_only, null));
    let failed = devices();
    if failed != 0 {
        return failed;
    }
    must!(20, libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()));
    must!(21, libc::umount2(c".".as_ptr(), libc::MNT_DETACH));
    must!(22, libc::chdir(c"/".as_ptr()));
    for path in &steps.read_only {
        let again = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | quiet;
        must!(23, mount(path.as_ptr(), path.as_ptr(), null, libc::MS_BIND | libc::MS_REC, null));
        must!(24, mount(null, path.as_ptr(), null, again, null));
    }
    for path in &steps.masked_files {
        must!(25, mount(c"/dev/null".as_ptr(), path.as_ptr(), null, libc::MS_BIND, null));
    }
    for path in &steps.masked_folders {
        must!(26, mount(c"tmpfs".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), libc::MS_RDONLY, null));
    }
    0
}

fn devices() -> c_int {
    let nodes = [
        (c"dev/null", 1, 3),
        (c"dev/zero", 1, 5),
        (c"dev/full", 1, 7),
        (c"dev/random", 1, 8),
        (c"dev/urandom", 1, 9),
        (c"dev/tty", 5, 0),
    ];
    must!(30, libc::umask(0) as c_int);
    for (path, major, minor) in nodes {
        must!(31, libc::mknodat(libc::AT_FDCWD, path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(major, minor)));
    }
    must!(32, libc::umask(0o022) as c_int);
    let links = [
        (c"/proc/self/fd", c"dev/fd"),
        (c"/proc/self/fd/0", c"dev/stdin"),
        (c"/proc/self/fd/1", c"dev/stdout"),
        (c"/proc/self/fd/2", c"dev/stderr"),
        (c"pts/ptmx", c"dev/ptmx"),
    ];
    for (target, path) in links {
        must!(33, libc::symlinkat(target.as_ptr(), libc::AT_FDCWD, path.as_ptr()));
    }
    0
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

fn privileges(steps: &Steps) -> c_int {
    for capability in 0..=steps.last_capability {
        if steps.capabilities >> capability & 1 == 0 {
            must!(40, libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0));
        }
    }
    must!(41, libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    must!(44, libc::setgroups(0, ptr::null()));
    must!(45, libc::setresgid(0, 0, 0));
    must!(46, libc::setresuid(0, 0, 0));
    must!(47, libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC));
    let header = CapabilityHeader { version: 0x2008_0522, pid: 0 };
    let (low, high) = (steps.capabilities as u32, (steps.capabilities >> 32) as u32);
    let sets = [low, low, 0, high, high, 0];
    must!(42, libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()));
    let filter = libc::sock_fprog { len: steps.filter.len() as u16, filter: steps.filter.as_ptr().cast_mut() };
    must!(43, libc::syscall(libc::SYS_seccomp, 1, 0, &raw const filter));
    0
}
