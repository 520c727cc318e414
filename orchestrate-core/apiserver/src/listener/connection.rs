//! One connection: HTTP requests to the engine's, its replies back, watches as chunked lines.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use super::body::Out;
use super::exec::Upgrade;
use super::{Options, SharedApi, pods};
use crate::request::{decode, parse_query};
use crate::{Body, Method, Reply, Request, Response, Status, Watch};

/// The largest body that is read, as upstream.
const MAX_BODY: usize = 3 << 20;

/// What all connections share.
pub(super) struct Served {
    pub(super) api: SharedApi,
    pub(super) options: Options,
    stopped: watch::Receiver<bool>,
    #[cfg(feature = "tls")]
    identity: Option<super::Identity>,
}

impl Served {
    pub(super) const fn new(api: SharedApi, options: Options, stopped: watch::Receiver<bool>) -> Self {
        Self {
            api,
            options,
            stopped,
            #[cfg(feature = "tls")]
            identity: None,
        }
    }

    /// Speaks TLS from now on.
    #[cfg(feature = "tls")]
    pub(super) fn speaking_as(mut self, identity: super::Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Comes when the listener is to stop.
    pub(super) async fn stop(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that whoever could stop it is gone, which is a stop too.
        drop(stopped.wait_for(|stopped| *stopped).await.map(|_| ()));
    }

    /// The next connection, or nothing once the listener is stopped.
    pub(super) async fn next<S, F>(&self, accept: impl Fn() -> F) -> Option<S>
    where
        F: Future<Output = io::Result<S>>,
    {
        loop {
            let accepted = tokio::select! {
                () = self.stop() => return None,
                accepted = accept() => accepted,
            };
            match accepted {
                Ok(stream) => return Some(stream),
                // Out of file descriptors or the like: let others end before the next try.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Serves one connection in a task of its own, which keeps `alive` until it ends.
pub(super) fn start(
    served: &Arc<Served>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    alive: &mpsc::Sender<()>,
) {
    let (served, alive) = (Arc::clone(served), alive.clone());
    tokio::spawn(async move {
        #[cfg(feature = "tls")]
        if let Some(identity) = &served.identity {
            let greeting = tokio::time::timeout(Duration::from_secs(10), identity.acceptor().accept(stream));
            // Who cannot greet properly is no client of ours.
            if let Ok(Ok(stream)) = greeting.await {
                serve(served, stream).await;
            }
            return;
        }
        serve(served, stream).await;
        drop(alive);
    });
}

async fn serve(served: Arc<Served>, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let shared = Arc::clone(&served);
    let service = service_fn(move |request| {
        let served = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&served, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(300))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    // An error here is a client that went away: nobody is left to tell.
    tokio::select! {
        _ = &mut connection => {}
        () = served.stop() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(served: &Arc<Served>, request: hyper::Request<Incoming>) -> hyper::Response<Out> {
    if let Some(token) = &served.options.token {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !token.admits(header.unwrap_or("")) {
            return whole(Status::unauthorized().into());
        }
    }
    match route(served, request).await {
        Ok(response) => response,
        Err(status) => whole(status.into()),
    }
}

async fn route(served: &Arc<Served>, mut request: hyper::Request<Incoming>) -> Result<hyper::Response<Out>, Status> {
    let mut engine = head(&request)?;
    let upgrade = Upgrade::take(&mut request);
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|cause| match cause.downcast_ref::<http_body_util::LengthLimitError>() {
        Some(_) => Status::too_large(),
        None => Status::bad_request("the body of the request ended early"),
    })?;
    engine.body = Body::Bytes(body.to_bytes().to_vec());
    Ok(match served.api.handle(&engine) {
        Reply::Response(response) => whole(response),
        Reply::Watch(watch) => stream(served, watch),
        Reply::Pod(call) => pods::answer(served, *call, upgrade).await?,
    })
}

fn head(request: &hyper::Request<Incoming>) -> Result<Request, Status> {
    let method = match request.method().as_str() {
        "GET" | "HEAD" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return Err(Status::method_not_allowed()),
    };
    let text = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("").to_owned()
    };
    Ok(Request {
        method,
        path: decode(request.uri().path(), false),
        query: parse_query(request.uri().query().unwrap_or("")),
        content_type: text(request.headers(), CONTENT_TYPE),
        accept: text(request.headers(), ACCEPT),
        body: Body::Bytes(Vec::new()),
    })
}

/// A complete answer.
pub(super) fn whole(response: Response) -> hyper::Response<Out> {
    let mut out = hyper::Response::new(Out::bytes(response.body.into_bytes()));
    *out.status_mut() = hyper::StatusCode::from_u16(response.code).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = out.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&response.content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    for warning in response.warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append("warning", value);
        }
    }
    out
}

/// An answer that grows.
pub(super) fn growing(content_type: &'static str, pieces: mpsc::Receiver<Bytes>) -> hyper::Response<Out> {
    let mut out = hyper::Response::new(Out::Stream(pieces));
    out.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    out
}

fn stream(served: &Arc<Served>, mut watch: Box<Watch>) -> hyper::Response<Out> {
    let (sender, receiver) = mpsc::channel(16);
    let served = Arc::clone(served);
    tokio::spawn(async move {
        let mut bell = served.api.subscribe();
        loop {
            bell.mark_unchanged();
            let (polled, now) = served.api.with(|api, now| (api.poll(now, &mut watch), now));
            let lines: Vec<u8> = polled.events.iter().flat_map(crate::WatchEvent::line).collect();
            if !lines.is_empty() && sender.send(lines.into()).await.is_err() {
                return;
            }
            if polled.closed {
                return;
            }
            let pause = polled.wake.map_or(3_600_000, |wake| wake - now).clamp(1, 3_600_000);
            tokio::select! {
                _ = bell.changed() => {}
                () = tokio::time::sleep(Duration::from_millis(pause.unsigned_abs())) => {}
                () = served.stop() => return,
                () = sender.closed() => return,
            }
        }
    });
    growing("application/json", receiver)
}
