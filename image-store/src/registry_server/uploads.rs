//! Uploads: in one piece, in chunks, or streamed; hashed while they arrive, visible once the digest is right.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::Registry;
use super::blobs::{blob_key, link_key};
use super::reply::{self, CONTENT_DIGEST, Fault, Reply};
use super::route::{Name, Start};
use crate::Digest;
use crate::digest::Hasher;

/// The largest blob that is taken.
const LARGEST_BLOB: u64 = 64 << 30;

/// Uploads that may be open at the same time.
const MOST_UPLOADS: usize = 1000;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The uploads that are going on.
#[derive(Default)]
pub(super) struct Uploads(Mutex<BTreeMap<String, Upload>>);

struct Upload {
    name: Name,
    hasher: Hasher,
}

impl Uploads {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Upload>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registry {
    pub(super) async fn start_upload(
        &self,
        name: &Name,
        start: &Start,
        request: Request<Incoming>,
    ) -> Result<Reply, Fault> {
        if let (Some(digest), Some(from)) = (start.mount, &start.from)
            && let Ok(source) = Name::parse(from)
            && self.blob_size(&source, digest).is_some()
        {
            self.backend.write(&link_key(name, digest), b"")?;
            return Ok(created(name, digest));
        }
        let id = super::random_credential()?.1;
        let upload = Upload { name: name.clone(), hasher: Hasher::default() };
        let full = self.uploads.with(|uploads| {
            let full = uploads.len() >= MOST_UPLOADS;
            if !full {
                uploads.insert(id.clone(), upload);
            }
            full
        });
        if full {
            return Err(Fault::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many uploads are open"));
        }
        self.backend.write(&upload_key(&id), b"")?;
        match start.digest {
            Some(digest) => {
                let upload = self.receive(name, &id, request).await?;
                self.finish(name, &id, upload, digest)
            }
            None => Ok(self.status(StatusCode::ACCEPTED, name, &id, 0)),
        }
    }

    pub(super) async fn upload(
        &self,
        method: &Method,
        name: &Name,
        id: &str,
        digest: Option<Digest>,
        request: Request<Incoming>,
    ) -> Result<Reply, Fault> {
        match *method {
            Method::GET => {
                let size = self.uploads.with(|uploads| {
                    uploads.get(id).filter(|upload| upload.name == *name).map(|upload| upload.hasher.bytes())
                });
                Ok(self.status(StatusCode::NO_CONTENT, name, id, size.ok_or_else(unknown)?))
            }
            Method::PATCH => {
                let upload = self.receive(name, id, request).await?;
                let size = upload.hasher.bytes();
                self.uploads.with(|uploads| uploads.insert(id.to_owned(), upload));
                Ok(self.status(StatusCode::ACCEPTED, name, id, size))
            }
            Method::PUT => {
                let digest = digest.ok_or_else(|| Fault::invalid("DIGEST_INVALID", "the digest is missing"))?;
                let upload = self.receive(name, id, request).await?;
                self.finish(name, id, upload, digest)
            }
            Method::DELETE => {
                self.take(name, id)?;
                self.backend.remove(&upload_key(id));
                Ok(reply::empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Fault::unsupported()),
        }
    }

    /// Takes the content of a request into an upload. The upload is out of the table meanwhile, so that two requests
    /// never write to one; when the client breaks off, it is put back as far as it came.
    async fn receive(&self, name: &Name, id: &str, request: Request<Incoming>) -> Result<Upload, Fault> {
        let mut upload = self.take(name, id)?;
        let outcome = self.receive_into(&mut upload, id, request).await;
        match outcome {
            Ok(()) => Ok(upload),
            Err(fault) => {
                self.uploads.with(|uploads| uploads.insert(id.to_owned(), upload));
                Err(fault)
            }
        }
    }

    async fn receive_into(&self, upload: &mut Upload, id: &str, request: Request<Incoming>) -> Result<(), Fault> {
        check_order(request.headers(), upload.hasher.bytes())?;
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Fault::invalid("BLOB_UPLOAD_INVALID", error.to_string()))?;
            let Ok(piece) = frame.into_data() else { continue };
            if upload.hasher.bytes() + piece.len() as u64 > LARGEST_BLOB {
                return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the blob is too large"));
            }
            self.backend.append(&upload_key(id), &piece)?;
            upload.hasher.update(&piece);
        }
        Ok(())
    }

    fn take(&self, name: &Name, id: &str) -> Result<Upload, Fault> {
        self.uploads
            .with(|uploads| match uploads.get(id) {
                Some(upload) if upload.name == *name => uploads.remove(id),
                _ => None,
            })
            .ok_or_else(unknown)
    }

    fn finish(&self, name: &Name, id: &str, upload: Upload, digest: Digest) -> Result<Reply, Fault> {
        let found = upload.hasher.finish();
        if found != digest {
            self.backend.remove(&upload_key(id));
            return Err(Fault::invalid("DIGEST_INVALID", format!("the content has digest {found}, not {digest}")));
        }
        self.backend.rename(&upload_key(id), &blob_key(digest))?;
        self.backend.write(&link_key(name, digest), b"")?;
        Ok(created(name, digest))
    }

    #[expect(clippy::unused_self, reason = "it reads like its siblings")]
    fn status(&self, status: StatusCode, name: &Name, id: &str, size: u64) -> Reply {
        let mut reply = reply::empty(status);
        reply::put(&mut reply, LOCATION, &format!("/v2/{}/blobs/uploads/{id}", name.as_str()));
        reply::put(&mut reply, RANGE, &format!("0-{}", size.saturating_sub(1)));
        reply::put(&mut reply, UPLOAD_ID, id);
        reply
    }
}

/// A chunk that says where it belongs must belong at the end.
fn check_order(headers: &HeaderMap, size: u64) -> Result<(), Fault> {
    let Some(range) = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let start = range.trim_start_matches("bytes ").split('-').next().and_then(|text| text.parse::<u64>().ok());
    if start == Some(size) {
        return Ok(());
    }
    let reason = format!("the chunk begins elsewhere than at byte {size}");
    Err(Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", reason))
}

fn created(name: &Name, digest: Digest) -> Reply {
    let mut reply = reply::empty(StatusCode::CREATED);
    reply::put(&mut reply, LOCATION, &format!("/v2/{}/blobs/{digest}", name.as_str()));
    reply::put(&mut reply, CONTENT_DIGEST, &digest.to_string());
    reply
}

fn unknown() -> Fault {
    Fault::not_found("BLOB_UPLOAD_UNKNOWN", "blob upload")
}

fn upload_key(id: &str) -> String {
    format!("uploads/{id}")
}
