//! WebSocket (RFC 6455) as exec and attach need it: the handshake's answer and whole frames.
//!
//! Pure bytes in, bytes out. Absent on purpose: extensions, and text frames other than as bytes.

mod sha1;

use crate::base64;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const ALL: [(u8, Self); 6] = [
        (0x0, Self::Continuation),
        (0x1, Self::Text),
        (0x2, Self::Binary),
        (0x8, Self::Close),
        (0x9, Self::Ping),
        (0xa, Self::Pong),
    ];
}

/// One frame, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) last: bool,
    pub(crate) opcode: Opcode,
    pub(crate) payload: Vec<u8>,
}

/// A peer that does not speak the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Frames longer than this are refused.
const MAX_PAYLOAD: u64 = 4 << 20;

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`.
pub(crate) fn accept(key: &str) -> String {
    base64::encode(&sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes()))
}

/// Takes the first frame out of `buffer`, if it is there whole.
pub(crate) fn take(buffer: &mut Vec<u8>) -> Result<Option<Frame>, Malformed> {
    let [first, second, rest @ ..] = buffer.as_slice() else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Malformed);
    }
    let opcode = Opcode::ALL.iter().find(|(code, _)| *code == first & 0x0f).map(|(_, opcode)| *opcode);
    let opcode = opcode.ok_or(Malformed)?;
    let extra = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(extended) = rest.get(..extra) else { return Ok(None) };
    let length = match extra {
        0 => u64::from(second & 0x7f),
        _ => extended.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    if length > MAX_PAYLOAD {
        return Err(Malformed);
    }
    let masked = second & 0x80 != 0;
    let start = 2 + extra + if masked { 4 } else { 0 };
    let end = start + length as usize;
    let Some(payload) = buffer.get(start..end) else { return Ok(None) };
    let mut payload = payload.to_vec();
    if masked {
        let key = &buffer[start - 4..start];
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    let frame = Frame { last: first & 0x80 != 0, opcode, payload };
    buffer.drain(..end);
    Ok(Some(frame))
}

/// One whole message as bytes; a client gives the mask.
pub(crate) fn encode(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let code = Opcode::ALL.iter().find(|(_, o)| *o == opcode).map_or(0, |(code, _)| *code);
    let mut out = vec![0x80 | code];
    let flag = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => out.push(flag | short as u8),
        medium @ 126..65_536 => {
            out.push(flag | 126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(flag | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default();
    if mask.is_some() {
        out.extend(key);
    }
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_handshake_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn reserved_bits_and_giants_are_refused() {
        assert_eq!(take(&mut vec![0xc2, 0x00]), Err(Malformed));
        assert_eq!(take(&mut vec![0x83, 0x00]), Err(Malformed));
        assert_eq!(take(&mut vec![0x82, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read(payload in prop::collection::vec(any::<u8>(), 0..70_000), mask: Option<[u8; 4]>) {
            let mut bytes = encode(Opcode::Binary, &payload, mask);
            let whole = bytes.clone();
            bytes.pop();
            prop_assert_eq!(take(&mut bytes), Ok(None));
            let mut bytes = whole;
            bytes.push(7);
            let frame = Frame { last: true, opcode: Opcode::Binary, payload };
            prop_assert_eq!(take(&mut bytes), Ok(Some(frame)));
            prop_assert_eq!(bytes, vec![7]);
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = take(&mut bytes);
        }
    }
}
