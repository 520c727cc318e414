//! Amounts of cpu, memory and the like: exact decimal numbers with Kubernetes' suffixes.
//!
//! Held as whole billionths, so that parsing, comparing and adding are exact; finer input is rounded away from zero
//! and sizes are capped at 2⁶³−1, as upstream. Printing gives upstream's canonical form (`0.5` → `500m`,
//! `1024Mi` → `1Gi`, `1.5Gi` → `1536Mi`).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// An exact amount, and the family of suffixes to print it with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    #[default]
    DecimalSi,
    BinarySi,
    DecimalExponent,
}

const NANO: i128 = 1_000_000_000;
const MAX: i128 = (i64::MAX as i128) * NANO;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Quantity {
    /// A whole number, printed with decimal suffixes.
    pub const fn new(value: i64) -> Self {
        Self { nanos: value as i128 * NANO, format: Format::DecimalSi }
    }

    /// A number of thousandths.
    pub const fn from_milli(milli: i64) -> Self {
        Self { nanos: milli as i128 * (NANO / 1000), format: Format::DecimalSi }
    }

    /// A number of bytes, printed with binary suffixes.
    pub const fn from_bytes(bytes: i64) -> Self {
        Self { nanos: bytes as i128 * NANO, format: Format::BinarySi }
    }

    /// The amount in whole units, rounded up.
    pub fn value(&self) -> i64 {
        clamp(ceil_div(self.nanos, NANO))
    }

    /// The amount in thousandths, rounded up.
    pub fn milli(&self) -> i64 {
        clamp(ceil_div(self.nanos, NANO / 1000))
    }

    /// Says whether the amount is zero.
    pub const fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// Adds; keeps this one's suffix family unless it is zero.
    pub fn plus(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: (self.nanos + other.nanos).clamp(-MAX, MAX), format }
    }

    /// Subtracts.
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { nanos: -other.nanos, ..other })
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// What a suffix multiplies by: a power of ten, or of 1024.
fn suffix(text: &str) -> Option<(Format, i32)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(s, _)| *s == text) {
        return Some((Format::DecimalSi, *exponent));
    }
    if let Some(power) = BINARY.iter().position(|s| *s == text) {
        return Some((Format::BinarySi, i32::try_from(power).ok()?));
    }
    let exponent = text.strip_prefix(['e', 'E'])?;
    if exponent.is_empty() || exponent.len() > 4 {
        return None;
    }
    Some((Format::DecimalExponent, exponent.parse().ok()?))
}

/// `mantissa × 10^exponent`, rounded away from zero and capped.
fn scaled(mantissa: i128, exponent: i32) -> i128 {
    let mut value = mantissa;
    for _ in 0..exponent.max(0) {
        value = value.saturating_mul(10).min(MAX);
    }
    // One division by the whole power, so that several roundings cannot add up.
    match 10i128.checked_pow(exponent.min(0).unsigned_abs()) {
        Some(power) => ceil_div(value, power),
        None => i128::from(value != 0),
    }
    .min(MAX)
}

fn parse(text: &str) -> Option<Quantity> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, unit) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (format, power) = suffix(unit)?;
    let mut mantissa: i128 = 0;
    let mut exponent = 9;
    let mut dropped = false;
    for (i, c) in whole.bytes().chain(fraction.bytes()).enumerate() {
        // 33 digits exceed both the cap and the precision; what follows only matters for rounding up.
        if mantissa < 10i128.pow(32) {
            mantissa = mantissa * 10 + i128::from(c - b'0');
            exponent -= i32::from(i >= whole.len());
        } else {
            dropped |= c != b'0';
            exponent = exponent.saturating_add(i32::from(i < whole.len()));
        }
    }
    mantissa += i128::from(dropped);
    let nanos = match format {
        Format::BinarySi => {
            let factor = 1024i128.pow(power.unsigned_abs());
            // Multiply first where it fits, for exactness; huge mantissas are capped anyway.
            match mantissa.checked_mul(factor) {
                Some(product) => scaled(product, exponent),
                None => scaled(mantissa, exponent).saturating_mul(factor).min(MAX),
            }
        }
        _ => scaled(mantissa, exponent.saturating_add(power)),
    };
    Some(Quantity { nanos: if negative { -nanos } else { nanos }, format })
}

impl FromStr for Quantity {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text.trim()).ok_or_else(|| Error::unreadable(text, "quantity"))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        // Small or fractional amounts have no binary form that keeps them exact.
        let binary = self.format == Format::BinarySi && self.nanos.abs() >= 1024 * NANO && self.nanos % NANO == 0;
        if binary {
            let (mut mantissa, mut power) = (self.nanos / NANO, 0);
            while mantissa % 1024 == 0 && power < 6 {
                mantissa /= 1024;
                power += 1;
            }
            return write!(f, "{mantissa}{}", BINARY[power]);
        }
        let (mut mantissa, mut exponent) = (self.nanos, -9);
        while mantissa % 1000 == 0 && exponent < 18 {
            mantissa /= 1000;
            exponent += 3;
        }
        write!(f, "{mantissa}")?;
        match (self.format, exponent) {
            (_, 0) => Ok(()),
            (Format::DecimalExponent, _) => write!(f, "e{exponent}"),
            _ => f.write_str(DECIMAL.iter().find(|(_, e)| *e == exponent).map_or("", |(s, _)| s)),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Whole(i64),
            Fraction(f64),
        }
        let text = match Written::deserialize(d)? {
            Written::Text(text) => text,
            Written::Whole(n) => n.to_string(),
            Written::Fraction(x) => x.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms() {
        for (written, canonical, value, milli) in [
            ("0", "0", 0, 0),
            ("0.5", "500m", 1, 500),
            ("100m", "100m", 1, 100),
            ("1000m", "1", 1, 1000),
            ("1500m", "1500m", 2, 1500),
            ("2.5", "2500m", 3, 2500),
            ("1k", "1k", 1000, 1_000_000),
            ("100000", "100k", 100_000, 100_000_000),
            ("1Ki", "1Ki", 1024, 1_024_000),
            ("1024Mi", "1Gi", 1 << 30, (1 << 30) * 1000),
            ("1.5Gi", "1536Mi", 3 << 29, (3 << 29) * 1000),
            ("0.5Ki", "512", 512, 512_000),
            ("1e3", "1e3", 1000, 1_000_000),
            ("1E", "1E", 1_000_000_000_000_000_000, i64::MAX),
            ("12E-1", "1200e-3", 2, 1200),
            ("-1500m", "-1500m", -1, -1500),
            ("0.0000000001", "1n", 1, 1),
            ("+5", "5", 5, 5000),
            (".5", "500m", 1, 500),
            ("9999999999999999999999", "9223372036854775807", i64::MAX, i64::MAX),
        ] {
            let q: Quantity = written.parse().unwrap();
            assert_eq!((q.to_string().as_str(), q.value(), q.milli()), (canonical, value, milli), "{written}");
        }
        for bad in ["", "-", ".", "1.2.3", "1x", "1 Gi", "1ki", "1e", "0x10", "1Kib", "e3"] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_loses_nothing(value in any::<i64>(), unit in 0usize..17) {
            let suffixes = ["", "m", "u", "n", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3"];
            let q: Quantity = format!("{value}{}", suffixes[unit]).parse().unwrap();
            prop_assert_eq!(q.to_string().parse::<Quantity>().unwrap(), q);
        }
        #[test]
        fn never_panics(text in "[-+]?[0-9.]{0,50}[eEKMGi+-]{0,3}[0-9]{0,6}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
