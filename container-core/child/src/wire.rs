//! How a plan lies in memory: a header of words, the ops, the descriptor numbers, then the arena of texts and lists.
//!
//! The parent writes it into a memory file; the stub maps that file shared, so that the status words at its front
//! tell the parent where the stub is and why it stopped, without another system call. That matters most after the
//! system-call filter is loaded, when even `write` may be forbidden.
//!
//! Absent on purpose: pointers. Everything is an offset until the stub relocates the argument tables in its own map.

/// First word of a plan.
pub const MAGIC: u32 = 0x0c0d_e501;
/// Words of the header.
pub const HEADER_WORDS: usize = 16;
/// Bytes of the header.
pub const HEADER_BYTES: usize = HEADER_WORDS * 4;
/// Bytes of one encoded op.
pub const OP_BYTES: usize = 32;
/// Slots for descriptors that the stub itself opens.
pub const SLOTS: usize = 256;

/// Indexes of the header's words.
pub mod word {
    /// [`super::MAGIC`].
    pub const MAGIC: usize = 0;
    /// Number of ops; they follow the header.
    pub const OPS: usize = 1;
    /// Byte offset of the descriptor numbers.
    pub const FDS_AT: usize = 2;
    /// Number of descriptors.
    pub const FDS: usize = 3;
    /// Byte offset of the arena, a multiple of 8.
    pub const ARENA_AT: usize = 4;
    /// The control socket's descriptor number.
    pub const CONTROL: usize = 5;
    /// One of the `STATE_` values, written by the stub.
    pub const STATE: usize = 8;
    /// Index of the op the state belongs to.
    pub const AT: usize = 9;
    /// The kernel's error number, when failed.
    pub const ERRNO: usize = 10;
    /// More about the failure: which of an op's alternatives it was.
    pub const DETAIL: usize = 11;
}

/// The stub has not finished.
pub const STATE_RUNNING: u32 = 0;
/// The stub is about to execute the container's program; with the control socket closed: it did.
pub const STATE_EXEC: u32 = 1;
/// An op failed.
pub const STATE_FAILED: u32 = 2;

/// On the control socket: parked before the last steps, waits for [`GO`].
pub const PARKED: u8 = b'P';
/// On the control socket: the terminal's master, as a passed descriptor.
pub const MASTER: u8 = b'M';
/// On the control socket: the real child's pid (four bytes) and its process descriptor.
pub const CHILD: u8 = b'C';
/// From the parent: go on.
pub const GO: u8 = b'G';

/// Exit status of a stub whose op failed (the report says more).
pub const EXIT_FAILED: i32 = 126;
/// Exit status of a stub that was handed no plan.
pub const EXIT_BROKEN: i32 = 125;
