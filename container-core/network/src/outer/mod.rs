//! One outer namespace per state directory: where an ordinary user is root, and where a cluster keeps to itself.
//!
//! ```text
//!  outside                                   inside (user, unless root; mount; network)
//!  broker ── holds the namespaces' fds ──►   member, member, …   each a process that called OuterNamespace::enter
//!     ▲          binds listeners outside ──► BrokerClient::bind, the socket comes in as a descriptor (SCM_RIGHTS)
//!     └───────── outer.sock, 0600 ────────── one connection per member: the last to close it frees everything
//! ```
//!
//! The first member starts the broker under a lock, the others find it. The broker stays outside, so it alone can bind
//! a port that others reach; nothing is copied by it, the members accept and carry themselves (`PortProxy`). A killed
//! broker takes no member along: the next member starts another, which finds the namespaces through the members that
//! are still alive (`outer.json`).
//!
//! A process with threads cannot join a user namespace. So members enter first thing in `main`, and the broker comes
//! to life by the program running itself again with arguments that lead to [`helper_main`].
//!
//! ```no_run
//! use container_network::outer::{OuterNamespace, helper_main};
//! use std::process::{Command, ExitCode};
//!
//! fn main() -> ExitCode {
//!     let arguments: Vec<_> = std::env::args_os().collect();
//!     if arguments.get(1).is_some_and(|first| first == "__outer") {
//!         return helper_main(&arguments[2..]); // the broker, and what makes the namespaces for it
//!     }
//!     let again = || {
//!         let mut command = Command::new("/proc/self/exe");
//!         command.arg("__outer");
//!         command
//!     };
//!     // No thread has started yet. From here on this process is root of its own network.
//!     let outer = OuterNamespace::enter("/run/user/1000/demo".as_ref(), again).expect("user namespaces are allowed");
//!     let listener = outer.broker().listen(([127, 0, 0, 1], 8080).into()).expect("the port is free outside");
//!     println!("answering outside on {}", listener.local_addr().expect("it is bound"));
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! Absent on purpose: a way for packets out of an ordinary user's namespace.

mod broker;
mod helper;
mod ids;
mod member;
mod wire;

pub use broker::BrokerClient;
pub use helper::helper_main;
pub use member::OuterNamespace;
