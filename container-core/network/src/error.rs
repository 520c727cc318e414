//! The one error type of the crate: what the caller can act on, with subject, step and cause.
//!
//! Absent on purpose: a catch-all variant, and conversion from `io::Error` without context.

use crate::Protocol;
use nix::errno::Errno;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else listens on a port that was to be published.
    #[error("bind for {address} failed: port is already allocated")]
    PortTaken {
        /// The address and port asked for.
        address: SocketAddr,
        /// Which of the two port spaces.
        protocol: Protocol,
    },
    /// A port below the limit that this user may bind.
    #[error("bind for {address} failed: ports below {first} need root (sysctl net.ipv4.ip_unprivileged_port_start)")]
    PortForbidden {
        /// The address and port asked for.
        address: SocketAddr,
        /// The first port that this user may bind.
        first: u16,
    },
    /// The address to publish on belongs to no interface of this machine.
    #[error("bind for {address} failed: no interface has that address")]
    AddressMissing {
        /// The address and port asked for.
        address: SocketAddr,
    },
    /// Every address of the network is given away.
    #[error("network {network} has no free address left in {subnet}")]
    AddressesExhausted {
        /// The network's name.
        network: String,
        /// Its range.
        subnet: String,
    },
    /// The container has an address in this network already.
    #[error("container {id} is already attached to network {network}")]
    AlreadyAttached {
        /// The network's name.
        network: String,
        /// The container.
        id: String,
    },
    /// The range asked for overlaps one that this machine uses.
    #[error("subnet {subnet} overlaps {other} on this machine")]
    SubnetTaken {
        /// The range asked for, or a sentence that none was free.
        subnet: String,
        /// The range in the way.
        other: String,
    },
    /// A link with the bridge's name exists, and somebody else made it.
    #[error("the link {name} exists and belongs to somebody else")]
    LinkTaken {
        /// The link's name.
        name: String,
    },
    /// A value that cannot be used.
    #[error("invalid {what} {value:?}: {why}")]
    Invalid {
        /// What kind of value.
        what: &'static str,
        /// The value.
        value: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The kernel or its settings lack something.
    #[error("{feature} is not available: {hint}")]
    Unsupported {
        /// What is missing.
        feature: &'static str,
        /// What to do about it.
        hint: String,
    },
    /// The kernel refused a request.
    #[error("cannot {doing}")]
    Kernel {
        /// The step, as a verb phrase.
        doing: String,
        /// The kernel's answer.
        source: Errno,
    },
    /// A file or socket operation failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A state file that this crate wrote cannot be understood.
    #[error("the state file {} is damaged", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        source: serde_json::Error,
    },
    /// The process outside, or a helper on the way there, did not do its part.
    #[error("the outer namespace's helper failed to {doing}: {why}")]
    Helper {
        /// The step.
        doing: &'static str,
        /// What was observed.
        why: String,
    },
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes a mapper for failed system calls: `.map_err(Error::kernel("make a namespace"))`.
    pub(crate) fn kernel(doing: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        let doing = doing.into();
        move |source| Self::Kernel { doing, source }
    }

    /// Makes a mapper for failed file operations.
    pub(crate) fn io(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;
    use std::fmt::Write;

    /// Every variant once, with its causes: the quality of the messages is reviewed as text.
    #[test]
    fn messages_print_as_reviewed() {
        let address: SocketAddr = "0.0.0.0:80".parse().unwrap();
        let corrupt = serde_json::from_str::<u8>("{").unwrap_err();
        let (network, subnet) = ("mini0".to_owned(), "172.17.0.0/16".to_owned());
        let all = [
            Error::PortTaken { address, protocol: Protocol::Tcp },
            Error::PortForbidden { address, first: 1024 },
            Error::AddressMissing { address },
            Error::AddressesExhausted { network: network.clone(), subnet: subnet.clone() },
            Error::AlreadyAttached { network: network.clone(), id: "web".to_owned() },
            Error::SubnetTaken { subnet, other: "172.16.0.0/12".to_owned() },
            Error::LinkTaken { name: network },
            Error::Invalid { what: "link name", value: "a/b".to_owned(), why: "1 to 15 letters" },
            Error::Unsupported { feature: "a user namespace", hint: "this kernel forbids it".to_owned() },
            Error::kernel("make bridge mini0")(Errno::EPERM),
            Error::io("open", "/proc/self/ns/net")(io::ErrorKind::NotFound.into()),
            Error::Corrupt { path: "/run/demo/mini0.json".into(), source: corrupt },
            Error::Helper { doing: "bind a port", why: "it has ended".to_owned() },
        ];
        let mut text = String::new();
        for error in all {
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            let line = causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"));
            writeln!(text, "{line}").unwrap();
        }
        crate::golden::check("errors.txt", &text);
    }
}
