//! Manifests: by tag and by digest, checked before they are taken; listings of tags, repositories and referrers.

use http::header::{CONTENT_TYPE, HeaderName, LINK, LOCATION};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Registry;
use super::blobs::{blob_key, link_key};
use super::reply::{self, CONTENT_DIGEST, Fault, Reply};
use super::route::{Name, Page, Which};
use crate::Digest;
use crate::manifest::{Document, LARGEST_DOCUMENT, OCI_INDEX, OCI_MANIFEST};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// The names of all repositories, one empty value each.
const NAMES: &str = "names";

fn tags_folder(name: &Name) -> String {
    format!("repositories/{}/_tags", name.as_str())
}

fn manifest_key(name: &Name, digest: Digest) -> String {
    format!("repositories/{}/_manifests/{}", name.as_str(), digest.hex())
}

fn referrers_folder(name: &Name, subject: Digest) -> String {
    format!("repositories/{}/_referrers/{}", name.as_str(), subject.hex())
}

impl Registry {
    pub(super) fn manifest(&self, name: &Name, which: &Which) -> Result<Reply, Fault> {
        let digest = self.find(name, which)?;
        let media_type = self.backend.text(&manifest_key(name, digest)).ok_or_else(unknown)?;
        let size = self.backend.size(&blob_key(digest)).ok_or_else(unknown)?;
        let length = usize::try_from(size.min(LARGEST_DOCUMENT)).unwrap_or_default();
        let bytes = self.backend.read(&blob_key(digest), 0, length).map_err(|error| Fault::internal(&error))?;
        let mut reply = reply::bytes(StatusCode::OK, &media_type, bytes);
        reply::put(&mut reply, CONTENT_DIGEST, &digest.to_string());
        Ok(reply)
    }

    fn find(&self, name: &Name, which: &Which) -> Result<Digest, Fault> {
        match which {
            Which::Digest(digest) => Ok(*digest),
            Which::Tag(tag) => {
                let text = self.backend.text(&format!("{}/{tag}", tags_folder(name))).ok_or_else(unknown)?;
                Digest::parse(&text).map_err(|error| Fault::internal(&error))
            }
        }
    }

    pub(super) async fn put_manifest(
        &self,
        name: &Name,
        which: &Which,
        request: Request<Incoming>,
    ) -> Result<Reply, Fault> {
        let announced = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let limit = usize::try_from(LARGEST_DOCUMENT).unwrap_or_default();
        let too_large = |_| Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the manifest is too large");
        let bytes = Limited::new(request.into_body(), limit).collect().await.map_err(too_large)?.to_bytes();
        let digest = Digest::of(&bytes);
        if let Which::Digest(expected) = which
            && *expected != digest
        {
            return Err(Fault::invalid("DIGEST_INVALID", format!("the manifest has digest {digest}, not {expected}")));
        }
        let (value, media_type) = self.check(name, &bytes, announced)?;
        self.backend.write(&blob_key(digest), &bytes)?;
        self.backend.write(&manifest_key(name, digest), media_type.as_bytes())?;
        self.backend.write(&format!("{NAMES}/{}", name.as_str().replace('/', "+")), b"")?;
        let mut reply = reply::empty(StatusCode::CREATED);
        if let Some(subject) = value["subject"]["digest"].as_str().and_then(|text| Digest::parse(text).ok()) {
            let descriptor = referrer(&value, &media_type, digest, bytes.len());
            let key = format!("{}/{}", referrers_folder(name, subject), digest.hex());
            self.backend.write(&key, descriptor.to_string().as_bytes())?;
            reply::put(&mut reply, SUBJECT, &subject.to_string());
        }
        if let Which::Tag(tag) = which {
            self.backend.write(&format!("{}/{tag}", tags_folder(name)), digest.to_string().as_bytes())?;
        }
        reply::put(&mut reply, LOCATION, &format!("/v2/{}/manifests/{digest}", name.as_str()));
        reply::put(&mut reply, CONTENT_DIGEST, &digest.to_string());
        Ok(reply)
    }

    /// Whether the manifest is one, and what it names is here.
    fn check(&self, name: &Name, bytes: &[u8], announced: Option<String>) -> Result<(Value, String), Fault> {
        let invalid = |reason: String| Fault::invalid("MANIFEST_INVALID", reason);
        let value: Value = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        let document = Document::parse(bytes, announced.as_deref()).map_err(|error| invalid(error.to_string()))?;
        let (blobs, own) = match &document {
            Document::Manifest(manifest) => {
                (manifest.layers.iter().chain([&manifest.config]).map(|blob| blob.digest).collect(), OCI_MANIFEST)
            }
            Document::Index(_) => (Vec::new(), OCI_INDEX),
        };
        if let Some(missing) = blobs.into_iter().find(|blob| self.backend.size(&link_key(name, *blob)).is_none()) {
            let reason = format!("blob {missing} unknown to registry");
            return Err(Fault::invalid("MANIFEST_BLOB_UNKNOWN", reason));
        }
        let stated = value["mediaType"].as_str().map(str::to_owned);
        let media_type = announced.or(stated).unwrap_or_else(|| own.to_owned());
        Ok((value, media_type))
    }

