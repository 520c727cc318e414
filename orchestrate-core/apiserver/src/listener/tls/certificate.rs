//! One X.509 v3 certificate in DER: P-256, `localhost`, for servers only.

use crate::time::{Millis, rfc3339};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const TEXT: u8 = 0x0c;
const TIME: u8 = 0x18;
const SHORT_TIME: u8 = 0x17;

const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const SERVER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

const DAY: Millis = 86_400_000;

/// One value with its tag and length.
fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..128 => out.push(short as u8),
        medium @ 128..256 => out.extend([0x81, medium as u8]),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
    out
}

fn object(id: &[u8]) -> Vec<u8> {
    tagged(OBJECT, &[id])
}

fn extension(id: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    tagged(SEQUENCE, &[&object(id), flag, &tagged(OCTET_STRING, &[content])])
}

/// `20260102030405Z`, without the century before 2050 as the standard has it.
fn moment(at: Millis) -> Vec<u8> {
    let digits: String = rfc3339(at).chars().filter(char::is_ascii_digit).collect();
    let text = format!("{digits}Z");
    if text.as_str() < "2050" { tagged(SHORT_TIME, &[&text.as_bytes()[2..]]) } else { tagged(TIME, &[text.as_bytes()]) }
}

fn algorithm() -> Vec<u8> {
    tagged(SEQUENCE, &[&object(ECDSA_SHA256)])
}

/// What is signed.
pub(super) fn unsigned(serial: &[u8; 16], public_key: &[u8], now: Millis) -> Vec<u8> {
    let mut positive = *serial;
    positive[0] = positive[0] & 0x7f | 0x01;
    let common_name = tagged(SEQUENCE, &[&object(COMMON_NAME), &tagged(TEXT, &[b"apiserver"])]);
    let name = tagged(SEQUENCE, &[&tagged(SET, &[&common_name])]);
    let validity = tagged(SEQUENCE, &[&moment(now - DAY), &moment(now + 3650 * DAY)]);
    let key_kind = tagged(SEQUENCE, &[&object(EC_KEY), &object(P256)]);
    let key = tagged(SEQUENCE, &[&key_kind, &tagged(BIT_STRING, &[&[0], public_key])]);
    let mut loopback6 = [0_u8; 16];
    loopback6[15] = 1;
    let names = tagged(
        SEQUENCE,
        &[&tagged(0x82, &[b"localhost"]), &tagged(0x87, &[&[127, 0, 0, 1]]), &tagged(0x87, &[&loopback6])],
    );
    let extensions = tagged(
        SEQUENCE,
        &[
            &extension(CONSTRAINTS, true, &tagged(SEQUENCE, &[])),
            &extension(KEY_USAGE, true, &tagged(BIT_STRING, &[&[7, 0x80]])),
            &extension(EXTENDED_USAGE, false, &tagged(SEQUENCE, &[&object(SERVER)])),
            &extension(ALT_NAME, false, &names),
        ],
    );
    let version = tagged(0xa0, &[&tagged(INTEGER, &[&[2]])]);
    let serial = tagged(INTEGER, &[&positive]);
    tagged(SEQUENCE, &[&version, &serial, &algorithm(), &name, &validity, &name, &key, &tagged(0xa3, &[&extensions])])
}

/// The whole certificate.
pub(super) fn signed(unsigned: &[u8], signature: &[u8]) -> Vec<u8> {
    tagged(SEQUENCE, &[unsigned, &algorithm(), &tagged(BIT_STRING, &[&[0], signature])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_times_have_their_short_and_long_forms() {
        assert_eq!(tagged(4, &[&[7; 3]]), [4, 3, 7, 7, 7]);
        assert_eq!(&tagged(4, &[&[7; 200]])[..3], [4, 0x81, 200]);
        assert_eq!(&tagged(4, &[&[7; 300]])[..4], [4, 0x82, 1, 44]);
        assert_eq!(&moment(1_700_000_000_000)[2..], b"231114221320Z");
        assert_eq!(&moment(2_600_000_000_000)[2..], b"20520522141320Z");
    }
}
