//! Mount options as people write them, and what the kernel calls them.

pub(super) const MS_BIND: u32 = 0x1000;
pub(super) const MS_REC: u32 = 0x4000;
pub(super) const MS_PRIVATE: u32 = 0x4_0000;
pub(super) const MS_SLAVE: u32 = 0x8_0000;

/// What a list of mount options means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) bind: bool,
    pub(super) recursive: bool,
    /// Attributes of the mount itself.
    pub(super) set: u32,
    pub(super) clear: u32,
    /// Attributes of the mount and all below it.
    pub(super) deep_set: u32,
    pub(super) propagation: u32,
    /// Options of the file system.
    pub(super) data: Vec<(String, Option<String>)>,
}

const ATTRIBUTES: [(&str, u32, bool); 16] = [
    ("ro", 0x01, true),
    ("rw", 0x01, false),
    ("nosuid", 0x02, true),
    ("suid", 0x02, false),
    ("nodev", 0x04, true),
    ("dev", 0x04, false),
    ("noexec", 0x08, true),
    ("exec", 0x08, false),
    ("noatime", 0x10, true),
    ("strictatime", 0x20, true),
    ("nodiratime", 0x80, true),
    ("diratime", 0x80, false),
    ("nosymfollow", 0x20_0000, true),
    ("symfollow", 0x20_0000, false),
    ("relatime", 0, true),
    ("defaults", 0, true),
];

pub(super) fn propagation_flag(name: &str) -> Option<u32> {
    let (deep, name) = match name.strip_prefix('r') {
        Some(rest) => (MS_REC, rest),
        None => (0, name),
    };
    let flag = match name {
        "private" => MS_PRIVATE,
        "slave" => MS_SLAVE,
        "shared" => 0x10_0000,
        "unbindable" => 0x2_0000,
        _ => return None,
    };
    Some(flag | deep)
}

pub(super) fn parse(options: &[String]) -> Options {
    let mut parsed = Options::default();
    for option in options {
        if let Some((_, bits, on)) = ATTRIBUTES.iter().find(|(name, ..)| name == option) {
            let (add, remove) =
                if *on { (&mut parsed.set, &mut parsed.clear) } else { (&mut parsed.clear, &mut parsed.set) };
            *add |= bits;
            *remove &= !bits;
        } else if let Some(flag) = propagation_flag(option) {
            parsed.propagation = flag;
        } else {
            match option.as_str() {
                "bind" => parsed.bind = true,
                "rbind" => (parsed.bind, parsed.recursive) = (true, true),
                "rro" => parsed.deep_set |= 0x01,
                "rnosuid" => parsed.deep_set |= 0x02,
                "rnodev" => parsed.deep_set |= 0x04,
                "rnoexec" => parsed.deep_set |= 0x08,
                other => {
                    let (key, value) = match other.split_once('=') {
                        Some((key, value)) => (key, Some(value.to_owned())),
                        None => (other, None),
                    };
                    parsed.data.push((key.to_owned(), value));
                }
            }
        }
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::{MS_PRIVATE, MS_REC, parse};

    #[test]
    fn the_last_of_two_opposites_wins_and_the_rest_is_the_file_systems() {
        let options: Vec<String> =
            ["ro", "rw", "nosuid", "rbind", "rprivate", "mode=755", "huge"].map(str::to_owned).to_vec();
        let parsed = parse(&options);
        assert_eq!((parsed.set, parsed.clear), (2, 1));
        assert!(parsed.bind && parsed.recursive);
        assert_eq!(parsed.propagation, MS_PRIVATE | MS_REC);
        assert_eq!(parsed.data, [("mode".into(), Some("755".into())), ("huge".into(), None)]);
    }
}
