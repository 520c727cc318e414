//! The restart policy: whether and when a container that ended runs again.
//!
//! Pure: the caller tells what happened and how long it ran, and gets a decision. The numbers are
//! Docker's: the first restart comes after 100 ms, each further one after twice the time up to one
//! minute, and a run of ten seconds or more starts the count anew.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
const LONG_RUN: Duration = Duration::from_secs(10);

/// What is to happen when the container's program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
#[non_exhaustive]
pub enum RestartPolicy {
    /// It stays ended.
    #[default]
    No,
    /// It runs again after a failure, at most `max` times (0: without end).
    OnFailure {
        /// The largest number of restarts, or 0.
        #[serde(default)]
        max: u32,
    },
    /// It runs again until somebody stops it, and after a reboot even then.
    Always,
    /// As `Always`, but what was stopped by hand stays stopped after a reboot too.
    UnlessStopped,
}

impl RestartPolicy {
    /// Decides what runs again after a reboot: `exit_code` and `stopped_by_user` are those of its last run.
    #[must_use]
    pub fn starts_at_boot(self, exit_code: i32, stopped_by_user: bool) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::UnlessStopped => !stopped_by_user,
            Self::OnFailure { .. } => exit_code != 0 && !stopped_by_user,
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure { max: 0 } => f.write_str("on-failure"),
            Self::OnFailure { max } => write!(f, "on-failure:{max}"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

/// What could not be read as a restart policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid restart policy `{text}`: use no, on-failure[:max-retries], always or unless-stopped")]
pub struct NotAPolicy {
    /// The text as it was given.
    pub text: String,
}

impl FromStr for RestartPolicy {
    type Err = NotAPolicy;

    fn from_str(text: &str) -> Result<Self, NotAPolicy> {
        let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
        match (name, count) {
            ("no" | "", None) => Some(Self::No),
            ("always", None) => Some(Self::Always),
            ("unless-stopped", None) => Some(Self::UnlessStopped),
            ("on-failure", None) => Some(Self::OnFailure { max: 0 }),
            ("on-failure", Some(count)) => count.parse().ok().map(|max| Self::OnFailure { max }),
            _ => None,
        }
        .ok_or_else(|| NotAPolicy { text: text.to_owned() })
    }
}

/// How one run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The exit code, as Docker counts it.
    pub code: i32,
    /// How long the run was.
    pub ran: Duration,
}

/// What to do after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Run again after the given time.
    Again(Duration),
    /// Leave it ended.
    Stay,
}

/// Keeps the count and the back-off of one container while its supervisor lives.
#[derive(Debug, Clone)]
pub struct RestartMachine {
    policy: RestartPolicy,
    wait: Option<Duration>,
    count: u32,
    cancelled: bool,
}

impl RestartMachine {
    /// Starts at zero restarts.
    #[must_use]
    pub fn new(policy: RestartPolicy) -> Self {
        Self { policy, wait: None, count: 0, cancelled: false }
    }

    /// Forbids the next restart: somebody stopped the container by hand.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// Tells whether somebody stopped the container by hand.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancelled
    }

    /// The number of restarts by policy so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Decides about the next run.
    pub fn ended(&mut self, run: Ended) -> Decision {
        if self.cancelled || self.policy == RestartPolicy::No {
            return Decision::Stay;
        }
        if run.ran >= LONG_RUN {
            self.wait = None;
        }
        let wait = self.wait.map_or(FIRST, |wait| (wait * 2).min(LONGEST));
        self.wait = Some(wait);
        let again = match self.policy {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure { max } => run.code != 0 && (max == 0 || self.count < max),
        };
        if !again {
            return Decision::Stay;
        }
        self.count += 1;
        Decision::Again(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    fn failed() -> Ended {
        Ended { code: 1, ran: SHORT }
    }

    #[test]
    fn waits_twice_as_long_up_to_a_minute() {
        let mut machine = RestartMachine::new(RestartPolicy::Always);
        let waits: Vec<u64> = (0..12)
            .map(|_| match machine.ended(failed()) {
                Decision::Again(wait) => u64::try_from(wait.as_millis()).unwrap(),
                Decision::Stay => panic!("an `always` container stayed ended"),
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
    }

    #[test]
    fn a_long_run_resets_the_wait_but_not_the_count() {
        let mut machine = RestartMachine::new(RestartPolicy::UnlessStopped);
        let _ = machine.ended(failed());
        let _ = machine.ended(failed());
        let long = Ended { code: 0, ran: LONG_RUN };
        assert_eq!(machine.ended(long), Decision::Again(FIRST));
        assert_eq!(machine.count(), 3);
    }

    #[test]
    fn on_failure_counts_and_ignores_success() {
        let mut machine = RestartMachine::new(RestartPolicy::OnFailure { max: 2 });
        assert_eq!(machine.ended(failed()), Decision::Again(FIRST));
        assert_eq!(machine.ended(failed()), Decision::Again(FIRST * 2));
        assert_eq!(machine.ended(failed()), Decision::Stay);
        let mut machine = RestartMachine::new(RestartPolicy::OnFailure { max: 0 });
        assert_eq!(machine.ended(Ended { code: 0, ran: SHORT }), Decision::Stay);
    }

    #[test]
    fn a_stop_by_hand_ends_it() {
        let mut machine = RestartMachine::new(RestartPolicy::Always);
        machine.cancel();
        assert_eq!(machine.ended(failed()), Decision::Stay);
    }

    #[test]
    fn reads_dockers_words() {
        for text in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for text in ["maybe", "always:2", "on-failure:x", "on-failure:-1", "no:1"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }

    #[test]
    fn after_a_reboot() {
        assert!(RestartPolicy::Always.starts_at_boot(0, true));
        assert!(!RestartPolicy::UnlessStopped.starts_at_boot(0, true));
        assert!(RestartPolicy::UnlessStopped.starts_at_boot(0, false));
        assert!(RestartPolicy::OnFailure { max: 0 }.starts_at_boot(255, false));
        assert!(!RestartPolicy::OnFailure { max: 0 }.starts_at_boot(0, false));
        assert!(!RestartPolicy::No.starts_at_boot(1, false));
    }
}
