//! What an ELF file says about the libraries it needs: interpreter, `DT_NEEDED`, `DT_RPATH`, `DT_RUNPATH`. Pure; reads
//! any bytes without panic, and refuses what does not fit.

/// The needs of one program or library.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Elf {
    /// Class, byte order and machine: only libraries with the same ones fit.
    pub(super) kind: (u8, u8, u16),
    pub(super) interpreter: Option<String>,
    pub(super) needed: Vec<String>,
    pub(super) rpath: Vec<String>,
    pub(super) runpath: Vec<String>,
}

const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const LOAD: u32 = 1;

const NEEDED: u64 = 1;
const STRINGS: u64 = 5;
const RPATH: u64 = 15;
const RUNPATH: u64 = 29;

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

struct Bytes<'a> {
    all: &'a [u8],
    wide: bool,
    big: bool,
}

impl Elf {
    /// Reads the headers of an ELF file; `None` when it is none.
    pub(super) fn parse(all: &[u8]) -> Option<Self> {
        if !all.starts_with(b"\x7fELF") {
            return None;
        }
        let (class, order) = (*all.get(4)?, *all.get(5)?);
        let bytes = Bytes { all, wide: class == 2, big: order == 2 };
        let mut elf = Self { kind: (class, order, bytes.short(18)?), ..Self::default() };
        let segments = bytes.segments()?;
        elf.interpreter =
            segments.iter().find(|segment| segment.kind == INTERPRETER).and_then(|segment| bytes.text(segment.offset));
        if let Some(dynamic) = segments.iter().find(|segment| segment.kind == DYNAMIC) {
            elf.read_dynamic(&bytes, dynamic, &segments)?;
        }
        Some(elf)
    }

    fn read_dynamic(&mut self, bytes: &Bytes<'_>, dynamic: &Segment, segments: &[Segment]) -> Option<()> {
        let word = if bytes.wide { 8 } else { 4 };
        let mut tags = Vec::new();
        for number in 0..(dynamic.size / (2 * word)).min(4096) {
            let at = dynamic.offset.checked_add(number * 2 * word)?;
            let (tag, value) = (bytes.word(at)?, bytes.word(at.checked_add(word)?)?);
            if tag == 0 {
                break;
            }
            tags.push((tag, value));
        }
        let Some((_, strings)) = tags.iter().find(|(tag, _)| *tag == STRINGS) else { return Some(()) };
        let table = file_offset(*strings, segments)?;
        for (tag, value) in tags {
            let text = || bytes.text(table.checked_add(value)?);
            match tag {
                NEEDED => self.needed.push(text()?),
                RPATH => self.rpath = split(&text()?),
                RUNPATH => self.runpath = split(&text()?),
                _ => {}
            }
        }
        Some(())
    }
}

fn split(paths: &str) -> Vec<String> {
    paths.split(':').filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

fn file_offset(address: u64, segments: &[Segment]) -> Option<u64> {
    let holds = |segment: &&Segment| {
        segment.kind == LOAD && address >= segment.address && address - segment.address < segment.size
    };
    let segment = segments.iter().find(holds)?;
    segment.offset.checked_add(address - segment.address)
}

impl Bytes<'_> {
    fn segments(&self) -> Option<Vec<Segment>> {
        let (table, size, count) = if self.wide {
            (self.word(32)?, self.short(54)?, self.short(56)?)
        } else {
            (self.word(28)?, self.short(42)?, self.short(44)?)
        };
        (0..u64::from(count))
            .map(|number| {
                let at = table.checked_add(number * u64::from(size))?;
                let field =
                    |wide: u64, narrow: u64| self.word(at.checked_add(if self.wide { wide } else { narrow })?);
                Some(Segment {
                    kind: self.int(at)?,
                    offset: field(8, 4)?,
                    address: field(16, 8)?,
                    size: field(32, 16)?,
                })
            })
            .collect()
    }

    fn slice<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let at = usize::try_from(at).ok()?;
        self.all.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn short(&self, at: u64) -> Option<u16> {
        self.slice(at).map(|bytes| if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn int(&self, at: u64) -> Option<u32> {
        self.slice(at).map(|bytes| if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// A word of the class's width.
    fn word(&self, at: u64) -> Option<u64> {
        if !self.wide {
            return self.int(at).map(u64::from);
        }
        self.slice(at).map(|bytes| if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// The text up to the next NUL.
    fn text(&self, at: u64) -> Option<String> {
        let rest = self.all.get(usize::try_from(at).ok()?..)?;
        let end = rest.iter().take(4096).position(|byte| *byte == 0)?;
        String::from_utf8(rest[..end].to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Elf;

    #[test]
    fn reads_this_test_program() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.")), "{elf:?}");
        assert!(elf.interpreter.is_some());
    }

    #[test]
    fn a_script_is_none() {
        assert_eq!(Elf::parse(b"#!/bin/sh\n"), None);
        assert_eq!(Elf::parse(b"\x7fELF"), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Elf::parse(&[b"\x7fELF\x02\x01".as_slice(), &bytes].concat());
            let _ = Elf::parse(&[b"\x7fELF\x01\x02".as_slice(), &bytes].concat());
        }

        #[test]
        fn damaged_programs_never_panic(at in 0_usize..2000, value in any::<u8>()) {
            let mut bytes = Vec::new();
            let program = std::fs::File::open("/proc/self/exe").unwrap();
            std::io::Read::read_to_end(&mut std::io::Read::take(program, 64 << 10), &mut bytes).unwrap();
            bytes[at] = value;
            let _ = Elf::parse(&bytes);
        }
    }
}
