//! The steps of a launch. One variant is one thing the kernel is asked to do.
//!
//! Texts, lists and descriptors are indexes, so an op is 32 bytes, `Copy`, and means the same on both sides.
//! What a step is *for* is not here: the parent keeps the origin of each op beside the plan.

/// Offset of a NUL-terminated text in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text(pub u32);
/// Offset of a list in the arena: a count, then that many words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List(pub u32);
/// Offset of an argument table in the arena: 8-byte words (text offset + 1), ended by a zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table(pub u32);
/// Offset of a program in the arena: a count, a pad word, then that many 8-byte instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program(pub u32);
/// Index of a descriptor that the parent hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fd(pub u32);
/// Index of a descriptor that an earlier op opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub u32);

/// A value that fits one word of an encoded op.
trait Word: Copy {
    fn to_word(self) -> u32;
    fn from_word(word: u32) -> Self;
}

macro_rules! words {
    ($($name:ident),*) => {$(
        impl Word for $name {
            fn to_word(self) -> u32 { self.0 }
            fn from_word(word: u32) -> Self { Self(word) }
        }
    )*};
}
words!(Text, List, Table, Program, Fd, Slot);

impl Word for u32 {
    fn to_word(self) -> u32 {
        self
    }
    fn from_word(word: u32) -> Self {
        word
    }
}

/// An encoded op: its code, then its fields.
pub type Words = [u32; 8];

macro_rules! ops {
    ($($(#[$doc:meta])* $code:literal $name:ident $title:literal { $($field:ident : $kind:ty),* })*) => {
        /// One step. The fields' meaning is the kernel's own unless a comment says more.
        #[allow(missing_docs, reason = "the fields carry the names of the system calls' arguments")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Op { $($(#[$doc])* $name { $($field: $kind),* }),* }

        impl Op {
            /// Names the step, as plans and errors print it.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => $title),* }
            }

            /// Encodes the step.
            #[must_use]
            pub fn encode(&self) -> Words {
                let mut words = [0; 8];
                match *self { $(Self::$name { $($field),* } => {
                    let fields: &[u32] = &[$code, $($field.to_word()),*];
                    for (word, field) in words.iter_mut().zip(fields) { *word = *field; }
                })* }
                words
            }

            /// Decodes a step; `None` for an unknown code.
            #[must_use]
            #[allow(unused_mut, unused_variables, unused_assignments, reason = "steps without fields read none")]
            pub fn decode(words: &Words) -> Option<Self> {
                let [code, fields @ ..] = words;
                let mut fields = fields.iter();
                match *code {
                    $($code => Some(Self::$name { $($field: <$kind>::from_word(*fields.next()?)),* }),)*
                    _ => None,
                }
            }

            /// One op of every kind, all fields zero.
            #[must_use]
            pub const fn one_of_each() -> &'static [Self] {
                &[$(Self::$name { $($field: zero::<$kind>::ZERO),* }),*]
            }
        }
    };
}

/// Zero of every field kind, for [`Op::one_of_each`].
#[allow(non_camel_case_types, reason = "reads as a function in the macro")]
struct zero<T>(core::marker::PhantomData<T>);
macro_rules! zeros {
    ($($name:ident),*) => {$(impl zero<$name> { const ZERO: $name = $name(0); })*};
}
zeros!(Text, List, Table, Program, Fd, Slot);
impl zero<u32> {
    const ZERO: u32 = 0;
}

