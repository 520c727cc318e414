//! Quantities such as `500m`, `1.5Gi` or `1e3`, in the one form that the server writes.
//!
//! Only what the API itself needs: is it one, how is it written, is it negative or above another.
//! Arithmetic for scheduling lives in `orchestrate_core`.

/// Suffixes with their power of ten, in thousands.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// Suffixes with their power of two.
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// Which suffixes a quantity was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// The value in billionths, and how it was written.
fn parse(text: &str) -> Option<(i128, Format)> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?;
    let (nano, format) = if let Some((_, bits)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        let scaled = digits.checked_mul(1_i128 << bits)?.checked_mul(1_000_000_000)?;
        (divide_up(scaled, power(scale)?), Format::Binary)
    } else {
        let (exponent, format) = match DECIMAL.iter().find(|(s, _)| *s == suffix) {
            Some((_, exponent)) => (*exponent, Format::Decimal),
            None => (suffix.strip_prefix(['e', 'E'])?.parse().ok()?, Format::Exponent),
        };
        let shift = exponent + 9 - scale;
        let nano = if shift >= 0 { digits.checked_mul(power(shift)?)? } else { divide_up(digits, power(-shift)?) };
        (nano, format)
    };
    Some((if negative { -nano } else { nano }, format))
}

fn power(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

const fn divide_up(value: i128, by: i128) -> i128 {
    value / by + (value % by != 0) as i128
}

/// The value in billionths.
pub(crate) fn nano(text: &str) -> Option<i128> {
    parse(text).map(|(nano, _)| nano)
}

/// The form in which the server writes the quantity: no fraction, the largest suffix that fits.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (nano, format) = parse(text)?;
    if nano == 0 {
        return Some("0".to_owned());
    }
    if format == Format::Binary && nano % 1_000_000_000 == 0 && (nano / 1_000_000_000).abs() >= 1024 {
        let whole = nano / 1_000_000_000;
        let fit = BINARY.iter().rev().find(|(_, bits)| whole % (1_i128 << bits) == 0);
        return Some(fit.map_or_else(|| whole.to_string(), |(suffix, bits)| format!("{}{suffix}", whole >> bits)));
    }
    let fit = DECIMAL.iter().rev().find(|(_, exp)| power(exp + 9).is_some_and(|unit| nano % unit == 0));
    let (suffix, exponent) = fit?;
    let shown = nano / power(exponent + 9)?;
    Some(match format {
        Format::Exponent if *exponent != 0 => format!("{shown}e{exponent}"),
        _ => format!("{shown}{suffix}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_one_value() {
        let cases = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("100Ki", "100Ki"),
            ("1e3", "1e3"),
            ("1000", "1k"),
            ("128974848", "128974848"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1", "-1"),
            ("512", "512"),
            ("0.5Ki", "512"),
        ];
        for (text, wanted) in cases {
            assert_eq!(canonical(text).as_deref(), Some(wanted), "{text}");
        }
        for bad in ["", "1X", "Gi", "1.2.3", ".", "--1", "1e", "1 Gi"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }
}
