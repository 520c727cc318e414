//! The one place where the cluster reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use orchestrate_core::Time;

/// What time it is.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// How long until `at`; nothing when it has passed.
pub(crate) fn until(at: Time) -> Duration {
    Duration::from_millis(u64::try_from(at.since(now())).unwrap_or(0))
}

/// What time it is, for a log record.
pub(crate) fn log_time() -> container_core::supervisor::Time {
    container_core::supervisor::Time::now()
}
