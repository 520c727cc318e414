//! The in-process registry, request by request, as the distribution specification says.

use std::net::{SocketAddr, TcpListener};

use image_store::Digest;
use image_store::registry_server::{Handle, Storage, serve};
use test_lane::{Outcome, Trial, case};

use crate::http::{Answer, ask};
use crate::util::{Step, ok};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("blobs are uploaded whole, in chunks and by mount", &[], || both(uploads)),
        case("blobs are read whole and by range", &[], || both(ranges)),
        case("uploads that are wrong are refused", &[], || both(wrong_uploads)),
        case("manifests are checked, tagged, listed and deleted", &[], || both(manifests)),
        case("tags come in pages", &[], || both(pages)),
        case("referrers are listed by subject and kind", &[], || both(referrers)),
        case("paths that lead elsewhere lead nowhere", &[], || both(paths)),
        case("nothing is told without the credential", &[], credential),
    ]
}

/// Every case holds for both storages.
fn both(run: fn(SocketAddr) -> Outcome) -> Outcome {
    let folder = tempfile::tempdir()?;
    for storage in [Storage::Memory, Storage::Dir(folder.path().join("registry"))] {
        let handle = open(storage, None)?;
        run(handle.address())?;
    }
    Ok(())
}

fn open(storage: Storage, credential: Option<(String, String)>) -> Step<Handle> {
    ok(serve(TcpListener::bind("127.0.0.1:0")?, storage, credential))
}

fn get(address: SocketAddr, path: &str) -> Step<Answer> {
    ask(address, "GET", path, &[], b"")
}

fn upload(address: SocketAddr, name: &str, content: &[u8]) -> Step<Digest> {
    let digest = Digest::of(content);
    let sent = ask(address, "POST", &format!("/v2/{name}/blobs/uploads/?digest={digest}"), &[], content)?;
    assert_eq!(sent.status, 201, "{}", sent.text());
    Ok(digest)
}

fn uploads(address: SocketAddr) -> Outcome {
    assert_eq!(get(address, "/v2/")?.status, 200);
    let digest = upload(address, "a", b"whole")?;
    let found = ask(address, "HEAD", &format!("/v2/a/blobs/{digest}"), &[], b"")?;
    assert_eq!((found.status, found.header("content-length")), (200, Some("5")));
    assert_eq!(ask(address, "HEAD", &format!("/v2/b/blobs/{digest}"), &[], b"")?.status, 404);
    let mounted = ask(address, "POST", &format!("/v2/b/blobs/uploads/?mount={digest}&from=a"), &[], b"")?;
    assert_eq!(mounted.status, 201);
    assert_eq!(get(address, &format!("/v2/b/blobs/{digest}"))?.body, b"whole");
    // A blob that the source does not have becomes an ordinary upload.
    let other = Digest::of(b"chunks");
    let begun = ask(address, "POST", &format!("/v2/b/blobs/uploads/?mount={other}&from=a"), &[], b"")?;
    assert_eq!(begun.status, 202);
    let place = begun.header("location").unwrap_or_default().to_owned();
    let first = ask(address, "PATCH", &place, &[("content-range", "0-2")], b"chu")?;
    assert_eq!((first.status, first.header("range")), (202, Some("0-2")));
    assert_eq!(ask(address, "PATCH", &place, &[("content-range", "5-6")], b"xx")?.status, 416);
    assert_eq!(get(address, &place)?.header("range"), Some("0-2"));
    assert_eq!(ask(address, "PATCH", &place, &[("content-range", "3-4")], b"nk")?.status, 202);
    let done = ask(address, "PUT", &format!("{place}?digest={other}"), &[], b"s")?;
    assert_eq!((done.status, done.header("docker-content-digest")), (201, Some(&*other.to_string())));
    assert_eq!(get(address, &format!("/v2/b/blobs/{other}"))?.body, b"chunks");
    assert_eq!(ask(address, "DELETE", &format!("/v2/b/blobs/{other}"), &[], b"")?.status, 202);
    assert_eq!(get(address, &format!("/v2/b/blobs/{other}"))?.status, 404);
    Ok(())
}

fn ranges(address: SocketAddr) -> Outcome {
    let content: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
    let path = format!("/v2/a/blobs/{}", upload(address, "a", &content)?);
    assert_eq!(get(address, &path)?.body, content);
    let part = ask(address, "GET", &path, &[("range", "bytes=100000-149999")], b"")?;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 100000-149999/200000")));
    assert_eq!(part.body, content[100_000..150_000]);
    assert_eq!(ask(address, "GET", &path, &[("range", "bytes=200000-")], b"")?.status, 416);
    Ok(())
}

fn wrong_uploads(address: SocketAddr) -> Outcome {
    let wrong = Digest::of(b"other");
    let refused = ask(address, "POST", &format!("/v2/a/blobs/uploads/?digest={wrong}"), &[], b"content")?;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("DIGEST_INVALID"));
    assert_eq!(get(address, &format!("/v2/a/blobs/{wrong}"))?.status, 404);
    let begun = ask(address, "POST", "/v2/a/blobs/uploads/", &[], b"")?;
    let place = begun.header("location").unwrap_or_default().to_owned();
    assert_eq!(ask(address, "PUT", &place, &[], b"")?.status, 400);
    assert_eq!(ask(address, "PATCH", &place.replace("/a/", "/b/"), &[], b"x")?.status, 404);
    assert_eq!(ask(address, "DELETE", &place, &[], b"")?.status, 204);
    assert_eq!(ask(address, "PATCH", &place, &[], b"x")?.status, 404);
    Ok(())
}

