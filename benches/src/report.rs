//! Bars: one line each with name, ours, peer, ratio, target and verdict, and the exit status of `--check`.
//!
//! Absent: measuring. This module only prints and judges what it is given.

use std::fmt;
use std::process::ExitCode;

/// Which side of the target a ratio must lie on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// ours / peer must be at most this.
    AtMost(f64),
    /// peer / ours must be at least this: "so many times faster".
    TimesFaster(f64),
    /// A count that must be exactly this.
    Exactly(u64),
}

/// What one bar compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared {
    /// Two medians in nanoseconds.
    Times {
        /// Ours, absent where we failed.
        ours: Option<u64>,
        /// The peer's, absent where the peer is.
        peer: Option<u64>,
    },
    /// A count of ours that needs no peer.
    Count(u64),
}

/// One bar of a suite.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What is compared.
    pub name: &'static str,
    /// The figures.
    pub compared: Compared,
    /// The peer and its version.
    pub peer: String,
    /// What must hold.
    pub target: Target,
}

/// The verdict on a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target is met.
    Holds,
    /// The target is missed.
    Short,
    /// There was nothing to compare with.
    PeerAbsent,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Short => "short",
            Self::PeerAbsent => "peer absent",
        })
    }
}

impl Bar {
    /// ours / peer, or peer / ours where the target counts how much faster we are.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let Compared::Times { ours: Some(ours), peer: Some(peer) } = self.compared else { return None };
        let (ours, peer) = (ours.max(1) as f64, peer.max(1) as f64);
        Some(match self.target {
            Target::TimesFaster(_) => peer / ours,
            Target::AtMost(_) | Target::Exactly(_) => ours / peer,
        })
    }

    /// Holds the figures against the target.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if matches!(self.compared, Compared::Times { ours: None, .. }) {
            return Verdict::Short;
        }
        let met = match (&self.compared, self.target, self.ratio()) {
            (Compared::Count(count), Target::Exactly(wanted), _) => *count == wanted,
            (_, Target::AtMost(bound), Some(ratio)) => ratio <= bound,
            (_, Target::TimesFaster(bound), Some(ratio)) => ratio >= bound,
            _ => return Verdict::PeerAbsent,
        };
        if met { Verdict::Holds } else { Verdict::Short }
    }
}

fn milliseconds(nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "-".to_owned(), |nanos| format!("{:.3} ms", nanos as f64 / 1e6))
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, peer) = match &self.compared {
            Compared::Times { ours, peer } => (milliseconds(*ours), milliseconds(*peer)),
            Compared::Count(count) => (count.to_string(), "-".to_owned()),
        };
        let ratio = self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let target = match self.target {
            Target::AtMost(bound) => format!("≤ {bound} ×"),
            Target::TimesFaster(bound) => format!("≥ {bound} × faster"),
            Target::Exactly(count) => format!("= {count}"),
        };
        let (name, other, verdict) = (self.name, &self.peer, self.verdict());
        write!(f, "{name:<44} {ours:>11} {other:<28} {peer:>11} {ratio:>6} {target:<14} {verdict}")
    }
}

/// Prints the bars; with `check`, fails on a short one, and on an absent peer when `TESTS_REQUIRE=all`.
#[must_use]
pub fn conclude(bars: &[Bar], check: bool) -> ExitCode {
    println!("{:<44} {:>11} {:<28} {:>11} {:>6} {:<14} verdict", "bar", "ours", "peer", "peer's", "ratio", "target");
    for bar in bars {
        println!("{bar}");
    }
    let all = std::env::var("TESTS_REQUIRE").is_ok_and(|value| value == "all");
    let failed = bars.iter().any(|bar| match bar.verdict() {
        Verdict::Holds => false,
        Verdict::Short => true,
        Verdict::PeerAbsent => all,
    });
    if check && failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(compared: Compared, target: Target) -> Bar {
        Bar { name: "b", compared, peer: "p 1.0".to_owned(), target }
    }

    #[test]
    fn a_ratio_is_judged_in_the_direction_of_its_target() {
        let times = Compared::Times { ours: Some(200), peer: Some(100) };
        assert_eq!(bar(times.clone(), Target::AtMost(2.0)).verdict(), Verdict::Holds);
        assert_eq!(bar(times.clone(), Target::AtMost(1.9)).verdict(), Verdict::Short);
        assert_eq!(bar(times, Target::TimesFaster(0.6)).verdict(), Verdict::Short);
        let faster = Compared::Times { ours: Some(100), peer: Some(600) };
        assert_eq!(bar(faster, Target::TimesFaster(6.0)).verdict(), Verdict::Holds);
    }

    #[test]
    fn an_absent_peer_is_neither_met_nor_missed() {
        let absent = Compared::Times { ours: Some(200), peer: None };
        assert_eq!(bar(absent, Target::AtMost(2.0)).verdict(), Verdict::PeerAbsent);
        assert_eq!(bar(Compared::Count(1), Target::Exactly(0)).verdict(), Verdict::Short);
    }
}
