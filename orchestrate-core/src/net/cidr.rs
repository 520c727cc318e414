//! IPv4 networks.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::Error;

/// A range of addresses: `10.244.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    base: u32,
    prefix: u8,
}

impl Cidr {
    /// Makes a network; bits below the prefix are cleared. Prefixes beyond 32 count as 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or_default();
        Self { base: u32::from(address) & mask, prefix }
    }

    /// The length of the prefix.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The first address.
    pub const fn base(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base)
    }

    /// How many addresses there are.
    pub const fn size(&self) -> u64 {
        1 << (32 - self.prefix)
    }

    /// The address at a position, if it is inside.
    pub fn nth(&self, n: u64) -> Option<Ipv4Addr> {
        let n = u32::try_from(n).ok().filter(|n| u64::from(*n) < self.size())?;
        Some(Ipv4Addr::from_bits(self.base.checked_add(n)?))
    }

    /// Says whether an address is inside.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        Self::new(address, self.prefix) == *self
    }

    /// The networks of a longer prefix inside this one.
    pub fn subnets(&self, prefix: u8) -> impl Iterator<Item = Self> + use<> {
        let prefix = prefix.clamp(self.prefix, 32);
        let (base, step) = (u64::from(self.base), 1u64 << (32 - prefix));
        let count = 1u64 << (prefix - self.prefix);
        (0..count).filter_map(move |n| {
            let base = u32::try_from(base + n * step).ok()?;
            Some(Self { base, prefix })
        })
    }
}

impl FromStr for Cidr {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let prefix: u8 = prefix.parse().ok().filter(|p| *p <= 32)?;
            let cidr = Self::new(address.parse().ok()?, prefix);
            (cidr.base() == address.parse::<Ipv4Addr>().ok()?).then_some(cidr)
        };
        parse().ok_or_else(|| Error::unreadable(text, "IPv4 network"))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let net: Cidr = "10.244.0.0/16".parse().unwrap();
        assert_eq!((net.size(), net.nth(257).unwrap().to_string()), (65536, "10.244.1.1".into()));
        assert!(
            net.nth(65536).is_none()
                && net.contains([10, 244, 255, 255].into())
                && !net.contains([10, 245, 0, 0].into())
        );
        let subnets: Vec<String> = net.subnets(24).take(2).map(|s| s.to_string()).collect();
        assert_eq!((subnets, net.subnets(24).count()), (vec!["10.244.0.0/24".into(), "10.244.1.0/24".into()], 256));
        for bad in ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "x/8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        assert_eq!("0.0.0.0/0".parse::<Cidr>().unwrap().size(), 1 << 32);
    }
}
