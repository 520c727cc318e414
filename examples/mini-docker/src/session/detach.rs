//! The keys that leave a session without ending the program: `ctrl-p,ctrl-q` unless told otherwise. Pure.

/// A sequence of keys, and how much of it has been pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    pressed: usize,
}

/// What became of some input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// What goes to the program.
    pub input: Vec<u8>,
    /// Whether the sequence is complete.
    pub left: bool,
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q`, `a,b` and the like.
    ///
    /// # Errors
    /// One clause that names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys = text.split(',').map(key).collect::<Result<Vec<u8>, String>>()?;
        Ok(Self { keys, pressed: 0 })
    }

    /// Takes input. Keys that could begin the sequence are held back until it is clear that they do not.
    #[must_use]
    pub fn press(&mut self, bytes: &[u8]) -> Pressed {
        let mut input = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.keys[self.pressed] == byte {
                self.pressed += 1;
                if self.pressed == self.keys.len() {
                    self.pressed = 0;
                    return Pressed { input, left: true };
                }
                continue;
            }
            input.extend_from_slice(&self.keys[..self.pressed]);
            self.pressed = usize::from(self.keys[0] == byte);
            if self.pressed == 0 {
                input.push(byte);
            }
        }
        Pressed { input, left: false }
    }
}

fn key(text: &str) -> Result<u8, String> {
    let bad = || format!("Unknown character: '{text}' in detach keys");
    match text.strip_prefix("ctrl-") {
        Some("@") => Ok(0),
        Some("[") => Ok(27),
        Some("\\") => Ok(28),
        Some("]") => Ok(29),
        Some("^") => Ok(30),
        Some("_") => Ok(31),
        Some(letter) => match letter.as_bytes() {
            [byte @ b'a'..=b'z'] => Ok(byte - b'a' + 1),
            _ => Err(bad()),
        },
        None => match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err(bad()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> DetachKeys {
        DetachKeys::parse("ctrl-p,ctrl-q").unwrap()
    }

    fn input(bytes: &[u8]) -> Pressed {
        Pressed { input: bytes.to_vec(), left: false }
    }

    #[test]
    fn the_sequence_leaves_and_its_beginning_alone_is_input() {
        assert_eq!(usual().press(b"ls\x10\x11more"), Pressed { input: b"ls".to_vec(), left: true });
        let mut keys = usual();
        assert_eq!(keys.press(b"\x10"), input(b""));
        assert_eq!(keys.press(b"x"), input(b"\x10x"));
        assert_eq!(keys.press(b"\x10\x10"), input(b"\x10"));
        assert!(keys.press(b"\x11").left);
    }

    #[test]
    fn keys_as_docker_writes_them() {
        assert!(DetachKeys::parse("ctrl-@,a").is_ok());
        for text in ["", "ctrl-", "ctrl-1", "ab", "ü"] {
            assert!(DetachKeys::parse(text).is_err(), "{text}");
        }
    }
}
