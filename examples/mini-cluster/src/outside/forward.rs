//! Host ports that lead to Services: accepted out here, carried through the dial socket into the cluster's network.
//!
//! A LoadBalancer Service answers at an address inside the cluster's namespace, which nothing outside can reach. Its
//! forwarded port listens on 127.0.0.1 only. Each accepted connection becomes one connection through the dial socket
//! (`ip:port` and a newline, a line of verdict, then bytes). One more port leads to the API's guarded socket, where
//! every request must carry the token of the kubeconfig.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::state::Root;

/// All open ports.
#[derive(Debug)]
pub(super) struct Forwards {
    runtime: Option<Runtime>,
    dial: PathBuf,
    /// The port through which kubectl speaks to the API.
    api: u16,
    open: BTreeMap<String, (SocketAddrV4, u16, JoinHandle<()>)>,
}

impl Forwards {
    pub(super) fn new(root: &Root) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("forward")
            .enable_io()
            .build()
            .map_err(|source| Error::system("start the forwarder", source))?;
        let failed = |source| Error::system("open a port for the API", source);
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let api = listener.local_addr().map_err(failed)?.port();
        runtime.spawn(accept(listener, root.guarded_api_socket(), None));
        Ok(Self { runtime: Some(runtime), dial: root.dial_socket(), api, open: BTreeMap::new() })
    }

    /// The port of the API.
    pub(super) const fn api_port(&self) -> u16 {
        self.api
    }

    /// Opens a port for the Service, or keeps the one it has.
    pub(super) fn open(&mut self, service: &str, target: SocketAddrV4) -> Result<u16> {
        match self.open.get(service) {
            Some((old, port, _)) if *old == target => return Ok(*port),
            Some(_) => self.close(service),
            None => {}
        }
        let Some(runtime) = &self.runtime else {
            return Err(Error::Half { problem: "is ending".to_owned() });
        };
        let failed = |source| Error::system(format!("open a port for {service}"), source);
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let task = runtime.spawn(accept(listener, self.dial.clone(), Some(target)));
        self.open.insert(service.to_owned(), (target, port, task));
        Ok(port)
    }

    /// Closes the Service's port; connections already made live on.
    pub(super) fn close(&mut self, service: &str) {
        if let Some((_, _, task)) = self.open.remove(service) {
            task.abort();
        }
    }

    /// Closes everything, connections included.
    pub(super) fn close_all(&mut self) {
        self.open.clear();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, inward: PathBuf, target: Option<SocketAddrV4>) {
    loop {
        // Out of descriptors, or a connection reset in the queue: neither ends the port.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let inward = inward.clone();
        tokio::spawn(async move {
            let _ = carry(stream, &inward, target).await;
        });
    }
}

async fn carry(mut stream: TcpStream, inward: &Path, target: Option<SocketAddrV4>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut inward = UnixStream::connect(inward).await?;
    if let Some(target) = target {
        inward.write_all(format!("{target}\n").as_bytes()).await?;
        let mut verdict = [0; 3];
        inward.read_exact(&mut verdict).await?;
        if verdict != *b"ok\n" {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
    }
    copy_bidirectional(&mut stream, &mut inward).await.map(drop)
}
