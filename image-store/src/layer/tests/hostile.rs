//! Nothing that a layer says changes anything outside its folder.

use proptest::prelude::*;

use super::{Raw, yard};
use crate::layer::remove_tree;

/// Archives that are refused, each with a word of the reason.
#[test]
fn refused() {
    let abs = "/outside/canary";
    let cases: Vec<(&str, Raw, &str)> = vec![
        ("name up", Raw::default().file("../x", ""), ".."),
        ("name up later", Raw::default().file("a/../../x", ""), ".."),
        ("hard link up", Raw::default().hard_link("h", "../outside/canary"), ".."),
        ("hard link outside", Raw::default().hard_link("h", abs), "does not exist"),
        (
            "hard link through a link",
            Raw::default().symlink("l", "/outside").hard_link("h", "l/canary"),
            "does not exist",
        ),
        ("hard link to what goes", Raw::default().file(".wh.x", "").hard_link("h", "x"), "removes"),
        ("whiteout of nothing", Raw::default().file(".wh.", ""), "whiteout"),
        ("whiteout of itself", Raw::default().file("d/.wh..", ""), "whiteout"),
        ("whiteout of its parent", Raw::default().file("d/.wh...", ""), "whiteout"),
        ("root is a link", Raw::default().symlink("./", "/outside"), "root"),
        ("links in a circle", Raw::default().symlink("a", "b").symlink("b", "a").file("a/x", ""), "a"),
        ("sparse", Raw::default().entry(b'S', "x", "", b""), "sparse"),
        ("PAX sparse", Raw::default().pax(&[("GNU.sparse.major", b"1")]).file("x", ""), "sparse"),
        ("unknown type", Raw::default().entry(b'Z', "x", "", b""), "type"),
        ("NUL in a name", Raw::default().pax(&[("path", b"a\0b")]).file("x", ""), "NUL"),
        ("NUL in a target", Raw::default().pax(&[("linkpath", b"a\0b")]).symlink("x", ""), "NUL"),
        ("user id too large", Raw::default().pax(&[("uid", b"4294967296")]).file("x", ""), "id"),
        ("user id that means none", Raw::default().pax(&[("uid", b"4294967295")]).file("x", ""), "id"),
        ("records without an entry", Raw::default().pax(&[("path", b"x")]), "ends"),
        ("too long a part", Raw::default().pax(&[("path", &[b'x'; 256])]).file("x", ""), "255"),
        ("too long a name", Raw::default().pax(&[("path", "x/".repeat(2100).as_bytes())]).file("x", ""), "4095"),
        ("long records", Raw::default().entry(b'x', "x", "", &vec![b' '; 1 << 21]), "1 MiB"),
    ];
    for (what, raw, reason) in cases {
        let yard = yard();
        let before = yard.outside_state();
        let error = yard.apply(&raw.end(), &[]).expect_err(what).to_string();
        assert!(error.contains(reason), "{what}: {error}");
        assert_eq!(yard.outside_state(), before, "{what}");
    }
}

/// Archives that are unpacked, but not to where they say.
#[test]
fn kept_inside() {
    for target in ["../outside", "/outside", "../../../../../../outside", "."] {
        let yard = yard();
        let outside = yard.outside.to_string_lossy().into_owned();
        for target in [target, &outside] {
            let before = yard.outside_state();
            let raw = Raw::default()
                .symlink("l", target)
                .file("l/new", "bad")
                .file("l/canary", "bad")
                .file("l/.wh.gone", "")
                .symlink("m", target)
                .folder("m/")
                .symlink("n", target)
                .file("n/.wh..wh..opq", "")
                .file("/etc/absolute", "fine");
            let _ = yard.apply(&raw.end(), &[]);
            assert_eq!(yard.outside_state(), before, "{target}");
        }
    }
}

