//! System-call numbers and the constants the interpreter needs, for the two machines it knows.
//!
//! Only calls that exist on both are used, hence the `at` forms. Absent: anything that acts.
#![allow(missing_docs, reason = "the names are the kernel's")]

macro_rules! numbers {
    ($($name:ident $x86_64:literal $aarch64:literal;)*) => {$(
        #[cfg(target_arch = "x86_64")]
        pub(crate) const $name: usize = $x86_64;
        #[cfg(target_arch = "aarch64")]
        pub(crate) const $name: usize = $aarch64;
    )*};
}

numbers! {
    READ 0 63;
    WRITE 1 64;
    CLOSE 3 57;
    MMAP 9 222;
    RT_SIGACTION 13 134;
    RT_SIGPROCMASK 14 135;
    IOCTL 16 29;
    SENDMSG 46 211;
    EXECVE 59 221;
    CHDIR 80 49;
    FCHDIR 81 50;
    FCHOWN 93 55;
    UMASK 95 166;
    SETSID 112 157;
    SETGROUPS 116 159;
    SETRESUID 117 147;
    SETRESGID 119 149;
    CAPSET 126 91;
    PIVOT_ROOT 155 41;
    PRCTL 157 167;
    MOUNT 165 40;
    UMOUNT2 166 39;
    SETHOSTNAME 170 161;
    SETDOMAINNAME 171 162;
    EXIT_GROUP 231 94;
    OPENAT 257 56;
    MKDIRAT 258 34;
    MKNODAT 259 33;
    FCHOWNAT 260 54;
    SYMLINKAT 266 36;
    FCHMODAT 268 53;
    UNSHARE 272 97;
    DUP3 292 24;
    PRLIMIT64 302 261;
    SETNS 308 268;
    SECCOMP 317 277;
    BPF 321 280;
    STATX 332 291;
    OPEN_TREE 428 428;
    MOVE_MOUNT 429 429;
    FSOPEN 430 430;
    FSCONFIG 431 431;
    FSMOUNT 432 432;
    CLONE3 435 435;
    CLOSE_RANGE 436 436;
    OPENAT2 437 437;
    MOUNT_SETATTR 442 442;
}

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const ENOEXEC: i32 = 8;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EEXIST: i32 = 17;
pub(crate) const ENOTDIR: i32 = 20;
pub(crate) const EISDIR: i32 = 21;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ENAMETOOLONG: i32 = 36;
pub(crate) const ELOOP: i32 = 40;
pub(crate) const EBADF: i32 = 9;

pub(crate) const AT_FDCWD: i32 = -100;
pub(crate) const AT_EMPTY_PATH: u32 = 0x1000;
pub(crate) const AT_RECURSIVE: u32 = 0x8000;
pub(crate) const AT_SYMLINK_NOFOLLOW: u32 = 0x100;

pub(crate) const O_WRONLY: u32 = 1;
pub(crate) const O_RDWR: u32 = 2;
pub(crate) const O_CREAT: u32 = 0o100;
pub(crate) const O_EXCL: u32 = 0o200;
pub(crate) const O_NOCTTY: u32 = 0o400;
pub(crate) const O_CLOEXEC: u32 = 0o2_000_000;
pub(crate) const O_PATH: u32 = 0o10_000_000;
#[cfg(target_arch = "x86_64")]
pub(crate) const O_DIRECTORY: u32 = 0o200_000;
#[cfg(target_arch = "aarch64")]
pub(crate) const O_DIRECTORY: u32 = 0o40_000;
#[cfg(target_arch = "x86_64")]
pub(crate) const O_NOFOLLOW: u32 = 0o400_000;
#[cfg(target_arch = "aarch64")]
pub(crate) const O_NOFOLLOW: u32 = 0o100_000;

pub(crate) const RESOLVE_NO_SYMLINKS: u64 = 0x04;
pub(crate) const RESOLVE_IN_ROOT: u64 = 0x10;

pub(crate) const OPEN_TREE_CLONE: u32 = 1;
pub(crate) const OPEN_TREE_CLOEXEC: u32 = O_CLOEXEC;
pub(crate) const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x04;
pub(crate) const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
pub(crate) const FSOPEN_CLOEXEC: u32 = 1;
pub(crate) const FSMOUNT_CLOEXEC: u32 = 1;
pub(crate) const FSCONFIG_SET_FLAG: u32 = 0;
pub(crate) const FSCONFIG_SET_STRING: u32 = 1;
pub(crate) const FSCONFIG_CMD_CREATE: u32 = 6;
pub(crate) const MOUNT_ATTR_RDONLY: u64 = 1;
pub(crate) const MNT_DETACH: u32 = 2;

pub(crate) const PR_SET_DUMPABLE: usize = 4;
pub(crate) const PR_SET_KEEPCAPS: usize = 8;
pub(crate) const PR_CAPBSET_DROP: usize = 24;
pub(crate) const PR_SET_NO_NEW_PRIVS: usize = 38;
pub(crate) const PR_CAP_AMBIENT: usize = 47;
pub(crate) const PR_CAP_AMBIENT_RAISE: usize = 2;

pub(crate) const CLONE_PIDFD: u64 = 0x1000;
pub(crate) const CLONE_PARENT: u64 = 0x8000;
pub(crate) const CLOSE_RANGE_CLOEXEC: u32 = 4;

pub(crate) const TIOCSCTTY: usize = 0x540e;
pub(crate) const TIOCSWINSZ: usize = 0x5414;
pub(crate) const TIOCGPTPEER: usize = 0x5441;
pub(crate) const TIOCSPTLCK: usize = 0x4004_5431;

pub(crate) const S_IFMT: u32 = 0o170_000;
pub(crate) const S_IFDIR: u32 = 0o040_000;
