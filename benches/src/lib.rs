//! Side-by-side measurements: contenders, rounds, bars.
//!
//! A suite starts every contender as a process of its own that does one unit of work per line on its standard input
//! ([`worker`]), goes through them in a new random order each round ([`rounds`]), and holds the ratios of the medians
//! against the project's bars ([`report`]). Absolute figures are printed, ratios are judged.
//!
//! Absent: builds of peers. A peer is looked up in a variable or on `PATH`; own harness sources for published
//! packages lie in `peers/`, outside the workspace.

pub mod bundle;
pub mod floor;
pub mod report;
pub mod rounds;
pub mod soak;
pub mod worker;

/// The examples of the front page, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct FrontPage;
