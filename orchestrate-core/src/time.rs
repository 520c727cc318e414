//! Points in time: milliseconds since 1970 in logic, RFC 3339 in JSON.
//!
//! Nothing here reads a clock; `now` is always an argument. `Time` prints whole seconds (what Kubernetes calls
//! `Time`), `MicroTime` six decimals (leases, event times). Leap seconds and time zones other than fixed offsets do
//! not exist here.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A length of time in milliseconds.
pub type Millis = i64;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. JSON form: RFC 3339 in whole seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A `Time` whose JSON form has six decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroTime(pub Time);

impl Time {
    /// Makes a time from whole seconds since 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1000)
    }

    /// Cuts to whole seconds, the precision in which statuses are stored.
    pub const fn whole(self) -> Self {
        Self(self.0.div_euclid(1000) * 1000)
    }

    /// Adds a number of seconds; saturates.
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to this time (negative if it is later); saturates.
    pub const fn since(self, earlier: Self) -> Millis {
        self.0.saturating_sub(earlier.0)
    }

    fn write(self, f: &mut fmt::Formatter<'_>, micros: bool) -> fmt::Result {
        let (days, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        let secs = ms / 1000;
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)?;
        if micros {
            write!(f, ".{:06}", ms % 1000 * 1000)?;
        }
        f.write_str("Z")
    }
}

impl Add<Millis> for Time {
    type Output = Self;
    fn add(self, ms: Millis) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Sub<Millis> for Time {
    type Output = Self;
    fn sub(self, ms: Millis) -> Self {
        Self(self.0.saturating_sub(ms))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl fmt::Display for MicroTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, true)
    }
}

/// Year, month and day of a number of days since 1970 (proleptic Gregorian calendar, 400-year eras from 1 March).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970 of a date; the inverse of `civil`.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads `len` digits at `at`.
fn digits(text: &[u8], at: usize, len: usize) -> Option<i64> {
    let part = text.get(at..at + len)?;
    part.iter().try_fold(0, |n, c| c.is_ascii_digit().then(|| n * 10 + i64::from(c - b'0')))
}

fn parse(text: &str) -> Option<Time> {
    let b = text.as_bytes();
    let punctuation = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if punctuation.iter().any(|(at, c)| b.get(*at) != Some(c)) || !matches!(b.get(10), Some(b'T' | b't')) {
        return None;
    }
    let (year, month, day) = (digits(b, 0, 4)?, digits(b, 5, 2)?, digits(b, 8, 2)?);
    let (hour, minute, second) = (digits(b, 11, 2)?, digits(b, 14, 2)?, digits(b, 17, 2)?);
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_of(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    let mut at = 19;
    let mut ms = 0;
    if b.get(at) == Some(&b'.') {
        let len = b[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
        if len == 0 {
            return None;
        }
        for (i, scale) in [100, 10, 1].iter().enumerate().take(len) {
            ms += digits(b, at + 1 + i, 1)? * scale;
        }
        at += 1 + len;
    }
    let offset = match *b.get(at)? {
        b'Z' | b'z' if b.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if b.len() == at + 6 && b[at + 3] == b':' => {
            let (hours, minutes) = (digits(b, at + 1, 2)?, digits(b, at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == b'+' { 60 } else { -60 }
        }
        _ => return None,
    };
    Some(Time((days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1000 + ms))
}

impl FromStr for Time {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::unreadable(text, "RFC 3339 time"))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for MicroTime {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MicroTime {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Time::deserialize(d).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(MicroTime(Time(1_582_934_400_123)).to_string(), "2020-02-29T00:00:00.123000Z");
        assert_eq!("2020-02-29T01:00:00.5+01:00".parse::<Time>().unwrap(), Time(1_582_934_400_500));
        for bad in ["", "2021-02-29T00:00:00Z", "2020-02-29 00:00:00Z", "2020-02-29T00:00:00", "2020-02-29T00:00:00.Z"]
        {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(ms in -60_000_000_000_000i64..200_000_000_000_000) {
            prop_assert_eq!(MicroTime(Time(ms)).to_string().parse::<Time>().unwrap(), Time(ms));
            prop_assert_eq!(Time(ms).to_string().parse::<Time>().unwrap(), Time(ms).whole());
        }
        #[test]
        fn never_panics(text in "\\PC{0,30}") {
            let _ = text.parse::<Time>();
        }
    }
}
