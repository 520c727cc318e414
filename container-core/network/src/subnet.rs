//! An IPv4 range, parsed once and valid from then on.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 range such as `172.17.0.0/16`; the bits below the prefix are always zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    network: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// The range of `prefix` bits that `address` lies in.
    ///
    /// # Errors
    /// `Invalid` when the prefix is longer than 32 bits.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Result<Self> {
        if prefix > 32 {
            return Err(invalid(&format!("{address}/{prefix}"), "the prefix has at most 32 bits"));
        }
        Ok(Self { network: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix })
    }

    /// The range that holds one address only.
    #[must_use]
    pub fn single(address: Ipv4Addr) -> Self {
        Self { network: address, prefix: 32 }
    }

    /// Everything, as a default route's destination.
    pub(crate) fn everything() -> Self {
        Self { network: Ipv4Addr::UNSPECIFIED, prefix: 0 }
    }

    /// The first address.
    #[must_use]
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// The number of fixed bits.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The fixed bits as an address.
    #[must_use]
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix))
    }

    /// Tells whether the address lies in the range.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.network.to_bits()
    }

    /// Tells whether the two ranges share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }

    /// The `index`-th address of the range, if it has that many.
    #[must_use]
    pub fn nth(self, index: u32) -> Option<Ipv4Addr> {
        let address = self.network.to_bits().checked_add(index).map(Ipv4Addr::from_bits)?;
        self.contains(address).then_some(address)
    }

    /// The addresses that hosts may have: all but the first (the network) and the last (the broadcast address).
    pub fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.network.to_bits() | !mask(self.prefix);
        (self.network.to_bits().saturating_add(1)..last).map(Ipv4Addr::from_bits)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn invalid(value: &str, why: &'static str) -> Error {
    Error::Invalid { what: "subnet", value: value.to_owned(), why }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, prefix) = text.split_once('/').ok_or_else(|| invalid(text, "write it as address/prefix"))?;
        let address: Ipv4Addr = address.parse().map_err(|_| invalid(text, "the address is not an IPv4 address"))?;
        let prefix: u8 = prefix.parse().map_err(|_| invalid(text, "the prefix is not a number"))?;
        let subnet = Self::new(address, prefix)?;
        if subnet.network != address {
            return Err(invalid(text, "bits below the prefix are set"));
        }
        Ok(subnet)
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_that_are_not_ranges_are_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.1/24", "10.0.0/24", "::/0", "10.0.0.0/x"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_range_prints_as_it_parses_and_holds_its_hosts(bits: u32, prefix in 20_u8..=32) {
            let subnet = Subnet::new(Ipv4Addr::from_bits(bits), prefix).unwrap();
            prop_assert_eq!(subnet.to_string().parse::<Subnet>().unwrap(), subnet);
            prop_assert!(subnet.contains(Ipv4Addr::from_bits(bits)));
            prop_assert!(subnet.hosts().all(|host| subnet.contains(host)));
            prop_assert_eq!(subnet.hosts().count(), (1_usize << (32 - prefix)).saturating_sub(2));
        }

        #[test]
        fn overlap_is_what_the_addresses_say(a: u32, b: u32, p in 24_u8..=32, q in 24_u8..=32) {
            let (x, y) = (Subnet::new(Ipv4Addr::from_bits(a), p).unwrap(), Subnet::new(Ipv4Addr::from_bits(b), q).unwrap());
            let shared = (0..256).any(|i| x.nth(i).is_some_and(|address| y.contains(address)));
            prop_assert_eq!(x.overlaps(y), shared);
        }
    }
}