    pub(super) fn delete_manifest(&self, name: &Name, which: &Which) -> Result<Reply, Fault> {
        let digest = self.find(name, which)?;
        if let Which::Tag(tag) = which {
            self.backend.remove(&format!("{}/{tag}", tags_folder(name)));
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        let bytes = self.backend.text(&blob_key(digest)).unwrap_or_default();
        if !self.backend.remove(&manifest_key(name, digest)) {
            return Err(unknown());
        }
        for tag in self.backend.list(&tags_folder(name)) {
            let key = format!("{}/{tag}", tags_folder(name));
            if self.backend.text(&key).is_some_and(|text| text == digest.to_string()) {
                self.backend.remove(&key);
            }
        }
        let value: Value = serde_json::from_str(&bytes).unwrap_or_default();
        if let Some(subject) = value["subject"]["digest"].as_str().and_then(|text| Digest::parse(text).ok()) {
            self.backend.remove(&format!("{}/{}", referrers_folder(name, subject), digest.hex()));
        }
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    pub(super) fn referrers(&self, name: &Name, subject: Digest, kind: Option<&str>) -> Result<Reply, Fault> {
        let folder = referrers_folder(name, subject);
        let all =
            self.backend.list(&folder).into_iter().filter_map(|key| self.backend.text(&format!("{folder}/{key}")));
        let manifests: Vec<Value> = all
            .filter_map(|text| serde_json::from_str(&text).ok())
            .filter(|found: &Value| kind.is_none_or(|kind| found["artifactType"] == kind))
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        let mut reply = reply::bytes(StatusCode::OK, OCI_INDEX, index.to_string().into_bytes());
        if kind.is_some() {
            reply::put(&mut reply, FILTERS, "artifactType");
        }
        Ok(reply)
    }

    pub(super) fn tags(&self, name: &Name, page: &Page) -> Result<Reply, Fault> {
        let tags = self.backend.list(&tags_folder(name));
        let known = self.backend.size(&format!("{NAMES}/{}", name.as_str().replace('/', "+"))).is_some();
        if !known {
            return Err(Fault::not_found("NAME_UNKNOWN", "repository name"));
        }
        let (part, next) = cut(tags, page);
        let mut reply = reply::json(StatusCode::OK, &json!({"name": name.as_str(), "tags": part}));
        if let Some(next) = next {
            reply::put(&mut reply, LINK, &format!("</v2/{}/tags/list?{next}>; rel=\"next\"", name.as_str()));
        }
        Ok(reply)
    }

    pub(super) fn catalog(&self, page: &Page) -> Result<Reply, Fault> {
        let names = self.backend.list(NAMES).into_iter().map(|name| name.replace('+', "/")).collect();
        let (part, next) = cut(names, page);
        let mut reply = reply::json(StatusCode::OK, &json!({"repositories": part}));
        if let Some(next) = next {
            reply::put(&mut reply, LINK, &format!("</v2/_catalog?{next}>; rel=\"next\""));
        }
        Ok(reply)
    }
}

/// One page of a listing, and the query for the next one.
fn cut(names: Vec<String>, page: &Page) -> (Vec<String>, Option<String>) {
    let mut rest: Vec<String> = names.into_iter().filter(|name| *name > page.last).collect();
    rest.sort();
    let Some(count) = page.count else { return (rest, None) };
    let more = rest.len() > count;
    rest.truncate(count);
    let next = rest.last().filter(|_| more).map(|last| format!("n={count}&last={last}"));
    (rest, next)
}

/// What a listing of referrers says about a manifest.
fn referrer(value: &Value, media_type: &str, digest: Digest, size: usize) -> Value {
    let kind = value["artifactType"].as_str().or_else(|| value["config"]["mediaType"].as_str());
    let mut descriptor = json!({"mediaType": media_type, "digest": digest.to_string(), "size": size});
    if let Some(kind) = kind {
        descriptor["artifactType"] = kind.into();
    }
    if !value["annotations"].is_null() {
        descriptor["annotations"] = value["annotations"].clone();
    }
    descriptor
}

fn unknown() -> Fault {
    Fault::not_found("MANIFEST_UNKNOWN", "manifest")
}
