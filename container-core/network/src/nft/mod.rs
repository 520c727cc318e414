//! Rules: a small model of nf_tables, its text in `nft`'s own words, and its netlink bytes.
//!
//! `commands` (a value, printed and golden-tested) → `encode` (bytes, pure) → `Session` (one BEGIN…COMMIT batch, which
//! the kernel applies whole or not at all). The model knows exactly the statements that this crate uses; the program
//! `nft` is a test oracle, never a dependency. Absent on purpose: IPv6 families, verdict maps per service (their
//! validation is quadratic in the kernel), parsing.

mod encode;
mod model;
mod session;
mod text;

pub(crate) use model::{
    Chain, Command, Data, Element, Field, Hook, MapType, RejectWith, Statement, Tracked, Verdict, Word,
};
pub(crate) use session::Session;
