//! How things are printed: tables, sizes, durations and templates in Docker's forms. Pure.

pub mod table;
pub mod template;
pub mod units;
