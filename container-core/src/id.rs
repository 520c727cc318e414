//! Names of containers, valid by construction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The name of a container: 1 to 128 of `A-Z a-z 0-9 _ . + -`, beginning with a letter or digit.
///
/// It becomes a folder name below the parent cgroup, hence the strictness.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidId` says which rule was broken.
    pub fn new(id: impl Into<String>) -> Result<Self, Error> {
        let id = id.into();
        let reason = if id.is_empty() || id.len() > 128 {
            "must have 1 to 128 characters"
        } else if !id.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            "must begin with a letter or digit"
        } else if !id.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c)) {
            "may hold letters, digits and _ . + - only"
        } else {
            return Ok(Self(id));
        };
        Err(Error::InvalidId { id, reason })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContainerId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl TryFrom<String> for ContainerId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl AsRef<str> for ContainerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::ContainerId;

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for bad in ["", ".", "..", "a/b", "-a", "a b", "ä", &"x".repeat(129)] {
            assert!(ContainerId::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "web.1", "0_+-"] {
            assert_eq!(ContainerId::new(good).unwrap().as_str(), good);
        }
    }
}
