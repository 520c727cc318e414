//! A blocking client of the cluster's API over its unix socket.
//!
//! Requests and answers are JSON; a watch is a stream of lines. Refusals of the API become [`Error::Api`], warnings
//! are kept beside the answer. A socket that nobody serves means that no cluster runs: then what a killed one left is
//! removed and the error says so.

use std::ops::ControlFlow;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use crate::error::{Error, Result};
use crate::outside::sweep_if_idle;
use crate::state::Root;

/// The media type of a merge patch.
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// The media type of a strategic merge patch.
pub(crate) const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const JSON: &str = "application/json";

/// Speaks to the cluster of one state folder.
#[derive(Debug)]
pub(crate) struct Client {
    root: Root,
    runtime: Runtime,
}

/// What the API answered, if it did not refuse.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The object, list or Status.
    pub(crate) body: Value,
    /// Texts of the `Warning` headers.
    pub(crate) warnings: Vec<String>,
}

impl Client {
    /// Makes a client; nothing is connected yet.
    pub(crate) fn new(root: &Root) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::system("start the client", source))?;
        Ok(Self { root: root.clone(), runtime })
    }

    /// The folder whose cluster this client speaks to.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Reads what is at `path`.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, JSON, None, JSON).map(|answer| answer.body)
    }

    /// Reads it as a table, as kubectl asks for it.
    pub(crate) fn get_as(&self, path: &str, accept: &str) -> Result<Value> {
        self.call(Method::GET, path, JSON, None, accept).map(|answer| answer.body)
    }

    /// Creates an object in the collection at `path`.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Result<Answer> {
        self.call(Method::POST, path, JSON, Some(object), JSON)
    }

    /// Patches the object at `path`; `media_type` says how.
    pub(crate) fn patch(&self, path: &str, media_type: &str, patch: &Value) -> Result<Answer> {
        self.call(Method::PATCH, path, media_type, Some(patch), JSON)
    }

    /// Deletes the object at `path`.
    pub(crate) fn delete(&self, path: &str, options: Option<&Value>) -> Result<Answer> {
        self.call(Method::DELETE, path, JSON, options, JSON)
    }

    /// Reads plain text, whole.
    pub(crate) fn text(&self, path: &str, on_bytes: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        self.stream(path, "*/*", on_bytes)
    }

    /// Follows a watch until it ends or `on_event` has seen enough.
    pub(crate) fn watch(
        &self,
        path: &str,
        accept: &str,
        mut on_event: impl FnMut(Value) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut rest = Vec::new();
        self.stream(path, accept, |bytes| {
            rest.extend_from_slice(bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if let Ok(event) = serde_json::from_slice(&line) {
                    on_event(event)?;
                }
            }
            ControlFlow::Continue(())
        })
    }

    fn call(&self, method: Method, path: &str, media_type: &str, body: Option<&Value>, accept: &str) -> Result<Answer> {
        self.runtime.block_on(async {
            let response = self.send(method, path, media_type, body, accept).await?;
            let code = response.status().as_u16();
            let warnings = response.headers().get_all("warning").iter();
            let warnings = warnings.filter_map(|value| warning_text(value.to_str().ok()?)).collect();
            let bytes = response.into_body().collect().await.map_err(broken)?.to_bytes();
            let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            if code >= 400 { Err(refusal(code, &body, &bytes)) } else { Ok(Answer { body, warnings }) }
        })
    }

    fn stream(&self, path: &str, accept: &str, mut on_bytes: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        self.runtime.block_on(async {
            let response = self.send(Method::GET, path, JSON, None, accept).await?;
            let code = response.status().as_u16();
            let mut body = response.into_body();
            if code >= 400 {
                let bytes = body.collect().await.map_err(broken)?.to_bytes();
                return Err(refusal(code, &serde_json::from_slice(&bytes).unwrap_or(Value::Null), &bytes));
            }
            while let Some(frame) = body.frame().await {
                if let Ok(bytes) = frame.map_err(broken)?.into_data()
                    && on_bytes(&bytes).is_break()
                {
                    break;
                }
            }
            Ok(())
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Option<&Value>,
        accept: &str,
    ) -> Result<Response<Incoming>> {
        let Ok(stream) = UnixStream::connect(self.root.api_socket()).await else {
            return Err(sweep_if_idle(&self.root));
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "mini-cluster")
            .header("content-type", media_type)
            .header("accept", accept)
            .body(Full::new(Bytes::from(bytes)));
        let request = request.map_err(|error| Error::library(format!("ask for {path}"), error))?;
        sender.send_request(request).await.map_err(broken)
    }
}

fn broken(source: hyper::Error) -> Error {
    Error::library("speak to the cluster's API", source)
}

fn refusal(code: u16, status: &Value, bytes: &[u8]) -> Error {
    let text = |name: &str| status.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").unwrap_or_else(|| format!("{code}: {}", String::from_utf8_lossy(bytes).trim()));
    Error::Api { reason: text("reason").unwrap_or_default(), message }
}

/// The quoted text of a warning header: `299 - "text"`.
fn warning_text(header: &str) -> Option<String> {
    let (_, rest) = header.split_once('"')?;
    let (text, _) = rest.rsplit_once('"')?;
    Some(text.replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_unquoted() {
        assert_eq!(warning_text(r#"299 - "unknown field \"spec.x\"""#).unwrap(), r#"unknown field "spec.x""#);
        assert_eq!(warning_text("nothing"), None);
    }
}
