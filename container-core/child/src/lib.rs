//! Everything that runs between clone and the container's own execve.
//!
//! A library lives in other people's multi-threaded programs, and a child cloned from such a program may neither
//! allocate nor lock. So the child does nothing there: it becomes the *stub*, a tiny static program in a sealed
//! memory file, which reads a flat plan and performs its steps one after the other.
//!
//! - [`op`]: the steps. One variant is one thing the kernel is asked to do; texts and descriptors are indexes.
//! - [`wire`]: how a plan lies in memory, shared by both sides.
//! - `run`, `mounts`, `identity`: the interpreter. `sys`: system calls, the only unsafe code. `abi`: their numbers.
//! - [`STUB`]: the program's bytes, built by this crate's build script.
//!
//! **Absent, and the compiler says so** (`no_std` without `alloc`): allocation, locks, logs, environment, threads.
//! Nothing in the stub returns: a plan ends in execve or in a report of the failed step.

#![cfg_attr(not(test), no_std)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod op;
pub mod wire;

#[cfg(all(test, target_os = "linux"))]
#[allow(dead_code, reason = "only the stub uses all of it; here it is linted and tested")]
mod abi;
#[cfg(all(test, target_os = "linux"))]
#[allow(dead_code, reason = "only the stub uses all of it; here it is linted and tested")]
mod identity;
#[cfg(all(test, target_os = "linux"))]
#[allow(dead_code, reason = "only the stub uses all of it; here it is linted and tested")]
mod mounts;
#[cfg(all(test, target_os = "linux"))]
#[allow(dead_code, reason = "only the stub uses all of it; here it is linted and tested")]
mod run;
#[cfg(all(test, target_os = "linux"))]
#[allow(dead_code, reason = "only the stub uses all of it; here it is linted and tested")]
mod sys;

/// The stub: a static program that executes plans. Empty where the target is not Linux.
pub static STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub"));
