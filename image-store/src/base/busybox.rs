//! The applets of a static busybox, read out of the program itself: it keeps their names as one block of NUL-ended
//! words that begins with `[`. Nothing is executed.

use std::path::{Path, PathBuf};

use super::elf::Elf;

const BEGIN: &[u8] = b"\0[\0[[\0";

/// Where the program is and which applets it has; `None` when it needs libraries or does not say.
pub(super) fn applets(path: &Path) -> Option<(PathBuf, Vec<String>)> {
    let real = path.canonicalize().ok()?;
    let bytes = std::fs::read(&real).ok()?;
    let elf = Elf::parse(&bytes)?;
    if elf.interpreter.is_some() || !elf.needed.is_empty() {
        return None;
    }
    let names = names(&bytes)?;
    names.iter().any(|name| name == "sh").then_some((real, names))
}

fn names(bytes: &[u8]) -> Option<Vec<String>> {
    let start = bytes.windows(BEGIN.len()).position(|window| window == BEGIN)? + 1;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'[' | b'_' | b'-' | b'.' | b'+');
    let names: Vec<String> = bytes[start..]
        .split(|byte| *byte == 0)
        .take_while(|word| !word.is_empty() && word.len() < 40 && word.iter().all(plain))
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn reads_the_block() {
        assert_eq!(names(b"xx\0[\0[[\0acpid\0sh\0\0rest").unwrap(), ["[", "[[", "acpid", "sh"]);
        assert_eq!(names(b"none"), None);
    }
}
