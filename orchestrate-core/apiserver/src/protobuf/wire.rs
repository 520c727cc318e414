//! Protobuf's wire format: a flat list of numbered fields.

use super::Malformed;

/// A field's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'b> {
    /// A varint or a fixed number.
    Number(u64),
    /// Text, bytes, or another message.
    Bytes(&'b [u8]),
}

/// Takes a varint off the front.
fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn take<'b>(bytes: &mut &'b [u8], count: u64) -> Result<&'b [u8], Malformed> {
    let count = usize::try_from(count).map_err(|_| Malformed)?;
    let (front, rest) = bytes.split_at_checked(count).ok_or(Malformed)?;
    *bytes = rest;
    Ok(front)
}

/// The fields of a message in order.
pub(super) fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Field<'_>)>, Malformed> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let little = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            1 => Field::Number(little(take(&mut bytes, 8)?)),
            2 => {
                let length = varint(&mut bytes)?;
                Field::Bytes(take(&mut bytes, length)?)
            }
            5 => Field::Number(little(take(&mut bytes, 4)?)),
            _ => return Err(Malformed),
        };
        out.push((tag >> 3, field));
    }
    Ok(out)
}
