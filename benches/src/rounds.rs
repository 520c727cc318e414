//! Rounds: every contender once per round, in a new random order each time, and the medians at the end.
//!
//! A fixed order favours whoever follows a certain neighbour (a first cgroup attach after an idle second costs
//! milliseconds), so the order is drawn anew from a printed seed. Absent: any knowledge of what is measured.

use crate::worker::Worker;

/// The times of one contender, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    /// Adds one time.
    pub fn push(&mut self, nanos: u64) {
        self.0.push(nanos);
    }

    /// The value below which `percent` of the times lie; `None` without any.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<u64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get(last * percent / 100).copied()
    }

    /// The median; `None` without any time.
    #[must_use]
    pub fn median(&self) -> Option<u64> {
        self.percentile(50)
    }
}

/// A small generator (xorshift64*): the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % (bound as u64).max(1)).unwrap_or(0)
    }

    /// The numbers below `count` in a random order (Fisher–Yates).
    pub fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            numbers.swap(last, self.below(last + 1));
        }
        numbers
    }
}

/// Runs `rounds` rounds after `warm_up` uncounted ones. A contender that fails or stalls is dropped, and said so.
pub fn run(contenders: &mut [Worker], rounds: usize, warm_up: usize, seed: u64) -> Vec<Samples> {
    let mut samples = vec![Samples::default(); contenders.len()];
    let mut order = Random::new(seed);
    for round in 0..rounds + warm_up {
        for number in order.shuffled(contenders.len()) {
            match contenders[number].once() {
                Ok(Some(nanos)) if round >= warm_up => samples[number].push(nanos),
                Ok(_) => {}
                Err(error) => eprintln!("{}: dropped in round {round}: {error}", contenders[number].name()),
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_and_the_seed_decides_it() {
        let mut shuffled = Random::new(7).shuffled(20);
        assert_eq!(shuffled, Random::new(7).shuffled(20));
        assert_ne!(shuffled, Random::new(8).shuffled(20));
        shuffled.sort_unstable();
        assert_eq!(shuffled, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn percentiles_of_nothing_are_none() {
        assert_eq!(Samples::default().median(), None);
        assert_eq!(Samples(vec![3, 1, 2]).median(), Some(2));
    }
}
