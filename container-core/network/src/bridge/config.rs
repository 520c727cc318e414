//! What a caller says about a bridge network, and the check that it can be meant.

use crate::{Error, Result, Subnet};
use std::path::PathBuf;

/// A bridge network to be used.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The bridge link's name, which also names the state file and the rule table.
    pub name: String,
    /// Its range; without one the first of Docker's usual ranges that this machine does not use.
    pub subnet: Option<Subnet>,
    /// Where the lease file and its lock live (0700, made when missing).
    pub state_dir: PathBuf,
    /// The links' packet size, where the kernel's default is wrong.
    pub mtu: Option<u32>,
}

impl NetworkConfig {
    /// A network with a range of its own choice.
    #[must_use]
    pub fn new(name: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), subnet: None, state_dir: state_dir.into(), mtu: None }
    }

    /// Fixes the range.
    #[must_use]
    pub fn subnet(mut self, subnet: Subnet) -> Self {
        self.subnet = Some(subnet);
        self
    }

    /// Refuses names that are no link names (and so no path parts either) and ranges too small for a container.
    pub(super) fn check(&self) -> Result<()> {
        check_link_name(&self.name)?;
        match self.subnet {
            Some(subnet) if subnet.prefix() > 30 || subnet.prefix() < 8 => Err(Error::Invalid {
                what: "subnet",
                value: subnet.to_string(),
                why: "a bridge network has a prefix from 8 to 30 bits",
            }),
            _ => Ok(()),
        }
    }
}

/// The kernel takes 15 bytes without `/` and white space; we take letters, digits, `-`, `_` and `.` in the middle.
pub(crate) fn check_link_name(name: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 15 || name.starts_with('.') || !name.chars().all(fine) {
        return Err(Error::Invalid {
            what: "link name",
            value: name.to_owned(),
            why: "1 to 15 letters, digits, dashes, underscores",
        });
    }
    Ok(())
}

/// Docker's own pool, in its order.
pub(super) fn usual_ranges() -> impl Iterator<Item = Subnet> {
    let wide = (17..=31).map(|second| format!("172.{second}.0.0/16"));
    let narrow = (0..=240).step_by(16).map(|third| format!("192.168.{third}.0/20"));
    wide.chain(narrow).filter_map(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_state_directory_are_refused() {
        for name in ["", "../x", "a/b", ".", "sixteen-bytes-xx", "white space", "ü"] {
            assert!(check_link_name(name).is_err(), "{name}");
        }
        assert!(check_link_name("mini0").is_ok());
    }

    #[test]
    fn the_usual_ranges_are_docker_s() {
        let ranges: Vec<String> = usual_ranges().map(|range| range.to_string()).collect();
        assert_eq!(ranges.len(), 31);
        assert_eq!((ranges[0].as_str(), ranges[30].as_str()), ("172.17.0.0/16", "192.168.240.0/20"));
    }
}