ops! {
    /// Writes a text to a descriptor from the parent (`0` to a v1 cgroup's `tasks` moves the writer).
    1 Write "write" { fd: Fd, text: Text }
    /// Writes a text to a file named by path.
    2 WriteFile "write-file" { path: Text, text: Text }
    /// Leaves namespaces for new ones.
    3 Unshare "unshare" { flags: u32 }
    /// Joins the namespaces of a descriptor (a namespace, or a process with several flags).
    4 Setns "setns" { fd: Fd, flags: u32 }
    /// Continues in a child of the same parent, so that a joined pid namespace takes effect.
    5 Fork "fork" { }
    /// Loads a device program and attaches it to a v2 cgroup.
    6 DeviceFilter "device-filter" { cgroup: Fd, program: Program }
    /// Sets the propagation of the whole mount tree.
    7 Propagation "propagation" { flags: u32 }
    /// Mounts by path, in the host's view.
    8 Mount "mount" { source: Text, target: Text, fstype: Text, flags: u32, data: Text }
    /// Makes a new mount that is not attached anywhere yet. Options: pairs of texts, the second 0xffff_ffff for a flag.
    9 NewMount "new-mount" { slot: Slot, fstype: Text, attrs: u32, options: List }
    /// Takes a detached copy of the mounts at a path.
    10 CloneTree "clone-tree" { slot: Slot, source: Text, recursive: u32 }
    /// Changes a mount's attributes and propagation.
    11 MountAttrs "mount-attrs" { slot: Slot, set: u32, clear: u32, propagation: u32, recursive: u32 }
    /// Makes a mount point the root and lets go of the old one.
    12 Enter "enter-root" { path: Text }
    /// Attaches a detached mount inside the new root. Flags: see [`attach`].
    13 Attach "attach" { slot: Slot, target: Text, flags: u32 }
    /// Makes a folder in a detached mount.
    14 Dir "dir" { slot: Slot, name: Text, mode: u32 }
    /// Makes a device node in a detached mount.
    15 Node "node" { slot: Slot, name: Text, mode: u32, major: u32, minor: u32, uid: u32, gid: u32 }
    /// Makes a symbolic link in a detached mount.
    16 Link "link" { slot: Slot, name: Text, target: Text }
    /// Hides a path: a file behind `null`, a folder behind `empty`. A path that is not there is fine.
    18 Mask "mask" { null: Slot, empty: Slot, path: Text }
    /// Makes a path read-only. A path that is not there is fine.
    19 ReadOnly "read-only" { path: Text }
    /// Changes the root mount's attributes.
    20 RootAttrs "root-attrs" { set: u32 }
    /// Writes a kernel setting through a proc mount of our own.
    21 Sysctl "sysctl" { proc: Slot, path: Text, value: Text }
    /// Sets the host name.
    22 Hostname "hostname" { name: Text }
    /// Sets the NIS domain name.
    23 Domainname "domainname" { name: Text }
    /// Sets a resource limit.
    24 Rlimit "rlimit" { resource: u32, soft: u32, soft_high: u32, hard: u32, hard_high: u32 }
    /// Opens a terminal in the container's own devpts, passes the master to the parent, becomes its session leader.
    25 Console "console" { rows: u32, cols: u32, uid: u32, bind: u32 }
    /// Puts a descriptor at a number.
    26 Stdio "stdio" { fd: Fd, number: u32 }
    /// Starts a session.
    27 NewSession "new-session" { }
    /// Enters the working folder, without leaving the root, and makes it when it is missing.
    28 Cwd "cwd" { path: Text }
    /// Sets the supplementary groups.
    29 Groups "groups" { list: List }
    /// Sets user and group, keeping permitted capabilities for the next step.
    30 User "user" { uid: u32, gid: u32 }
    /// Drops every capability from the bounding set that is not in the mask.
    31 Bounding "bounding" { keep: u32, keep_high: u32, last: u32 }
    /// Sets effective, permitted and inheritable capabilities.
    32 Caps "caps" { effective: u32, effective_high: u32, permitted: u32, permitted_high: u32, inheritable: u32, inheritable_high: u32 }
    /// Raises ambient capabilities.
    33 Ambient "ambient" { mask: u32, mask_high: u32, last: u32 }
    /// Forbids gaining privileges by execve.
    34 NoNewPrivs "no-new-privs" { }
    /// Sets the file mode mask.
    35 Umask "umask" { mask: u32 }
    /// Tells the parent that all is ready, and waits for its word.
    36 AwaitStart "await-start" { }
    /// Gives every signal its default action and unblocks all.
    37 Signals "signals" { }
    /// Marks every descriptor above the standard three to be closed by execve.
    38 CloseFds "close-fds" { }
    /// Loads the system-call filter.
    39 Seccomp "seccomp" { program: Program, flags: u32 }
    /// Executes the container's program: the first of the paths that works.
    40 Exec "exec" { paths: List, argv: Table, envp: Table }
    /// Fails unless a path inside the new root is absent or no symbolic link.
    41 NoLink "no-link" { path: Text }
    /// Tells the kernel how readily to kill this process when memory is short.
    42 Adjust "oom-score" { text: Text }
    /// Sets all three group ids and user ids before anything else, in a new user namespace.
    43 Become "become" { uid: u32, gid: u32 }
}

/// Flags of [`Op::Attach`].
pub mod attach {
    /// No symbolic link may occur in the target's path.
    pub const NO_LINKS: u32 = 1;
    /// The target is made when missing.
    pub const CREATE: u32 = 2;
    /// The slot stays open for later ops.
    pub const KEEP: u32 = 4;
}

/// Values of [`wire::word::DETAIL`](crate::wire::word::DETAIL) for the steps with alternatives.
pub mod detail {
    /// The program's own path failed.
    pub const PROGRAM: u32 = 0;
    /// No candidate of the search path exists.
    pub const NOT_FOUND: u32 = 1;
    /// A candidate exists but may not be executed.
    pub const NOT_EXECUTABLE: u32 = 2;
}

#[cfg(test)]
mod tests {
    use super::Op;

    #[test]
    fn every_op_survives_the_round_trip_and_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for op in Op::one_of_each() {
            assert_eq!(Op::decode(&op.encode()), Some(*op));
            assert!(names.insert(op.name()), "{} twice", op.name());
        }
        assert_eq!(Op::decode(&[0; 8]), None);
    }

    #[test]
    fn fields_keep_their_places() {
        let op = Op::Caps {
            effective: 1,
            effective_high: 2,
            permitted: 3,
            permitted_high: 4,
            inheritable: 5,
            inheritable_high: 6,
        };
        assert_eq!(op.encode(), [32, 1, 2, 3, 4, 5, 6, 0]);
        assert_eq!(Op::decode(&op.encode()), Some(op));
    }
}
