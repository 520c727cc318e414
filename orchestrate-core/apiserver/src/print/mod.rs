//! What kubectl prints, as pure functions from JSON to text: tables and descriptions.
//!
//! Requests are absent on purpose: [`describe::lookups`] says what else a description needs, the
//! caller fetches it.

pub mod describe;
mod table;
mod tabs;

pub use table::{Style, TablePrinter};
