//! How long to wait before trying again: doubling, capped, and forgotten after a long good time.

use super::NodePolicy;
use crate::Time;
use crate::time::Millis;

/// The delay after the next failure of one thing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Backoff {
    delay: Millis,
    updated: Time,
}

impl Backoff {
    /// The state after `attempts` tries that nobody remembers.
    pub(super) fn after(attempts: u32, updated: Time, policy: &NodePolicy) -> Self {
        let mut backoff = Self::default();
        for _ in 0..attempts.min(16) {
            backoff.grow(policy);
        }
        backoff.updated = updated;
        backoff
    }

    /// When something that failed at `failed` may be tried again. The first failure costs nothing.
    pub(super) fn until(&self, failed: Time, policy: &NodePolicy) -> Time {
        if self.is_stale(failed, policy) { failed } else { failed + self.delay }
    }

    /// Notes a new try after a failure at `failed`.
    pub(super) fn tried(&mut self, failed: Time, now: Time, policy: &NodePolicy) {
        if self.is_stale(failed, policy) {
            self.delay = 0;
        }
        self.grow(policy);
        self.updated = now;
    }

    /// The delay in force.
    pub(super) const fn delay(&self) -> Millis {
        self.delay
    }

    fn grow(&mut self, policy: &NodePolicy) {
        self.delay = (self.delay * 2).clamp(policy.backoff_start, policy.backoff_max);
    }

    const fn is_stale(&self, failed: Time, policy: &NodePolicy) -> bool {
        self.delay > 0 && failed.since(self.updated) > policy.backoff_reset
    }
}

/// A delay as upstream prints it: `10s`, `1m20s`, `5m0s`.
pub(super) fn spell(delay: Millis) -> String {
    let seconds = delay / 1000;
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_five_minutes_and_is_forgotten_after_ten() {
        let policy = NodePolicy::default();
        let mut backoff = Backoff::default();
        let mut now = Time(0);
        let mut delays = Vec::new();
        for _ in 0..8 {
            let at = backoff.until(now, &policy);
            delays.push(at.since(now) / 1000);
            backoff.tried(now, at, &policy);
            now = at + 1000;
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        let crash = now + 600_001;
        assert_eq!(backoff.until(crash, &policy), crash);
        assert_eq!(Backoff::after(3, now, &policy).delay(), 40_000);
        assert_eq!([spell(10_000), spell(80_000), spell(300_000)], ["10s", "1m20s", "5m0s"]);
    }
}
