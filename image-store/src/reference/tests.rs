//! The grammar against a table of the distribution project's cases, and against random text.

use proptest::prelude::*;

use super::Reference;

#[test]
fn familiar_names() {
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (text, familiar, canonical) in [
        ("web", "web:latest", "docker.io/library/web:latest"),
        ("web:1.0", "web:1.0", "docker.io/library/web:1.0"),
        ("library/web", "web:latest", "docker.io/library/web:latest"),
        ("docker.io/web", "web:latest", "docker.io/library/web:latest"),
        ("index.docker.io/library/web", "web:latest", "docker.io/library/web:latest"),
        ("user/web:a", "user/web:a", "docker.io/user/web:a"),
        ("localhost/web", "localhost/web:latest", "localhost/web:latest"),
        ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ("a.b/c__d/e---f", "a.b/c__d/e---f:latest", "a.b/c__d/e---f:latest"),
    ] {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.to_string(), familiar, "{text}");
        assert_eq!(reference.canonical(), canonical, "{text}");
    }
    let pinned = Reference::parse(&format!("web@{digest}")).unwrap();
    assert_eq!((pinned.tag(), pinned.to_string()), (None, format!("web@{digest}")));
    let both = Reference::parse(&format!("web:1@{digest}")).unwrap();
    assert_eq!(both.to_string(), format!("web:1@{digest}"));
}

#[test]
fn refused_names() {
    for text in [
        "",
        ":tag",
        "/web",
        "web/",
        "a//b",
        "Web",
        "web:",
        "web:-x",
        "web@sha256:00",
        "web@md5:abc",
        "a..b",
        "a._b",
        "-a",
        "a-",
        "a___b",
        "x.y:/a",
        "x.y:99999999/a",
        "[::1/a",
        "[zz]/a",
        "[::1]x/a",
        "web:a b",
        "we b",
        "a/../b",
        "../a",
        "ü",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        &"a".repeat(256),
        &format!("a:{}", "t".repeat(129)),
    ] {
        assert!(Reference::parse(text).is_err(), "{text:?} was accepted");
    }
}

proptest! {
    #[test]
    fn random_text_never_panics_and_round_trips(text in "\\PC{0,80}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
            prop_assert_eq!(&Reference::parse(&reference.canonical()).unwrap(), &reference);
        }
    }

    #[test]
    fn names_in_the_grammar_are_accepted(
        text in "([a-z0-9]{1,8}(\\.[a-z0-9]{1,5}|:[0-9]{1,5})/)?[a-z0-9]{1,9}((_|__|-{1,3})[a-z0-9]{1,9}){0,3}(/[a-z0-9]{1,9}(\\.[a-z]{1,3}){0,2}){0,3}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?"
    ) {
        let reference = Reference::parse(&text).unwrap();
        prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
    }

    #[test]
    fn a_name_never_leads_out_of_a_folder(text in "[a-z0-9./:@_-]{0,40}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert!(!reference.repository().split('/').any(|part| part == ".." || part == "." || part.is_empty()));
        }
    }
}
