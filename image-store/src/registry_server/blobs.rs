//! Blobs: sent in pieces, whole or by range; visible only in the repositories they were sent or mounted to.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use super::Registry;
use super::reply::{self, CONTENT_DIGEST, Fault, Reply};
use super::route::Name;
use super::storage::Backend;
use crate::Digest;

const PIECE: u64 = 64 << 10;

pub(super) fn blob_key(digest: Digest) -> String {
    format!("blobs/{}", digest.hex())
}

pub(super) fn link_key(name: &Name, digest: Digest) -> String {
    format!("repositories/{}/_layers/{}", name.as_str(), digest.hex())
}

impl Registry {
    pub(super) fn blob(&self, name: &Name, digest: Digest, headers: &HeaderMap) -> Result<Reply, Fault> {
        let size = self.blob_size(name, digest).ok_or_else(|| Fault::not_found("BLOB_UNKNOWN", "blob"))?;
        let wanted = headers.get(RANGE).and_then(|value| value.to_str().ok()).map(|text| range(text, size));
        let (status, start, end) = match wanted {
            None => (StatusCode::OK, 0, size),
            Some(Some((start, end))) => (StatusCode::PARTIAL_CONTENT, start, end),
            Some(None) => {
                let reason = "the range cannot be satisfied";
                return Err(Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", reason));
            }
        };
        let mut reply = reply::empty(status);
        reply::put(&mut reply, CONTENT_TYPE, "application/octet-stream");
        reply::put(&mut reply, CONTENT_LENGTH, &(end - start).to_string());
        reply::put(&mut reply, ACCEPT_RANGES, "bytes");
        reply::put(&mut reply, CONTENT_DIGEST, &digest.to_string());
        if status == StatusCode::PARTIAL_CONTENT {
            reply::put(&mut reply, CONTENT_RANGE, &format!("bytes {start}-{}/{size}", end - 1));
        }
        *reply.body_mut() = stream_blob(Arc::clone(&self.backend), blob_key(digest), start, end);
        Ok(reply)
    }

    pub(super) fn blob_size(&self, name: &Name, digest: Digest) -> Option<u64> {
        self.backend.size(&link_key(name, digest))?;
        self.backend.size(&blob_key(digest))
    }

    pub(super) fn delete_blob(&self, name: &Name, digest: Digest) -> Result<Reply, Fault> {
        if self.backend.remove(&link_key(name, digest)) {
            Ok(reply::empty(StatusCode::ACCEPTED))
        } else {
            Err(Fault::not_found("BLOB_UNKNOWN", "blob"))
        }
    }
}

fn stream_blob(backend: Arc<Backend>, key: String, start: u64, end: u64) -> reply::Body {
    let pieces = stream::try_unfold(start, move |at| {
        let (backend, key) = (Arc::clone(&backend), key.clone());
        async move {
            if at >= end {
                return Ok(None);
            }
            let length = usize::try_from((end - at).min(PIECE)).unwrap_or_default();
            let piece = backend.read(&key, at, length)?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let next = at + piece.len() as u64;
            Ok(Some((Frame::data(Bytes::from(piece)), next)))
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// `bytes=first-[last]` or `bytes=-count`, as first byte and end; `None` when nothing of it exists.
fn range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return None,
    };
    (start < end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges() {
        assert_eq!(range("bytes=0-", 10), Some((0, 10)));
        assert_eq!(range("bytes=2-3", 10), Some((2, 4)));
        assert_eq!(range("bytes=2-99", 10), Some((2, 10)));
        assert_eq!(range("bytes=-3", 10), Some((7, 10)));
        for bad in ["bytes=10-", "bytes=5-4", "bytes=a-b", "bytes=-", "lines=1-2", "bytes=-0", "bytes=0-1,3-4"] {
            assert_eq!(range(bad, 10), None, "{bad}");
        }
    }
}
