//! A number or a text: ports by number or name, counts absolute or in percent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A number, or a text such as a port name or `"25%"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A plain number.
    Int(i32),
    /// A name or a percentage.
    String(String),
}

impl IntOrString {
    /// The number itself, or the percentage of `total`, rounded up or down.
    ///
    /// # Errors
    /// `Unreadable` if it is a text but not a percentage.
    pub fn scaled(&self, total: i32, round_up: bool) -> Result<i32, Error> {
        match self {
            Self::Int(n) => Ok(*n),
            Self::String(text) => {
                let percent: i64 = text
                    .strip_suffix('%')
                    .and_then(|p| p.parse().ok())
                    .ok_or_else(|| Error::unreadable(text, "number or percentage"))?;
                let product = percent.saturating_mul(i64::from(total));
                let share = product.div_euclid(100) + i64::from(round_up && product.rem_euclid(100) != 0);
                Ok(i32::try_from(share).unwrap_or(i32::MAX))
            }
        }
    }
}

impl Default for IntOrString {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::String(text) => f.write_str(text),
        }
    }
}

impl From<i32> for IntOrString {
    fn from(n: i32) -> Self {
        Self::Int(n)
    }
}

impl From<&str> for IntOrString {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for (written, total, up, want) in
            [("25%", 10, true, 3), ("25%", 10, false, 2), ("0%", 5, true, 0), ("150%", 4, false, 6)]
        {
            assert_eq!(IntOrString::from(written).scaled(total, up).unwrap(), want, "{written} of {total}");
        }
        assert_eq!(IntOrString::Int(7).scaled(3, true).unwrap(), 7);
        assert!(IntOrString::from("http").scaled(3, true).is_err());
    }
}
