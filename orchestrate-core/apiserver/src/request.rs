//! What goes into the engine and what comes out: plain values, no transport.
//!
//! A body may be bytes (from a socket) or a JSON tree (from a caller in the same process, who then
//! pays for no serialisation).

use serde_json::Value;

use crate::status::Status;
use crate::watch::Watch;

/// HTTP methods that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Read, list or watch.
    Get,
    /// Create, bind, evict, exec.
    Post,
    /// Replace.
    Put,
    /// Change a part.
    Patch,
    /// Remove.
    Delete,
}

/// A body, in or out.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// As it came over, or goes over, the wire.
    Bytes(Vec<u8>),
    /// A tree, not serialised.
    Json(Value),
}

impl Body {
    /// The bytes of the body.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Json(value) => {
                let mut bytes = serde_json::to_vec(&value).unwrap_or_default();
                bytes.push(b'\n');
                bytes
            }
        }
    }

    /// The tree of the body; `Null` when it is not JSON.
    #[must_use]
    pub fn into_json(self) -> Value {
        match self {
            Self::Bytes(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Self::Json(value) => value,
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Json(value) => value.is_null(),
        }
    }
}

/// The four languages of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902: a list of operations.
    Json,
    /// RFC 7386: a tree in which null removes.
    Merge,
    /// Kubernetes' own: lists are merged by key.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchKind {
    /// The media type that says so.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }

    pub(crate) fn of(media_type: &str) -> Option<Self> {
        [Self::Json, Self::Merge, Self::Strategic, Self::Apply].into_iter().find(|k| k.media_type() == media_type)
    }
}

/// One request to the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path without query, percent-decoded.
    pub path: String,
    /// Query parameters in order, decoded.
    pub query: Vec<(String, String)>,
    /// `Content-Type`, without which the body is JSON.
    pub content_type: String,
    /// `Accept`, without which the answer is JSON.
    pub accept: String,
    /// The body.
    pub body: Body,
}

impl Request {
    fn new(method: Method, path: impl Into<String>, content_type: &str, body: Body) -> Self {
        let path = path.into();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        Self {
            method,
            path: path.to_owned(),
            query: parse_query(query),
            content_type: content_type.to_owned(),
            accept: String::new(),
            body,
        }
    }

    /// Reads what is at `path`, which may carry a query.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path, "", Body::Json(Value::Null))
    }

    /// Posts `body`.
    #[must_use]
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::Post, path, "application/json", Body::Json(body))
    }

    /// Replaces what is at `path`.
    #[must_use]
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::Put, path, "application/json", Body::Json(body))
    }

    /// Patches what is at `path`.
    #[must_use]
    pub fn patch(path: impl Into<String>, kind: PatchKind, body: Value) -> Self {
        Self::new(Method::Patch, path, kind.media_type(), Body::Json(body))
    }

    /// Deletes what is at `path`.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path, "application/json", Body::Json(Value::Null))
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Says what answer is wanted.
    #[must_use]
    pub fn accept(mut self, media_type: &str) -> Self {
        media_type.clone_into(&mut self.accept);
        self
    }

    /// Gives the request a body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// The last value of a query parameter, empty when absent.
    pub(crate) fn param(&self, key: &str) -> &str {
        self.query.iter().rev().find(|(k, _)| k == key).map_or("", |(_, v)| v)
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.query.iter().any(|(k, v)| k == key && (v.is_empty() || v == "true" || v == "1"))
    }

    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.param(key).parse().ok()
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.param("dryRun") == "All"
    }
}

/// Splits and decodes a query string.
#[must_use]
pub fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        })
        .collect()
}

/// Undoes percent encoding; a stray percent sign stays. `plus` says whether `+` means a blank.
#[must_use]
pub fn decode(text: &str, plus: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |b: u8| char::from(b).to_digit(16);
        rest = tail;
        match (*first, tail) {
            (b'%', [a, b, after @ ..]) => match (hex(*a), hex(*b)) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            (b'+', _) if plus => out.push(b' '),
            (byte, _) => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes one query value or path segment.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// HTTP status code.
    pub code: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// Texts of `Warning` headers.
    pub warnings: Vec<String>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// An answer that is a JSON object.
    #[must_use]
    pub fn json(code: u16, body: Value) -> Self {
        Self { code, content_type: "application/json".to_owned(), warnings: Vec::new(), body: Body::Json(body) }
    }

    pub(crate) fn text(code: u16, body: &str) -> Self {
        Self {
            code,
            content_type: "text/plain; charset=utf-8".to_owned(),
            warnings: Vec::new(),
            body: Body::Bytes(body.as_bytes().to_vec()),
        }
    }

    /// Whether the request was carried out.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.code < 400
    }
}

impl From<Status> for Response {
    fn from(status: Status) -> Self {
        Self::json(status.code, status.to_json())
    }
}

/// What the engine has to say to a request.
#[derive(Debug)]
pub enum Reply {
    /// The whole answer.
    Response(Response),
    /// A stream: ask [`crate::ApiServer::poll`] for what is new.
    Watch(Box<Watch>),
    /// Something that only the owner of real containers can do.
    Pod(Box<crate::PodCall>),
}

impl Reply {
    /// The answer of a request that is no watch and is not delegated.
    ///
    /// # Errors
    /// The refusal, or `NotImplemented` when the reply is a stream or a delegated call.
    pub fn into_result(self) -> Result<Value, Status> {
        match self {
            Self::Response(response) => {
                let ok = response.is_ok();
                let value = response.body.into_json();
                match Status::from_json(&value) {
                    Some(status) if !ok => Err(status),
                    _ => Ok(value),
                }
            }
            Self::Watch(_) | Self::Pod(_) => Err(Status::not_implemented("a stream as a plain answer")),
        }
    }
}
