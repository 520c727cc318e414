//! An OCI distribution registry in the process: the real protocol over real HTTP, for tests, demos and machines that
//! reach no other.
//!
//! [`serve`] takes a listener and a storage and answers on a thread of its own until the [`Handle`] goes. `route` says
//! what a request is about, `blobs`, `uploads` and `manifests` answer it, `storage` keeps it. Absent on purpose: TLS,
//! users with different rights, collection of unused blobs.

mod blobs;
mod manifests;
mod reply;
mod route;
mod storage;
mod uploads;

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};

use self::reply::{Fault, Reply};
use self::route::Route;
use self::storage::Backend;
use self::uploads::Uploads;
use crate::error::At as _;
use crate::{Digest, Error, Result};

/// Connections served at the same time; more of them wait.
const CONNECTIONS: usize = 128;

/// Where a registry keeps its content.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In memory; gone with the registry.
    Memory,
    /// In files below this folder.
    Dir(PathBuf),
}

/// A running registry. It ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// The address that it listens on; also the first part of the names of its images.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: open connections are closed, and its thread is gone when this returns.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a registry on `listener`. With `credential`, every request must carry this user and password.
///
/// # Errors
/// `Io` when the storage, the listener or a thread cannot be had.
pub fn serve(listener: TcpListener, storage: Storage, credential: Option<(String, String)>) -> Result<Handle> {
    let address = listener.local_addr().at("inspect listener", "")?;
    listener.set_nonblocking(true).at("prepare listener", "")?;
    let registry = Arc::new(Registry {
        backend: Arc::new(Backend::open(storage)?),
        uploads: Uploads::default(),
        credential: credential.map(|(user, password)| STANDARD.encode(format!("{user}:{password}"))),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().at("start the runtime for", "")?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("registry".to_owned())
        .spawn(move || runtime.block_on(accept(listener, registry, stopped)))
        .at("start thread", "registry")?;
    Ok(Handle { address, stop: Some(stop), thread: Some(thread) })
}

/// A user and a password that nobody can guess.
///
/// # Errors
/// `Io` when the kernel's random numbers cannot be read.
pub fn random_credential() -> Result<(String, String)> {
    let mut bytes = [0_u8; 24];
    let path = "/dev/urandom";
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).at("read", path)?;
    let secret = Digest::of(&bytes).hex();
    Ok((format!("user-{}", &secret[..8]), secret[8..48].to_owned()))
}

async fn accept(listener: TcpListener, registry: Arc<Registry>, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of descriptors, or a client that left: the next one may be luckier.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        let registry = Arc::clone(&registry);
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let registry = Arc::clone(&registry);
                async move { Ok::<_, std::convert::Infallible>(registry.answer(request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Registry {
    backend: Arc<Backend>,
    uploads: Uploads,
    credential: Option<String>,
}

impl Registry {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let head = *request.method() == Method::HEAD;
        let reply = match self.dispatch(request).await {
            Ok(reply) => reply,
            Err(fault) => fault.into_reply(),
        };
        if head { reply::without_body(reply) } else { reply }
    }

    async fn dispatch(&self, request: Request<Incoming>) -> std::result::Result<Reply, Fault> {
        if !self.is_allowed(request.headers()) {
            return Err(Fault::unauthorized());
        }
        let route = Route::parse(request.uri())?;
        match (request.method().clone(), route) {
            (Method::GET | Method::HEAD, Route::Ping) => Ok(reply::json(StatusCode::OK, &serde_json::json!({}))),
            (Method::GET, Route::Catalog(page)) => self.catalog(&page),
            (Method::GET, Route::Tags(name, page)) => self.tags(&name, &page),
            (Method::GET | Method::HEAD, Route::Manifest(name, which)) => self.manifest(&name, &which),
            (Method::PUT, Route::Manifest(name, which)) => self.put_manifest(&name, &which, request).await,
            (Method::DELETE, Route::Manifest(name, which)) => self.delete_manifest(&name, &which),
            (Method::GET, Route::Referrers(name, digest, kind)) => self.referrers(&name, digest, kind.as_deref()),
            (Method::GET | Method::HEAD, Route::Blob(name, digest)) => self.blob(&name, digest, request.headers()),
            (Method::DELETE, Route::Blob(name, digest)) => self.delete_blob(&name, digest),
            (Method::POST, Route::Uploads(name, start)) => self.start_upload(&name, &start, request).await,
            (method, Route::Upload(name, id, digest)) => self.upload(&method, &name, &id, digest, request).await,
            _ => Err(Fault::unsupported()),
        }
    }

    /// Compares without telling, by the time it takes, how much was right.
    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(expected) = &self.credential else { return true };
        let given = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = given.strip_prefix("Basic ").unwrap_or_default();
        Digest::of(given.as_bytes()) == Digest::of(expected.as_bytes())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::internal(&error)
    }
}
