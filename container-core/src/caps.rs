//! Capability names and the sets they make.

/// Names without `CAP_`, by number.
pub(crate) const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

pub(crate) const SYS_ADMIN: u64 = 1 << 21;

/// Reads `CAP_CHOWN` or `chown`.
pub(crate) fn number(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == name).and_then(|index| u32::try_from(index).ok())
}

/// The set of several names; the first unknown one is the error.
pub(crate) fn mask(names: &[String]) -> Result<u64, String> {
    names.iter().try_fold(0, |mask, name| number(name).map(|bit| mask | 1 << bit).ok_or_else(|| name.clone()))
}

/// The names in a set, short.
pub(crate) fn names(mask: u64) -> String {
    let mut names = Vec::new();
    for (bit, name) in NAMES.iter().enumerate() {
        if mask >> bit & 1 == 1 {
            names.push(name.to_ascii_lowercase());
        }
    }
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_and_numbers() {
        assert_eq!(super::number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(super::mask(&["cap_chown".into(), "KILL".into()]), Ok(0b10_0001));
        assert_eq!(super::mask(&["CAP_NOTHING".into()]), Err("CAP_NOTHING".into()));
        assert_eq!(super::names(0b10_0001), "chown,kill");
    }
}
