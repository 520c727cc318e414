//! The addresses of a node's pods, handed out in turn.
//!
//! Always the next one and never the one that was just given back: old connections and rules that still know an
//! address must not meet a new pod.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// A node's range of addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    base: u32,
    size: u32,
    next: u32,
    taken: BTreeSet<u32>,
}

impl Addresses {
    /// Reads a range such as `10.244.1.0/24`. The first address of the range belongs to the node.
    pub(super) fn parse(range: &str) -> Option<Self> {
        let (base, length) = range.split_once('/')?;
        let (base, length) = (base.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok()?);
        let size = 1_u32.checked_shl(32_u32.checked_sub(length)?)?;
        (size >= 4).then(|| Self { base: u32::from(base), size, next: 2, taken: BTreeSet::new() })
    }

    /// Takes an address, if one is left.
    pub(super) fn take(&mut self) -> Option<Ipv4Addr> {
        for _ in 0..self.size {
            let candidate = self.next;
            self.next = if candidate + 2 >= self.size { 2 } else { candidate + 1 };
            if self.taken.insert(candidate) {
                return Some(Ipv4Addr::from(self.base + candidate));
            }
        }
        None
    }

    /// Gives an address back.
    pub(super) fn give_back(&mut self, address: Ipv4Addr) {
        self.taken.remove(&u32::from(address).wrapping_sub(self.base));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_given_back_comes_last() {
        let mut range = Addresses::parse("10.244.1.0/29").unwrap();
        let first = range.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 244, 1, 2));
        range.give_back(first);
        let next: Vec<Ipv4Addr> = std::iter::from_fn(|| range.take()).collect();
        assert_eq!(next.len(), 5);
        assert_eq!(next.last(), Some(&first));
        assert!(next.iter().all(|address| address.octets()[3] < 7));
    }
}
