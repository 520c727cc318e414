//! Every variant's words, reviewed as text: one lower-case clause, one line, the cause left to the cause.

use super::{Error, ErrorKind};
use crate::Digest;

fn name() -> String {
    "web:1".to_owned()
}

fn check(cases: impl IntoIterator<Item = (Error, ErrorKind, String)>) {
    for (error, kind, words) in cases {
        assert_eq!((error.kind(), error.to_string()), (kind, words));
    }
}

#[test]
fn words_about_images() {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    check([
        (
            Error::InvalidReference { text: "Web".into(), reason: "a repository name must be lower case" },
            ErrorKind::Invalid,
            "invalid reference \"Web\": a repository name must be lower case".to_owned(),
        ),
        (
            Error::InvalidDigest { text: "x".into(), reason: "it does not start with sha256:" },
            ErrorKind::Invalid,
            "invalid digest \"x\": it does not start with sha256:".to_owned(),
        ),
        (Error::UnknownImage { name: name() }, ErrorKind::NotFound, "no such image: web:1".to_owned()),
        (
            Error::AmbiguousId { prefix: "ab".into(), matches: 2 },
            ErrorKind::Conflict,
            "image id ab is ambiguous: it fits 2 images".to_owned(),
        ),
        (
            Error::InUse { image: name(), by: "container-1".into() },
            ErrorKind::Conflict,
            "image web:1 is in use by container-1".to_owned(),
        ),
        (
            Error::WrongDigest { subject: "layer abc".into(), expected: one, found: two },
            ErrorKind::Corrupt,
            format!("layer abc has digest {two}, expected {one}"),
        ),
        (
            Error::WrongSize { subject: "layer abc".into(), expected: 1, found: 2 },
            ErrorKind::Corrupt,
            "layer abc has 2 bytes, expected 1".to_owned(),
        ),
        (
            Error::layer("layer abc", "its name has a `..` part"),
            ErrorKind::Invalid,
            "invalid layer abc: its name has a `..` part".to_owned(),
        ),
        (
            Error::NoPlatform {
                name: name(),
                wanted: "linux/arm64".parse().unwrap(),
                available: "linux/amd64, linux/386".into(),
            },
            ErrorKind::NotFound,
            "image web:1 is not available for linux/arm64 (it has: linux/amd64, linux/386)".to_owned(),
        ),
    ]);
}

#[test]
fn words_about_machines_and_registries() {
    let io = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    check([
        (
            Error::Unsupported { feature: "the base image".into(), hint: "pull an image".into() },
            ErrorKind::Unsupported,
            "the base image is not supported: pull an image".to_owned(),
        ),
        (
            Error::Denied { registry: "r.io".into(), subject: "r.io/web".into(), reason: "it answered 403".into() },
            ErrorKind::Denied,
            "registry r.io denied access to r.io/web: it answered 403".to_owned(),
        ),
        (
            Error::Unreachable { registry: "r.io".into(), doing: "logging in".into(), source: io().into() },
            ErrorKind::Unavailable,
            "cannot reach registry r.io while logging in".to_owned(),
        ),
        (
            Error::Registry {
                registry: "r.io".into(),
                doing: "sending a blob".into(),
                reason: "it answered 500".into(),
            },
            ErrorKind::Unavailable,
            "registry r.io failed while sending a blob: it answered 500".to_owned(),
        ),
        (Error::Io { doing: "write", path: "/x".into(), source: io() }, ErrorKind::Io, "cannot write /x".to_owned()),
    ]);
}
