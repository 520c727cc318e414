//! `Platform`: operating system, processor architecture and variant that an image is made for, in Go's spelling.
//!
//! Pure. [`Platform::choose`] is the rule by which one manifest of an index is picked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What an image runs on, such as `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The processor architecture, such as `amd64`.
    pub architecture: String,
    /// The operating system, such as `linux`.
    pub os: String,
    /// The variant of the architecture, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform that this program was built for.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: variant.map(str::to_owned) }
    }

    /// Picks the best of `offers` for this platform: the same system and architecture, then the same variant, then
    /// no variant, then (for `arm`) the highest older variant.
    #[must_use]
    pub fn choose<'a, T>(&self, offers: impl IntoIterator<Item = (&'a Self, T)>) -> Option<T> {
        let mut best: Option<(u32, T)> = None;
        for (offer, value) in offers {
            let Some(rank) = self.rank(offer) else { continue };
            if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                best = Some((rank, value));
            }
        }
        best.map(|(_, value)| value)
    }

    /// How well `offer` suits; higher is better.
    fn rank(&self, offer: &Self) -> Option<u32> {
        if offer.os != self.os || offer.architecture != self.architecture {
            return None;
        }
        let own = self.variant_or_default();
        let offered = offer.variant_or_default();
        match (own, offered) {
            (own, offered) if own == offered => Some(1000),
            (_, None) => Some(500),
            (None, Some(_)) => Some(1),
            (Some(own), Some(offered)) => {
                let (own, offered) = (version(own)?, version(offered)?);
                (offered < own).then_some(100 + offered)
            }
        }
    }

    fn variant_or_default(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None) => Some("v8"),
            ("arm", None) => Some("v7"),
            ("amd64", Some("v1")) => None,
            (_, variant) => variant,
        }
    }
}

fn version(variant: &str) -> Option<u32> {
    variant.strip_prefix('v')?.parse().ok().filter(|number| *number < 100)
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Parses `os/architecture[/variant]`, with the usual other names of architectures.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('/');
        let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match (os, architecture, parts.next()) {
            (Some(os), Some(architecture), None) if plain(os) && plain(architecture) && variant.is_none_or(plain) => {
                let architecture = match architecture {
                    "x86_64" => "amd64",
                    "aarch64" => "arm64",
                    "i386" => "386",
                    other => other,
                };
                Ok(Self {
                    architecture: architecture.to_owned(),
                    os: os.to_owned(),
                    variant: variant.map(str::to_owned),
                })
            }
            _ => Err(Error::Invalid {
                what: "platform",
                subject: text.chars().take(100).collect(),
                reason: "it is written os/architecture[/variant]".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(wanted: &str, offers: &[&str]) -> Option<String> {
        let offers: Vec<Platform> = offers.iter().map(|text| text.parse().unwrap()).collect();
        wanted.parse::<Platform>().unwrap().choose(offers.iter().map(|offer| (offer, offer.to_string())))
    }

    #[test]
    fn picks_the_nearest_variant() {
        assert_eq!(choose("linux/amd64", &["linux/arm64", "linux/amd64"]).as_deref(), Some("linux/amd64"));
        assert_eq!(choose("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"]).as_deref(), Some("linux/arm/v6"));
        assert_eq!(choose("linux/arm/v6", &["linux/arm/v7"]), None);
        assert_eq!(choose("linux/arm64", &["linux/arm64/v8"]).as_deref(), Some("linux/arm64/v8"));
        assert_eq!(choose("linux/amd64", &["windows/amd64", "linux/386"]), None);
    }

    #[test]
    fn refuses_odd_texts() {
        for text in ["linux", "linux/", "linux/amd64/v1/x", "a b/c", ""] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
