//! The cumulative report: counts, seeds and failures of every part, as JSON that is committed.
//!
//! Absent: judging. The command does that.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Outcome;

/// What all runs of one part add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// What one unit is.
    pub unit: String,
    /// Units of work.
    pub count: u64,
    /// Runs.
    pub runs: u64,
    /// Seconds.
    pub seconds: u64,
    /// Units that went wrong.
    pub failures: u64,
    /// The seeds of the last runs, the newest last.
    pub seeds: Vec<u64>,
}

const SEEDS_KEPT: usize = 16;

/// The whole report, by part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report(pub BTreeMap<String, Total>);

impl Report {
    /// Reads a report; an absent file is an empty one.
    ///
    /// # Errors
    /// An unreadable file, or one that is no report.
    pub fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Adds one run.
    pub fn add(&mut self, name: &str, unit: &str, seed: u64, seconds: u64, outcome: &Outcome) {
        let total = self.0.entry(name.to_owned()).or_default();
        unit.clone_into(&mut total.unit);
        total.count += outcome.count;
        total.runs += 1;
        total.seconds += seconds;
        total.failures += outcome.failures.len() as u64;
        total.seeds.push(seed);
        let old = total.seeds.len().saturating_sub(SEEDS_KEPT);
        total.seeds.drain(..old);
    }

    /// Writes the report whole.
    ///
    /// # Errors
    /// The failed file operation.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        let beside = path.with_extension("json.new");
        fs::write(&beside, text + "\n")?;
        fs::rename(beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_add_up_and_old_seeds_go() {
        let mut report = Report::default();
        for seed in 0..20 {
            report.add("fuzz", "inputs", seed, 2, &Outcome { count: 10, ..Outcome::default() });
        }
        let total = &report.0["fuzz"];
        assert_eq!((total.count, total.runs, total.seconds), (200, 20, 40));
        assert_eq!(total.seeds.first(), Some(&4));
    }
}
