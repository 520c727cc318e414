//! What a request is about, from its path and query. Pure; names, tags and digests are checked here, so that nothing
//! behind this can be led to another file.

use http::Uri;

use super::reply::Fault;
use crate::{Digest, Reference};

/// The repository of a request: checked, so it can be part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let invalid = || Fault::invalid("NAME_INVALID", "invalid repository name");
        // The registry's name keeps the first part of the repository from being taken for one.
        let reference = Reference::parse(&format!("localhost/{text}:x")).map_err(|_| invalid())?;
        if reference.repository() == text { Ok(Self(text.to_owned())) } else { Err(invalid()) }
    }
}

/// Which manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    Tag(String),
    Digest(Digest),
}

/// How an upload begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Start {
    pub(super) digest: Option<Digest>,
    pub(super) mount: Option<Digest>,
    pub(super) from: Option<String>,
}

/// Which part of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Page {
    pub(super) count: Option<usize>,
    pub(super) last: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Ping,
    Catalog(Page),
    Tags(Name, Page),
    Manifest(Name, Which),
    Referrers(Name, Digest, Option<String>),
    Blob(Name, Digest),
    Uploads(Name, Start),
    Upload(Name, String, Option<Digest>),
}

impl Route {
    pub(super) fn parse(uri: &Uri) -> Result<Self, Fault> {
        let query = Query(uri.query().unwrap_or_default());
        let path = uri.path().strip_prefix("/v2").ok_or_else(nowhere)?;
        if matches!(path, "" | "/") {
            return Ok(Self::Ping);
        }
        let path = path.strip_prefix('/').ok_or_else(nowhere)?;
        if path == "_catalog" {
            return Ok(Self::Catalog(query.page()));
        }
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Ok(Self::Tags(Name::parse(name)?, query.page()));
        }
        if let Some(name) = path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads")) {
            let start =
                Start { digest: query.digest("digest")?, mount: query.digest("mount")?, from: query.value("from") };
            return Ok(Self::Uploads(Name::parse(name)?, start));
        }
        let (head, last) = path.rsplit_once('/').ok_or_else(nowhere)?;
        if let Some(name) = head.strip_suffix("/blobs/uploads") {
            return Ok(Self::Upload(Name::parse(name)?, last.to_owned(), query.digest("digest")?));
        }
        if let Some(name) = head.strip_suffix("/blobs") {
            return Ok(Self::Blob(Name::parse(name)?, digest(last)?));
        }
        if let Some(name) = head.strip_suffix("/referrers") {
            return Ok(Self::Referrers(Name::parse(name)?, digest(last)?, query.value("artifactType")));
        }
        if let Some(name) = head.strip_suffix("/manifests") {
            return Ok(Self::Manifest(Name::parse(name)?, which(last)?));
        }
        Err(nowhere())
    }
}

fn which(text: &str) -> Result<Which, Fault> {
    let text = decode(text);
    if text.contains(':') {
        return digest(&text).map(Which::Digest);
    }
    match Reference::parse(&format!("x:{text}")) {
        Ok(reference) if reference.tag() == Some(&text) => Ok(Which::Tag(text)),
        _ => Err(Fault::not_found("MANIFEST_UNKNOWN", "manifest")),
    }
}

fn digest(text: &str) -> Result<Digest, Fault> {
    Digest::parse(&decode(text)).map_err(|error| Fault::invalid("DIGEST_INVALID", error.to_string()))
}

fn nowhere() -> Fault {
    Fault::not_found("NAME_UNKNOWN", "path")
}

struct Query<'a>(&'a str);

impl Query<'_> {
    fn value(&self, key: &str) -> Option<String> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| decode(&value.replace('+', " ")))
    }

    fn digest(&self, key: &str) -> Result<Option<Digest>, Fault> {
        self.value(key).map(|text| digest(&text)).transpose()
    }

    fn page(&self) -> Page {
        let count = self.value("n").and_then(|text| text.parse().ok());
        Page { count, last: self.value("last").unwrap_or_default() }
    }
}

/// Undoes percent-encoding; what is malformed stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (bytes[at], pair) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Route, Fault> {
        Route::parse(&text.parse().unwrap())
    }

    #[test]
    fn paths() {
        let name = || Name("a/b".to_owned());
        let digest = Digest::of(b"");
        assert_eq!(parse("/v2/").unwrap(), Route::Ping);
        assert_eq!(parse("/v2/a/b/manifests/1.0").unwrap(), Route::Manifest(name(), Which::Tag("1.0".into())));
        assert_eq!(parse(&format!("/v2/a/b/blobs/{digest}")).unwrap(), Route::Blob(name(), digest));
        let encoded = digest.to_string().replace(':', "%3A");
        let upload = parse(&format!("/v2/a/b/blobs/uploads/id?x=y&digest={encoded}")).unwrap();
        assert_eq!(upload, Route::Upload(name(), "id".into(), Some(digest)));
        // A repository may be called like a part of the protocol.
        assert_eq!(parse("/v2/tags/list/tags/list").unwrap(), Route::Tags(Name("tags/list".into()), Page::default()));
    }

    #[test]
    fn hostile_paths_lead_nowhere() {
        for path in ["/v2/../x/tags/list", "/v2/A/tags/list", "/v2/a/blobs/sha256:..", "/v1/", "/v2/a/manifests/..%2f"]
        {
            assert!(parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn names_never_leave_their_folder(path in "/v2/[a-z0-9A-Z%./_:-]{0,60}") {
            if let Ok(uri) = path.parse::<Uri>()
                && let Ok(Route::Tags(name, _) | Route::Manifest(name, _) | Route::Blob(name, _)) = Route::parse(&uri)
            {
                prop_assert!(name.as_str().split('/').all(|part| !part.starts_with(['.', '_']) && !part.is_empty()));
            }
        }
    }
}
