//! The loader's cache, `/etc/ld.so.cache` in glibc's format: which library name is which file. Pure; only the newer
//! format of the last twenty years is read, anything else counts as an empty cache.

use std::collections::BTreeMap;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0\0";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// Library names and the files they stand for, in the order of the cache.
pub(super) fn parse(bytes: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut libraries: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Some(table) = start(bytes) else { return libraries };
    let Some(count) = int(table, 20) else { return libraries };
    for number in 0..usize::try_from(count).unwrap_or_default().min(1 << 20) {
        let at = HEADER + number * ENTRY;
        let (Some(name), Some(path), Some(hwcap)) =
            (int(table, at + 4), int(table, at + 8), table.get(at + 16..at + 24))
        else {
            break;
        };
        // Variants for special processors are never needed.
        if hwcap.iter().any(|byte| *byte != 0) {
            continue;
        }
        if let (Some(name), Some(path)) = (text(table, name), text(table, path)) {
            libraries.entry(name).or_default().push(path);
        }
    }
    libraries
}

/// The newer table, which may stand behind an older one.
fn start(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(MAGIC) {
        return Some(bytes);
    }
    if !bytes.starts_with(OLD_MAGIC) {
        return None;
    }
    let end = 16_usize.checked_add(usize::try_from(int(bytes, 12)?).ok()?.checked_mul(12)?)?;
    let table = bytes.get(end.checked_next_multiple_of(8)?..)?;
    table.starts_with(MAGIC).then_some(table)
}

fn int(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn text(bytes: &[u8], at: u32) -> Option<String> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().take(4096).position(|byte| *byte == 0)?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse(&[super::MAGIC, &bytes].concat());
            parse(&[super::OLD_MAGIC, &bytes].concat());
        }
    }

    #[test]
    fn the_hosts_cache_if_it_has_one() {
        if let Ok(bytes) = std::fs::read("/etc/ld.so.cache") {
            let libraries = parse(&bytes);
            assert!(libraries.values().flatten().all(|path| path.starts_with('/')));
        }
    }
}
