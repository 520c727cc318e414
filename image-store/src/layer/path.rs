//! `SafePath`: the name of a tar entry once it cannot lead anywhere but down. Pure.
//!
//! Leading slashes and `.` parts mean nothing; a `..` part, a NUL or an overlong part is refused, because no honest
//! tool writes one. Links inside the layer are a second matter, which [`super::root`] answers with the kernel's help.

/// A relative path without `.`, `..`, empty parts and NUL. Empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct SafePath(Vec<u8>);

const LONGEST_PART: usize = 255;
const LONGEST_PATH: usize = 4095;

impl SafePath {
    pub(crate) fn parse(name: &[u8]) -> Result<Self, &'static str> {
        let mut path = Vec::with_capacity(name.len());
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err("its name has a `..` part"),
                part if part.contains(&0) => return Err("its name has a NUL byte"),
                part if part.len() > LONGEST_PART => return Err("a part of its name is longer than 255 bytes"),
                part => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(part);
                }
            }
        }
        if path.len() > LONGEST_PATH { Err("its name is longer than 4095 bytes") } else { Ok(Self(path)) }
    }

    /// Where a link at `self` with this target leads inside the root, by its text alone.
    pub(crate) fn follow(&self, target: &[u8]) -> Result<Self, &'static str> {
        let base = if target.starts_with(b"/") { Self::default() } else { self.parent() };
        let mut parts: Vec<&[u8]> = base.parts().collect();
        for part in target.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        Self::parse(&parts.join(&b'/'))
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    pub(crate) fn parent(&self) -> Self {
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Self(self.0[..end].to_vec())
    }

    /// The last part; empty for the root.
    pub(crate) fn name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|byte| *byte == b'/').map_or(0, |position| position + 1);
        &self.0[start..]
    }

    /// This folder's entry `name`.
    pub(crate) fn join(&self, name: &[u8]) -> Self {
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Self(path)
    }

    /// The bounds of everything below this folder: from its name and `/` up to its name and the byte after that.
    pub(crate) fn range_below(&self) -> (Self, Self) {
        (Self([&self.0[..], b"/"].concat()), Self([&self.0[..], &[b'/' + 1]].concat()))
    }
}

impl std::fmt::Display for SafePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        f.write_str(text.get(..200).unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SafePath;

    #[test]
    fn table() {
        for (name, safe) in [("./a//b/./c/", "a/b/c"), ("/etc/x", "etc/x"), ("", ""), ("./", ""), ("...", "...")] {
            assert_eq!(SafePath::parse(name.as_bytes()).unwrap().bytes(), safe.as_bytes());
        }
        for name in ["..", "a/../b", "../x", "/..", "a\0b", &"x".repeat(256)] {
            assert!(SafePath::parse(name.as_bytes()).is_err(), "{name}");
        }
        let link = SafePath::parse(b"var/run").unwrap();
        assert_eq!(link.follow(b"../../../run").unwrap().bytes(), b"run");
        assert_eq!(link.follow(b"/run/x").unwrap().bytes(), b"run/x");
        assert_eq!(link.follow(b"x").unwrap().bytes(), b"var/x");
    }

    proptest! {
        #[test]
        fn never_leads_up(name in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'/'), any::<u8>()], 0..60)) {
            if let Ok(path) = SafePath::parse(&name) {
                prop_assert!(path.parts().all(|part| part != b".." && part != b"." && !part.contains(&0)));
                prop_assert!(!path.bytes().starts_with(b"/"));
                prop_assert_eq!(SafePath::parse(path.bytes()).unwrap(), path.clone());
                let whole: Vec<u8> = path.parent().join(path.name()).bytes().to_vec();
                prop_assert!(path.is_root() || whole == path.bytes());
            }
        }
    }
}
