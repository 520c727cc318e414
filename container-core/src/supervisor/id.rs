//! Container ids: 64 hexadecimal digits out of the kernel's randomness, and their short forms.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::{Result, io_at};

/// Reads `N` random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(io_at("read", path))?;
    Ok(bytes)
}

/// Makes a new id. Its short form is never a number, since programs take a host name of digits for an address.
///
/// # Errors
/// `Io` when the kernel gives no randomness.
pub fn new_id() -> Result<String> {
    loop {
        let id: String = random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        if !id.bytes().take(12).all(|byte| byte.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// Tells whether `text` is a whole id.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && is_prefix(text)
}

/// Tells whether `text` could be the beginning of an id.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ids_and_differ() {
        let (one, two) = (new_id().unwrap(), new_id().unwrap());
        assert!(is_id(&one) && is_id(&two) && one != two);
        assert!(!is_id("abc") && is_prefix("abc") && !is_prefix("web") && !is_prefix(""));
    }
}
