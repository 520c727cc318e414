//! Long counts: the same checks as the tests, for as long as one likes, with seeds and a cumulative report.
//!
//! A part does its work until a deadline and returns what it counted; [`report`] adds that to the committed figures.
//! Absent: new assertions. What soaks here is also tested in its own crate, with a short count.

use std::time::{Duration, Instant};

pub mod fuzz;
pub mod kills;
pub mod launches;
pub mod report;

/// What a part did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Units of work: launches, inputs, kills.
    pub count: u64,
    /// One line for each thing that went wrong, with what is needed to see it again.
    pub failures: Vec<String>,
    /// Why the part could not run here.
    pub skipped: Option<String>,
}

impl Outcome {
    /// A part that cannot run here.
    #[must_use]
    pub fn skipped(why: &str) -> Self {
        Self { skipped: Some(why.to_owned()), ..Self::default() }
    }
}

/// A kind of work that can go on for long.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Its name, as `--part` takes it.
    pub name: &'static str,
    /// What one unit is.
    pub unit: &'static str,
    run: fn(seed: u64, deadline: Instant) -> Outcome,
}

/// Every part, in the order in which they run.
pub const PARTS: [Part; 3] = [
    Part { name: "launches", unit: "launches from 8 busy threads", run: launches::run },
    Part { name: "fuzz", unit: "mutated inputs to parsers of untrusted bytes", run: fuzz::run },
    Part { name: "kills", unit: "kill -9 of the command line or a supervisor", run: kills::run },
];

impl Part {
    /// Works for `time`, from `seed`.
    #[must_use]
    pub fn run(&self, seed: u64, time: Duration) -> Outcome {
        (self.run)(seed, Instant::now() + time)
    }
}
