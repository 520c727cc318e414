//! Replies: JSON, streamed content, and the distribution specification's errors.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};

/// The content of a reply.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

pub(super) type Reply = Response<Body>;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A refusal: a status, the specification's code, and a sentence.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
    }

    pub(super) fn unsupported() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported")
    }

    pub(super) fn not_found(code: &'static str, what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, format!("{what} unknown to registry"))
    }

    pub(super) fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", error.to_string())
    }

    pub(super) fn into_reply(self) -> Reply {
        let errors = serde_json::json!({"errors": [{"code": self.code, "message": self.message, "detail": null}]});
        let mut reply = json(self.status, &errors);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = http::HeaderValue::from_static("Basic realm=\"registry\"");
            reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        reply
    }
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Reply {
    bytes(status, "application/json", value.to_string().into_bytes())
}

pub(super) fn bytes(status: StatusCode, kind: &str, content: Vec<u8>) -> Reply {
    let mut reply = empty(status);
    put(&mut reply, CONTENT_TYPE, kind);
    put(&mut reply, CONTENT_LENGTH, &content.len().to_string());
    *reply.body_mut() = Full::from(content).map_err(|never| match never {}).boxed_unsync();
    reply
}

pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    reply
}

/// Sets a header; a value that cannot be one is left out.
pub(super) fn put(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        reply.headers_mut().insert(name, value);
    }
}

/// The answer to HEAD: the same headers, no content.
pub(super) fn without_body(mut reply: Reply) -> Reply {
    *reply.body_mut() = Empty::new().map_err(|never| match never {}).boxed_unsync();
    reply
}
