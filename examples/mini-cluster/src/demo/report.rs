//! What was observed: a line while it happens, a table at the end.

use std::time::{Duration, Instant};

use super::traffic::Chapter;

/// Collects what every step saw.
#[derive(Debug)]
pub(super) struct Report {
    begun: Instant,
    step: Instant,
    lines: Vec<Line>,
    answered: u64,
    failed_while_calm: usize,
    failed_while_lost: usize,
    wrong: usize,
}

#[derive(Debug)]
struct Line {
    step: String,
    seen: String,
    took: Duration,
}

impl Report {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            step: now,
            lines: Vec::new(),
            answered: 0,
            failed_while_calm: 0,
            failed_while_lost: 0,
            wrong: 0,
        }
    }

    /// A step has held; says what was seen and starts the clock of the next one.
    pub(super) fn held(&mut self, step: &str, seen: impl Into<String>) {
        let line = Line { step: step.to_owned(), seen: seen.into(), took: self.step.elapsed() };
        println!("  ok  {:<28} {} ({:.1} s)", line.step, line.seen, line.took.as_secs_f64());
        self.lines.push(line);
        self.step = Instant::now();
    }

    /// Adds the requests of a chapter; `loss` says that an endpoint was killed in it.
    pub(super) fn count(&mut self, chapter: &Chapter, loss: bool) {
        self.answered += chapter.good;
        self.wrong += chapter.wrong.len();
        if loss {
            self.failed_while_lost += chapter.failed.len();
        } else {
            self.failed_while_calm += chapter.failed.len();
        }
    }

    /// Prints the summary.
    pub(super) fn summary(&self) {
        println!("\nObserved:");
        for line in &self.lines {
            println!("  {:<28} {:>5.1} s  {}", line.step, line.took.as_secs_f64(), line.seen);
        }
        println!("\nRequests to the Service's stable address, sent all the time:");
        println!("  {:>7} answered", self.answered);
        println!("  {:>7} failed while pods were scaled, updated, replaced and rolled back", self.failed_while_calm);
        println!("  {:>7} failed between the loss of an endpoint and its leaving the table", self.failed_while_lost);
        println!("  {:>7} wrong answers", self.wrong);
        println!("\nAll of it held, in {:.1} s.", self.begun.elapsed().as_secs_f64());
    }
}