fn put_manifest(address: SocketAddr, path: &str, text: &str) -> Step<Answer> {
    ask(address, "PUT", path, &[("content-type", MANIFEST)], text.as_bytes())
}

fn manifest(address: SocketAddr, name: &str, more: &str) -> Step<String> {
    let config = upload(address, name, b"{}")?;
    let kind = "application/vnd.oci.image.config.v1+json";
    Ok(format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{kind}","digest":"{config}","size":2}},"layers":[]{more}}}"#
    ))
}

fn manifests(address: SocketAddr) -> Outcome {
    let text = manifest(address, "a", "")?;
    let digest = Digest::of(text.as_bytes());
    assert_eq!(put_manifest(address, "/v2/b/manifests/1", &text)?.status, 400, "its blobs are elsewhere");
    assert_eq!(put_manifest(address, "/v2/a/manifests/1", "{")?.status, 400);
    assert_eq!(put_manifest(address, &format!("/v2/a/manifests/{}", Digest::of(b"")), &text)?.status, 400);
    assert_eq!(put_manifest(address, "/v2/a/manifests/1", &" ".repeat(5 << 20))?.status, 413);
    assert_eq!(put_manifest(address, "/v2/a/manifests/1", &text)?.status, 201);
    for which in ["1", &digest.to_string()] {
        let found = get(address, &format!("/v2/a/manifests/{which}"))?;
        assert_eq!((found.status, found.header("content-type"), found.text()), (200, Some(MANIFEST), text.clone()));
        let head = ask(address, "HEAD", &format!("/v2/a/manifests/{which}"), &[], b"")?;
        assert_eq!((head.header("docker-content-digest"), head.body.len()), (Some(&*digest.to_string()), 0));
    }
    assert_eq!(get(address, "/v2/_catalog")?.text(), r#"{"repositories":["a"]}"#);
    assert_eq!(ask(address, "DELETE", &format!("/v2/a/manifests/{digest}"), &[], b"")?.status, 202);
    assert_eq!(get(address, "/v2/a/manifests/1")?.status, 404);
    assert_eq!(get(address, "/v2/a/tags/list")?.text(), r#"{"name":"a","tags":[]}"#);
    Ok(())
}

fn pages(address: SocketAddr) -> Outcome {
    let text = manifest(address, "a", "")?;
    for tag in ["c", "a", "d", "b"] {
        assert_eq!(put_manifest(address, &format!("/v2/a/manifests/{tag}"), &text)?.status, 201);
    }
    let first = get(address, "/v2/a/tags/list?n=3")?;
    assert_eq!(first.text(), r#"{"name":"a","tags":["a","b","c"]}"#);
    assert_eq!(first.header("link"), Some("</v2/a/tags/list?n=3&last=c>; rel=\"next\""));
    let second = get(address, "/v2/a/tags/list?n=3&last=c")?;
    assert_eq!((second.text().as_str(), second.header("link")), (r#"{"name":"a","tags":["d"]}"#, None));
    assert_eq!(get(address, "/v2/none/tags/list")?.status, 404);
    Ok(())
}

fn referrers(address: SocketAddr) -> Outcome {
    let subject = Digest::of(b"whatever it is");
    let more = format!(r#","artifactType":"a/b","subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":3}}"#);
    let text = manifest(address, "a", &more)?;
    let digest = Digest::of(text.as_bytes());
    let put = put_manifest(address, &format!("/v2/a/manifests/{digest}"), &text)?;
    assert_eq!((put.status, put.header("oci-subject")), (201, Some(&*subject.to_string())));
    let all = get(address, &format!("/v2/a/referrers/{subject}"))?;
    assert!(all.text().contains(&digest.to_string()) && all.text().contains("a/b"));
    let none = get(address, &format!("/v2/a/referrers/{subject}?artifactType=c/d"))?;
    assert_eq!((none.status, none.header("oci-filters-applied")), (200, Some("artifactType")));
    assert!(!none.text().contains(&digest.to_string()));
    assert_eq!(ask(address, "DELETE", &format!("/v2/a/manifests/{digest}"), &[], b"")?.status, 202);
    assert!(!get(address, &format!("/v2/a/referrers/{subject}"))?.text().contains(&digest.to_string()));
    Ok(())
}

fn paths(address: SocketAddr) -> Outcome {
    for path in ["/", "/v2/../etc/passwd", "/v2/a/blobs/sha256:..%2f..", "/v2/A/tags/list", "/v2/_uploads/tags/list"] {
        let answer = get(address, path)?;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(answer.text().contains("\"errors\""), "{path}: {}", answer.text());
    }
    assert_eq!(ask(address, "PATCH", "/v2/", &[], b"")?.status, 405);
    Ok(())
}

fn credential() -> Outcome {
    let handle = open(Storage::Memory, Some(("user".into(), "secret".into())))?;
    for headers in [&[][..], &[("authorization", "Basic dXNlcjp3cm9uZw==")], &[("authorization", "Bearer x")]] {
        for path in ["/v2/", "/v2/_catalog", "/v2/a/manifests/1", "/nowhere"] {
            let answer = ask(handle.address(), "GET", path, headers, b"")?;
            assert_eq!((answer.status, answer.header("www-authenticate").is_some()), (401, true), "{path}");
        }
    }
    let allowed = [("authorization", "Basic dXNlcjpzZWNyZXQ=")];
    assert_eq!(ask(handle.address(), "GET", "/v2/", &allowed, b"")?.status, 200);
    Ok(())
}
