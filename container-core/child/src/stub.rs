//! The stub's entry: the root of the program that the build script compiles.
//!
//! It finds the plan's descriptor and length among its arguments and hands over to [`run`]. Nothing else is here.

#![no_std]
#![no_main]
#![allow(dead_code, reason = "the shared modules also hold what only the parent's side uses")]

mod abi;
mod identity;
mod mounts;
mod op;
mod run;
mod sys;
mod wire;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit(wire::EXIT_BROKEN)
}
