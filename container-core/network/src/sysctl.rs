//! Per-interface kernel settings of the calling thread's network namespace, through `/proc/sys/net`.
//!
//! Absent on purpose: `route_localnet`, which would let neighbours reach the host's 127.0.0.1, and every global switch.

use crate::{Error, Result};
use std::io::ErrorKind;
use std::path::PathBuf;

/// Makes an interface deaf to IPv6: no addresses, no router advertisements. A kernel without IPv6 is fine.
pub(crate) fn silence_ipv6(interface: &str) -> Result<()> {
    for (key, value) in [("disable_ipv6", "1"), ("accept_ra", "0"), ("autoconf", "0")] {
        let path = PathBuf::from(format!("/proc/sys/net/ipv6/conf/{interface}/{key}"));
        match std::fs::write(&path, value) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("write", &path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Drops packets that claim a source which the interface does not lead to.
pub(crate) fn check_source(interface: &str) -> Result<()> {
    let path = PathBuf::from(format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter"));
    std::fs::write(&path, "1").map_err(Error::io("write", &path))
}

/// Whether packets that arrive on the interface are forwarded; `None` when there is no such interface.
pub(crate) fn forwarding(interface: &str) -> Option<bool> {
    std::fs::read_to_string(forwarding_path(interface)).ok().map(|text| text.trim() != "0")
}

/// Switches forwarding of packets that arrive on the interface. An interface that is gone is fine.
pub(crate) fn set_forwarding(interface: &str, on: bool) -> Result<()> {
    let path = forwarding_path(interface);
    match std::fs::write(&path, if on { "1" } else { "0" }) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("write", &path)(error)),
        _ => Ok(()),
    }
}

/// Whether somebody switched forwarding on for the whole namespace.
pub(crate) fn forwards_everything() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.trim() == "1")
}

fn forwarding_path(interface: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/net/ipv4/conf/{interface}/forwarding"))
}