#[test]
fn sizes_that_are_not_there() {
    let yard = yard();
    let raw = Raw::default().pax(&[("size", b"1152921504606846976")]).file("x", "");
    assert!(yard.apply(&raw.end(), &[]).is_err());
    // The body of this file is an archive of its own, which a reader that trusts the header would unpack.
    let inner = Raw::default().file("smuggled", "bad").0;
    let mut raw = Raw::default().pax(&[("size", inner.len().to_string().as_bytes())]);
    raw.push(&super::header(b"x", b'0', 0o644, 0, 0, b""), &inner);
    yard.apply(&raw.end(), &[]).unwrap();
    assert!(!yard.root.join("smuggled").exists());
    assert_eq!(std::fs::read(yard.root.join("x")).unwrap().len(), inner.len());
}

#[test]
fn limits_hold() {
    use crate::store::Limits;
    let yard = yard();
    let archive = Raw::default().file("a", "12345").file("b", "12345").end();
    let root = super::Root::open(&yard.root).unwrap();
    for limits in [Limits { layer_bytes: 9, layer_entries: 9 }, Limits { layer_bytes: 99, layer_entries: 1 }] {
        let error = super::apply(&archive[..], &root, super::markers(), limits, "layer test").unwrap_err();
        assert!(error.to_string().contains("limit"), "{error}");
    }
}

#[test]
fn a_layer_cannot_speak_to_overlay() {
    let yard = yard();
    let names =
        ["trusted.overlay.redirect", "user.overlay.redirect", "user.containers.override_stat", "security.selinux"];
    let mut raw = Raw::default();
    for (number, name) in names.iter().enumerate() {
        raw = raw.pax(&[(&format!("SCHILY.xattr.{name}"), b"/etc")]).file(&format!("f{number}"), "");
    }
    let applied = yard.apply(&raw.end(), &[]).unwrap();
    assert_eq!(applied.shortfalls.xattrs, names.len() as u64);
    for number in 0..names.len() {
        let mut list = [0_u8; 1024];
        let length = rustix::fs::listxattr(yard.root.join(format!("f{number}")), &mut list[..]).unwrap();
        assert!(!String::from_utf8_lossy(&list[..length]).contains("overlay"));
    }
}

#[test]
fn any_depth_is_removed() {
    let yard = yard();
    let deep = "d/".repeat(2000);
    yard.apply(&Raw::default().pax(&[("path", deep.as_bytes())]).folder("x").end(), &[]).unwrap();
    remove_tree(&yard.root).unwrap();
    assert!(!yard.root.exists());
}

/// Names and targets that meet each other often.
fn word() -> impl Strategy<Value = String> {
    let part =
        prop_oneof![Just("a"), Just("b"), Just(".."), Just("."), Just(".wh.a"), Just(".wh..wh..opq"), Just("canary")];
    let start = prop_oneof![4 => Just(""), 1 => Just("/"), 1 => Just("../outside/"), 1 => Just("OUTSIDE/")];
    (start, proptest::collection::vec(part, 1..4)).prop_map(|(start, parts)| format!("{start}{}", parts.join("/")))
}

// More by PROPTEST_CASES.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_archive_reaches_the_outside(
        entries in proptest::collection::vec((prop_oneof![Just(b'0'), Just(b'1'), Just(b'2'), Just(b'5'), Just(b'6')], word(), word()), 1..14)
    ) {
        let yard = yard();
        let before = yard.outside_state();
        let outside = yard.outside.to_string_lossy().into_owned();
        // A hostile entry ends the unpacking, so each of them gets the honest ones before it.
        for length in 1..=entries.len() {
            let mut raw = Raw::default();
            for (flag, name, target) in &entries[..length] {
                let target = target.replace("OUTSIDE", &outside);
                let content: &[u8] = if *flag == b'0' { b"bad" } else { b"" };
                raw = raw.entry(*flag, &name.replace("OUTSIDE", &outside), &target, content);
            }
            let _ = yard.apply(&raw.end(), &[]);
        }
        prop_assert_eq!(yard.outside_state(), before);
    }
}
