//! Moments as the state files and logs write them: RFC 3339 in UTC with up to nine digits.
//!
//! Pure but for [`Time::now`]; no time zones, no calendar crate. Docker trims trailing zeros of the
//! fraction and writes the year 1 for "never"; both are kept, because other programs read the files.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment on the wall clock, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    nanos: i128,
}

/// Seconds between the year 1 and 1970.
const YEAR_ONE: i128 = -62_135_596_800;
const NANOS: i128 = 1_000_000_000;

impl Time {
    /// Docker's "never": the first moment of the year 1.
    pub const NEVER: Self = Self { nanos: YEAR_ONE * NANOS };

    /// Reads the wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Makes a moment out of seconds and nanoseconds since 1970.
    #[must_use]
    pub const fn from_unix(seconds: i64, nanos: u32) -> Self {
        Self { nanos: seconds as i128 * NANOS + nanos as i128 }
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        i64::try_from(self.nanos.div_euclid(NANOS)).unwrap_or(i64::MAX)
    }

    /// Tells whether this is [`Time::NEVER`].
    #[must_use]
    pub fn is_never(self) -> bool {
        self == Self::NEVER
    }

    /// The time passed since `earlier`; zero when the clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        u64::try_from(self.nanos - earlier.nanos).map_or(Duration::ZERO, Duration::from_nanos)
    }

    /// This moment moved back by `by`.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self { nanos: self.nanos - i128::try_from(by.as_nanos()).unwrap_or(i128::MAX >> 1) }
    }

    /// Writes the form with all nine digits, as `logs --timestamps` prints it.
    #[must_use]
    pub fn fixed_width(self) -> String {
        let (head, nanos) = self.parts();
        format!("{head}.{nanos:09}Z")
    }

    fn parts(self) -> (String, u32) {
        let seconds = self.nanos.div_euclid(NANOS);
        let nanos = u32::try_from(self.nanos.rem_euclid(NANOS)).unwrap_or(0);
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(i64::try_from(days).unwrap_or(0));
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        (format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"), nanos)
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self { nanos: i128::try_from(after.as_nanos()).unwrap_or(i128::MAX) },
            Err(before) => Self { nanos: -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX) },
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, nanos) = self.parts();
        if nanos == 0 {
            return write!(f, "{head}Z");
        }
        let digits = format!("{nanos:09}");
        write!(f, "{head}.{}Z", digits.trim_end_matches('0'))
    }
}

/// What could not be read as a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time like 2024-05-01T10:00:00Z")]
pub struct NotATime {
    /// The text as it was given.
    pub text: String,
}

impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text).ok_or_else(|| NotATime { text: text.chars().take(64).collect() })
    }
}

fn parse(text: &str) -> Option<Time> {
    let (date, rest) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut fields = date.splitn(3, '-').map(digits);
    let (year, month, day) = (fields.next()??, fields.next()??, fields.next()??);
    let (clock, offset) = split_offset(rest)?;
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut fields = whole.splitn(3, ':').map(digits);
    let (hour, minute, second) = (fields.next()??, fields.next()??, fields.next().unwrap_or(Some(0))?);
    if year > 9999 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60
    {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(Time { nanos: i128::from(seconds) * NANOS + i128::from(fraction_nanos(fraction)?) })
}

/// Splits `10:00:00+02:00` into the clock and the offset in seconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let offset = digits(hours)? * 3600 + digits(minutes)? * 60;
    Some((&text[..at], if text.as_bytes()[at] == b'-' { -offset } else { offset }))
}

fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Reads `5` as 500,000,000 nanoseconds.
fn fraction_nanos(text: &str) -> Option<u32> {
    if text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{text:0<9}").parse().ok()
}

/// Days since 1970 of a date (Hinnant's algorithm, exact for all Gregorian dates).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_docker_does() {
        assert_eq!(Time::NEVER.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Time::from_unix(0, 0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Time::from_unix(1_700_000_000, 120_000_000).to_string(), "2023-11-14T22:13:20.12Z");
        assert_eq!(Time::from_unix(1_700_000_000, 5).fixed_width(), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(Time::from_unix(951_782_400, 0).to_string(), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn reads_what_it_prints() {
        for seconds in [-62_135_596_800, -1, 0, 951_782_399, 1_582_934_400, 4_102_444_799] {
            let time = Time::from_unix(seconds, 123_456_789);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!("2023-11-14T23:13:20.5+01:00".parse(), Ok(Time::from_unix(1_700_000_000, 500_000_000)));
        assert_eq!("2000-02-29".parse(), Ok(Time::from_unix(951_782_400, 0)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", "x", "2023-13-01T00:00:00Z", "2023-01-01T25:00:00Z", "2023-01-01T00:00:00.1234567890Z", "-1-1-1"]
        {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
