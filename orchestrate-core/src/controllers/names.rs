//! Names that controllers make up: hashes of templates, suffixes of pods and slices.
//!
//! Suffixes come out of what is already there (owner, time, number), so no randomness is needed: the API server's
//! seed has decided the owner's uid.

use crate::Time;
use crate::objects::PodTemplateSpec;

const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// FNV-1a with 32 bits.
pub fn fnv32a(data: &[u8]) -> u32 {
    data.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// FNV-1a with 64 bits.
pub(crate) fn fnv64a(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Spells a text in letters and digits that cannot form words.
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()])).collect()
}

/// The `pod-template-hash` of a template: equal templates have equal hashes; `collisions` tells apart the rest.
pub fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut value = super::json(template);
    value.sort_all_objects();
    let mut text = value.to_string();
    if let Some(n) = collisions {
        text.push_str(&n.to_string());
    }
    safe_encode(&fnv32a(text.as_bytes()).to_string())
}

/// A name of `prefix` and five characters that `taken` does not know.
pub(super) fn fresh_name(prefix: &str, uid: &str, now: Time, number: usize, taken: impl Fn(&str) -> bool) -> String {
    let mut round = 0;
    loop {
        let seed = format!("{prefix}/{uid}/{}/{number}/{round}", now.0);
        let mut hash = fnv64a(seed.as_bytes());
        let mut name = prefix.chars().take(58).collect::<String>();
        for _ in 0..5 {
            name.push(char::from(ALPHABET[usize::try_from(hash % 27).unwrap_or_default()]));
            hash /= 27;
        }
        if !taken(&name) {
            return name;
        }
        round += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(fnv32a(b"foobar"), 0xbf9c_f968);
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
    }

    #[test]
    fn fresh_names_avoid_what_is_taken() {
        let first = fresh_name("web-", "u", Time(7), 0, |_| false);
        let second = fresh_name("web-", "u", Time(7), 0, |n| n == first);
        assert_ne!(first, second);
        assert_eq!((first.len(), &first[..4]), (9, "web-"));
    }
}
