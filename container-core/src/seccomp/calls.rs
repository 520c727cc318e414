//! Numbers of system calls, and what the default profile says about each: data, one line per call.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A way of calling the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the usual names")]
#[allow(clippy::exhaustive_enums, reason = "the machines this crate runs on")]
pub enum Abi {
    X86_64,
    I386,
    X32,
    Aarch64,
}

/// Numbers of x32 calls carry this bit.
pub(super) const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// The conventions of the machine this was built for, the machine's own first.
    #[must_use]
    pub const fn native() -> &'static [Self] {
        if cfg!(target_arch = "aarch64") { &[Self::Aarch64] } else { &[Self::X86_64, Self::I386, Self::X32] }
    }

    /// The kernel's number for the machine behind the convention.
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// The name in a profile.
    pub(super) const fn profile_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::I386 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
        }
    }
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) name: &'static str,
    numbers: [Option<u32>; 4],
    /// `+` always allowed, `-` never, `?` by its arguments, else capabilities one of which is needed.
    pub(super) policy: &'static str,
}

impl Call {
    /// The number as the filter sees it.
    pub(super) const fn number(&self, abi: Abi) -> Option<u32> {
        match (abi, self.numbers[abi as usize]) {
            (Abi::X32, Some(number)) => Some(number | X32_BIT),
            (_, number) => number,
        }
    }
}

/// All calls by name.
pub(super) fn all() -> &'static BTreeMap<&'static str, Call> {
    static ALL: OnceLock<BTreeMap<&'static str, Call>> = OnceLock::new();
    ALL.get_or_init(|| include_str!("calls.txt").lines().filter_map(parse).collect())
}

fn parse(line: &'static str) -> Option<(&'static str, Call)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let mut number = || words.next().map(|word| word.parse().ok());
    let numbers = [number()?, number()?, number()?, number()?];
    Some((name, Call { name, numbers, policy: words.next()? }))
}
