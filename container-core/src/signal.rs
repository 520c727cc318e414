//! Signals as people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A signal number that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signal(i32);

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
/// First and last real-time signal, as glibc counts them.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl Signal {
    /// Hang-up.
    pub const HUP: Self = Self(1);
    /// Interrupt, as by Ctrl-C.
    pub const INT: Self = Self(2);
    /// Quit, as by Ctrl-\.
    pub const QUIT: Self = Self(3);
    /// End at once; cannot be caught.
    pub const KILL: Self = Self(9);
    /// First user signal.
    pub const USR1: Self = Self(10);
    /// Second user signal.
    pub const USR2: Self = Self(12);
    /// Please end.
    pub const TERM: Self = Self(15);
    /// Continue.
    pub const CONT: Self = Self(18);
    /// Stop; cannot be caught.
    pub const STOP: Self = Self(19);
    /// The terminal's size changed.
    pub const WINCH: Self = Self(28);

    /// Checks a number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        if number >= 1 && number <= RTMAX { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0 - 1).ok().and_then(|index| NAMES.get(index)) {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
        }
    }
}

/// Reads `SIGTERM`, `TERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`.
impl FromStr for Signal {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownSignal { text: text.to_owned() };
        if let Ok(number) = text.parse::<i32>() {
            return Self::from_number(number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return i32::try_from(index + 1).ok().and_then(Self::from_number).ok_or_else(unknown);
        }
        let number = match name {
            "CLD" => Some(17),
            "POLL" => Some(29),
            "IOT" => Some(6),
            "RTMIN" => Some(RTMIN),
            "RTMAX" => Some(RTMAX),
            _ => real_time(name),
        };
        number.and_then(Self::from_number).ok_or_else(unknown)
    }
}

fn real_time(name: &str) -> Option<i32> {
    let small = |text: &str| text.parse::<i32>().ok().filter(|n| (0..=RTMAX - RTMIN).contains(n));
    match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(offset), _) => small(offset).map(|n| RTMIN + n),
        (_, Some(offset)) => small(offset).map(|n| RTMAX - n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn the_ways_people_write_signals() {
        for (text, number) in
            [("SIGTERM", 15), ("TERM", 15), ("term", 15), ("15", 15), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("hup", 1)]
        {
            assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        }
        for text in ["", "0", "65", "-9", "SIG", "TERMX", "RTMIN+99", "RTMIN+-1"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!("37".parse::<Signal>().unwrap().to_string(), "SIGRTMIN+3");
    }
}
