//! Moments as milliseconds since the epoch, and how Kubernetes writes them.
//!
//! The engine never reads a clock: whoever calls it says what time it is. This file only turns that
//! number into RFC 3339 text and back, and ages into the short form of `kubectl get`.

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

const DAY: i64 = 86_400_000;

/// Days since the epoch of a civil date (proleptic Gregorian calendar).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// The civil date of a day number: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, doy - (153 * mp + 2) / 5 + 1)
}

fn parts(at: Millis) -> (i64, i64, i64, i64, i64, i64, i64) {
    let (days, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    (year, month, day, rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000)
}

/// `2026-01-02T03:04:05Z`: how a `Time` field is written.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let (year, month, day, h, m, s, _) = parts(at);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

/// `2026-01-02T03:04:05.678000Z`: how a `MicroTime` field is written.
#[must_use]
pub fn rfc3339_micro(at: Millis) -> String {
    let (year, month, day, h, m, s, ms) = parts(at);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}000Z")
}

/// `Fri, 02 Jan 2026 03:04:05 +0000`: how `kubectl describe` writes a moment.
#[must_use]
pub fn rfc1123(at: Millis) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, h, m, s, _) = parts(at);
    let weekday = DAYS[at.div_euclid(DAY).rem_euclid(7) as usize];
    format!("{weekday}, {day:02} {} {year:04} {h:02}:{m:02}:{s:02} +0000", MONTHS[(month - 1) as usize])
}

/// Reads RFC 3339 text with any offset; parts of a second below a millisecond are dropped.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !text.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, c)| bytes[at].to_ascii_uppercase() != c) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (h, m, s) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && h < 24 && m < 60 && s < 61;
    if !in_range || civil_from_days(days_from_civil(year, month, day)) != (year, month, day) {
        return None;
    }
    let rest = &text[19..];
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(tail) => tail.split_at(tail.find(|c: char| !c.is_ascii_digit())?),
        None => ("", rest),
    };
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let base = days_from_civil(year, month, day) * DAY + h * 3_600_000 + m * 60_000 + s * 1000 + millis;
    Some(base - offset(zone)?)
}

fn offset(zone: &str) -> Option<Millis> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (h, m) = zone[1..].split_once(':')?;
    if h.len() != 2 || m.len() != 2 {
        return None;
    }
    Some(sign * (h.parse::<i64>().ok()? * 3_600_000 + m.parse::<i64>().ok()? * 60_000))
}

/// The age column of `kubectl get`: `5s`, `3m20s`, `47m`, `5h30m`, `2d4h`, `90d`, `3y41d`.
#[must_use]
pub fn human_duration(millis: Millis) -> String {
    let seconds = millis / 1000;
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let two = |big: i64, unit: char, small: i64, sub: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{sub}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree() {
        for at in [0, 1_700_000_000_000, 951_782_400_000, -1000, 4_102_444_799_000] {
            assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        }
        assert_eq!(rfc1123(1_700_000_000_123), "Tue, 14 Nov 2023 22:13:20 +0000");
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339_micro(1_700_000_000_123), "2023-11-14T22:13:20.123000Z");
        assert_eq!(parse_rfc3339("2023-11-14T23:13:20.5+01:00"), Some(1_700_000_000_500));
        for bad in ["2023-02-30T00:00:00Z", "2023-11-14 22:13:20", "2023-11-14T22:13:20", "x"] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn ages_read_as_in_kubectl() {
        let cases = [(0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (900, "15m"), (20_000, "5h33m")];
        for (seconds, text) in cases {
            assert_eq!(human_duration(seconds * 1000), text);
        }
        assert_eq!(human_duration(90 * 86_400_000), "90d");
        assert_eq!(human_duration(-5000), "<invalid>");
    }
}
