//! PAX records: `LENGTH KEY=VALUE\n`, which say what a header has no room for. Pure; malformed is refused, never
//! guessed at, because two readers that guess differently are how archives are smuggled inside archives.

/// What the records of one entry say; absent where they say nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    /// Seconds and nanoseconds.
    pub(crate) mtime: Option<(i64, u32)>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

impl Records {
    pub(crate) fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut records = Self::default();
        while !bytes.is_empty() {
            let (record, rest) = split_record(bytes).ok_or("a PAX record is malformed")?;
            let position = record.iter().position(|byte| *byte == b'=').ok_or("a PAX record has no value")?;
            records.set(&record[..position], &record[position + 1..])?;
            bytes = rest;
        }
        Ok(records)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if let Some(name) = key.strip_prefix(XATTR) {
            if name.is_empty() || name.contains(&0) {
                return Err("an extended attribute has no proper name");
            }
            self.xattrs.retain(|(other, _)| other != name);
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        if key.starts_with(b"GNU.sparse.") {
            return Err("sparse files are not allowed in layers");
        }
        // An empty value takes an earlier record back.
        let set = !value.is_empty();
        match key {
            b"path" => self.path = set.then(|| value.to_vec()),
            b"linkpath" => self.link = set.then(|| value.to_vec()),
            b"size" => self.size = set.then(|| decimal(value)).transpose()?,
            b"uid" => self.uid = set.then(|| decimal(value)).transpose()?,
            b"gid" => self.gid = set.then(|| decimal(value)).transpose()?,
            b"mtime" => self.mtime = set.then(|| time(value)).transpose()?,
            _ => {}
        }
        Ok(())
    }
}

/// Divides the first record (without its length and newline) from the rest.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..blank]).ok()?).ok()?;
    if length <= blank + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return None;
    }
    Some((&bytes[blank + 1..length - 1], &bytes[length..]))
}

fn decimal(text: &[u8]) -> Result<u64, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "a PAX number is malformed")?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a PAX number is malformed");
    }
    text.parse().map_err(|_| "a PAX number is too large")
}

/// `[-]seconds[.fraction]`, rounded towards the past.
fn time(text: &[u8]) -> Result<(i64, u32), &'static str> {
    const BAD: &str = "a PAX time is malformed";
    let text = std::str::from_utf8(text).map_err(|_| BAD)?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = i64::try_from(decimal(whole.as_bytes())?).map_err(|_| BAD)?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BAD);
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().map_err(|_| BAD)?;
    Ok(match (negative, nanos) {
        (false, nanos) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, nanos) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

/// Writes one record.
pub(crate) fn write(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = 1 + key.len() + 1 + value.len() + 1;
    let mut length = body + 1;
    while body + length.to_string().len() != length {
        length = body + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Records, time, write};

    #[test]
    fn times() {
        assert_eq!(time(b"1.5"), Ok((1, 500_000_000)));
        assert_eq!(time(b"-1.25"), Ok((-2, 750_000_000)));
        assert_eq!(time(b"9999999999.123456789123"), Ok((9_999_999_999, 123_456_789)));
        assert!(time(b"1.x").is_err() && time(b"").is_err() && time(b"--1").is_err());
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [&b"7 size=\n"[..], b"0 a=b\n", b"999 a=b\n", b"6 a=bc", b"x a=b\n", b" a=b\n", b"6 abcd\n"] {
            assert!(Records::parse(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn written_records_are_read(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..120), 1..5)) {
            let mut bytes = Vec::new();
            for (number, value) in values.iter().enumerate() {
                write(&mut bytes, format!("SCHILY.xattr.user.{number}").as_bytes(), value);
            }
            let records = Records::parse(&bytes).unwrap();
            let found: Vec<_> = records.xattrs.into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Records::parse(&bytes);
        }
    }
}
