//! Durations and sizes as Docker says them, and sizes as people write them.

use std::time::Duration;

/// `3 minutes`, `About an hour`, `2 weeks`.
#[must_use]
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A size in decimal units with at most three digits: `7.79MB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}", three_digits(value), UNITS[unit])
}

/// As C's `%.3g` prints numbers below a thousand.
fn three_digits(value: f64) -> String {
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A size in binary units with at most four digits: `512MiB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
pub fn binary_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.3}");
    format!("{}{}", text.trim_end_matches('0').trim_end_matches('.'), UNITS[unit])
}

/// Reads `512m`, `1.5g`, `64kb`, `100`.
///
/// # Errors
/// One clause that names the text.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("invalid size: '{text}'");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower[digits.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(bad()),
    };
    let digits = digits.trim();
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(1 << shift).filter(|size| i64::try_from(*size).is_ok()).ok_or_else(bad);
    }
    let value: f64 = digits.parse().map_err(|_| bad())?;
    let size = value * f64::from(1_u32 << (shift / 2)) * f64::from(1_u32 << (shift - shift / 2));
    if !size.is_finite() || !(0.0..9e18).contains(&size) || digits.starts_with(['+', '-']) {
        return Err(bad());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked above")]
    Ok(size as u64)
}

/// Reads `--cpus` into billionths of a CPU.
///
/// # Errors
/// One clause that names the text.
pub fn parse_cpus(text: &str) -> Result<u64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) || fraction.len() > 9 {
        return Err(bad());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let fraction: u64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
    whole.checked_mul(1_000_000_000).and_then(|nanos| nanos.checked_add(fraction)).ok_or_else(bad)
}

/// Reads Go's durations: `1h30m`, `42m`, `1.5s`, `200ms`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(value * unit).ok()?)?;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_docker_says_them() {
        let said = |seconds| human_duration(Duration::from_secs(seconds));
        assert_eq!(said(0), "Less than a second");
        assert_eq!(said(1), "1 second");
        assert_eq!(said(59), "59 seconds");
        assert_eq!(said(60), "About a minute");
        assert_eq!(said(150), "2 minutes");
        assert_eq!(said(3600), "About an hour");
        assert_eq!(said(7 * 3600), "7 hours");
        assert_eq!(said(3 * 86_400), "3 days");
        assert_eq!(said(21 * 86_400), "3 weeks");
        assert_eq!(said(90 * 86_400), "3 months");
        assert_eq!(said(800 * 86_400), "2 years");
    }

    #[test]
    fn sizes_both_ways() {
        for (bytes, text) in [(0, "0B"), (999, "999B"), (1000, "1kB"), (7_790_000, "7.79MB"), (187_400_000, "187MB")] {
            assert_eq!(human_size(bytes), text);
        }
        assert_eq!(binary_size(512 << 20), "512MiB");
        for (text, bytes) in [("512m", 512 << 20), ("1.5g", 3 << 29), ("64kb", 65_536), ("100", 100), ("2GiB", 2 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "m", "-1m", "1x", "nan", "1e400g", "99999999999g", "++1k"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cpus_and_durations() {
        assert_eq!(parse_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_cpus(".5"), Ok(500_000_000));
        assert!(parse_cpus("-1").is_err() && parse_cpus("1.x").is_err() && parse_cpus(".").is_err());
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(parse_duration("5"), None);
        assert_eq!(parse_duration(""), None);
    }
}
