//! One 512-byte tar header: fields by offset, numbers in octal or base 256, checksum. Pure.
//!
//! Old (V7), POSIX and GNU headers are read; what they cannot say comes in `pax` records or GNU long names.

pub(crate) const BLOCK: usize = 512;

/// What a header stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    File,
    /// Before POSIX; a folder when its name ends in a slash.
    OldFile,
    HardLink,
    Symlink,
    Character,
    Block,
    Folder,
    Fifo,
    Pax,
    PaxGlobal,
    LongName,
    LongLink,
}

/// The fields of a header as they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flag: Flag,
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    pub(crate) device: (u32, u32),
}

pub(crate) fn is_zero(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

impl Header {
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Self, &'static str> {
        let stated = number(&block[148..156]).ok_or("the header's checksum is not a number")?;
        let (unsigned, signed) = checksums(block);
        if u64::try_from(stated).ok() != Some(unsigned) && stated != signed {
            return Err("the header's checksum is wrong");
        }
        let posix = &block[257..263] == b"ustar\0";
        let mut name = text(&block[..100]).to_vec();
        if posix && block[345] != 0 {
            let prefix = text(&block[345..500]);
            name = [prefix, b"/", &name].concat();
        }
        let flag = flag(block[156])?;
        let modern = posix || &block[257..263] == b"ustar ";
        let natural = |range: std::ops::Range<usize>, what| {
            number(&block[range]).and_then(|value| u64::try_from(value).ok()).ok_or(what)
        };
        let device = |range| if modern { natural(range, "a device number is malformed") } else { Ok(0) };
        let (major, minor) = match flag {
            Flag::Character | Flag::Block => (device(329..337)?, device(337..345)?),
            _ => (0, 0),
        };
        Ok(Self {
            flag,
            name,
            link: text(&block[157..257]).to_vec(),
            mode: (natural(100..108, "the mode is malformed")? & 0o7777) as u32,
            uid: natural(108..116, "the user id is malformed")?,
            gid: natural(116..124, "the group id is malformed")?,
            size: natural(124..136, "the size is malformed")?,
            mtime: number(&block[136..148]).ok_or("the time is malformed")?,
            device: (
                u32::try_from(major).map_err(|_| "a device number is too large")?,
                u32::try_from(minor).map_err(|_| "a device number is too large")?,
            ),
        })
    }
}

fn flag(byte: u8) -> Result<Flag, &'static str> {
    Ok(match byte {
        0 => Flag::OldFile,
        b'0' | b'7' => Flag::File,
        b'1' => Flag::HardLink,
        b'2' => Flag::Symlink,
        b'3' => Flag::Character,
        b'4' => Flag::Block,
        b'5' => Flag::Folder,
        b'6' => Flag::Fifo,
        b'x' => Flag::Pax,
        b'g' => Flag::PaxGlobal,
        b'L' => Flag::LongName,
        b'K' => Flag::LongLink,
        b'S' => return Err("sparse files are not allowed in layers"),
        _ => return Err("the type of the entry is unknown"),
    })
}

/// The bytes before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// Octal digits between blanks, or a big-endian two's complement number when the first bit is set.
fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        let start = if first & 0x40 == 0 { i128::from(first & 0x7f) } else { i128::from(first) - 256 };
        let value = field[1..].iter().fold(start, |value, byte| (value << 8) | i128::from(*byte));
        return i64::try_from(value).ok();
    }
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    let rest_blank = digits[end..].iter().all(|byte| matches!(byte, 0 | b' '));
    if digits.is_empty() || !rest_blank && digits[end] != 0 {
        return digits.is_empty().then_some(0);
    }
    digits[..end].iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// The sum of all bytes, with the checksum field counted as blanks; some old programs summed signed bytes.
pub(crate) fn checksums(block: &[u8; BLOCK]) -> (u64, i64) {
    let mut sums = (0, 0);
    for (position, byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&position) { b' ' } else { *byte };
        sums.0 += u64::from(byte);
        sums.1 += i64::from(byte.cast_signed());
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"        "), Some(0));
        assert_eq!(number(b"0008\0\0\0\0"), None);
        assert_eq!(number(b"\x80\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Some(-1));
        assert_eq!(number(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
