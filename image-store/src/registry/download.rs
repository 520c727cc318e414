//! One layer, streamed once: download → hash → decompress → hash the diff → store. Memory is bounded by a short channel
//! between the two halves; a cut connection is taken up where it broke off.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use oci_distribution::client::BlobResponse;
use oci_distribution::errors::OciDistributionError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::client::{Session, deepest, is_transient};
use super::run::Events;
use super::{Progress, Stage};
use crate::digest::Hasher;
use crate::layer::{Decompressor, Markers};
use crate::manifest::Descriptor;
use crate::snapshot::Written;
use crate::store::BlobWriter;
use crate::{Digest, Error, Result, Store};

/// Pieces under way between network and disk; the client makes them as large as 400 KiB.
const PIECES: usize = 8;

/// How often a transfer that makes no progress is tried again.
const ATTEMPTS: u32 = 5;

/// Progress is reported at most every so many bytes.
const REPORT: u64 = 256 << 10;

/// A layer to fetch.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) layer: Descriptor,
    pub(super) diff_id: Digest,
    /// Also unpack it on the way, with these marks.
    pub(super) unpack: Option<Markers>,
}

/// Fetches a layer and verifies both its digests. Gives its name, and its entries if they were to be unpacked.
pub(super) async fn layer(
    session: Session,
    store: Store,
    wanted: Wanted,
    events: Events,
) -> Result<(Digest, Option<Written>)> {
    let layer = wanted.layer.clone();
    let report = |stage, done| {
        let _ = events.send(Progress { blob: layer.digest, stage, done, total: layer.size });
    };
    let (sender, receiver) = channel(PIECES);
    let writing = tokio::task::spawn_blocking(move || write(&store, receiver, &wanted));
    let fetched = fetch(&session, &layer, sender, |done| report(Stage::Moving, done)).await;
    let written = writing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    // The disk's trouble, or what the writer found wrong, may have made the other half stop.
    if let Err(Stop::Failed(error)) = fetched
        && !matches!(written, Err(Error::Io { .. }))
    {
        return Err(error);
    }
    let written = written?;
    report(Stage::Complete, layer.size);
    Ok((layer.digest, written))
}

/// Why a download ended early.
enum Stop {
    /// The writer takes no more.
    Closed,
    Failed(Error),
}

async fn fetch(
    session: &Session,
    layer: &Descriptor,
    sender: Sender<Bytes>,
    report: impl Fn(u64),
) -> std::result::Result<(), Stop> {
    let (mut done, mut reported, mut attempt) = (0_u64, 0, 0);
    while done < layer.size || (layer.size == 0 && attempt == 0) {
        attempt += 1;
        let before = done;
        let outcome = open(session, layer, done).await;
        let (mut skip, mut stream) = match outcome {
            Ok(opened) => opened,
            Err(error) if attempt < ATTEMPTS && is_transient(&error) => {
                pause(attempt).await;
                continue;
            }
            Err(error) => return Err(Stop::Failed(session.error("fetching a layer", error))),
        };
        let mut cut = None;
        while let Some(piece) = stream.next().await {
            let mut piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    cut = Some(error);
                    break;
                }
            };
            let unwanted = piece.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
            piece.advance(unwanted);
            skip -= unwanted as u64;
            done += piece.len() as u64;
            if done > layer.size {
                let subject = format!("layer {}", layer.digest.short());
                return Err(Stop::Failed(Error::WrongSize { subject, expected: layer.size, found: done }));
            }
            sender.send(piece).await.map_err(|_| Stop::Closed)?;
            if done - reported >= REPORT {
                report(done);
                reported = done;
            }
        }
        if done == layer.size {
            break;
        }
        if done > before {
            attempt = 0;
        } else if attempt >= ATTEMPTS {
            let reason = cut.map_or_else(|| "it ended too early".to_owned(), |error| deepest(&error));
            let error = OciDistributionError::IoError(io::Error::other(reason));
            return Err(Stop::Failed(session.error("fetching a layer", error)));
        }
        pause(attempt).await;
    }
    Ok(())
}

type Pieces = futures_util::stream::BoxStream<'static, io::Result<Bytes>>;

/// Opens the blob from `offset` on. A registry that knows no ranges sends it whole: then the first bytes are to be
/// skipped.
async fn open(
    session: &Session,
    layer: &Descriptor,
    offset: u64,
) -> std::result::Result<(u64, Pieces), OciDistributionError> {
    let digest = layer.digest.to_string();
    let wanted = digest.as_str();
    if offset == 0 {
        let opened = session.client.pull_blob_stream(&session.address, wanted).await?;
        return Ok((0, opened.stream));
    }
    Ok(match session.client.pull_blob_stream_partial(&session.address, wanted, offset, None).await? {
        BlobResponse::Full(opened) => (offset, opened.stream),
        BlobResponse::Partial(opened) => (0, opened.stream),
    })
}

async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(attempt.min(6))).await;
}

/// The blocking half: everything that happens to the bytes once they are here.
fn write(store: &Store, receiver: Receiver<Bytes>, wanted: &Wanted) -> Result<Option<Written>> {
    let layer = &wanted.layer;
    let subject = format!("layer {}", layer.digest.short());
    let mut tee = Tee { receiver, writer: store.blob_writer()?, piece: Bytes::new(), failed: None };
    let unpacked = unpack(store, &mut tee, wanted, &subject);
    // What follows the compressed stream belongs to the blob too.
    let rest = io::copy(&mut tee, &mut io::sink());
    if let Some(error) = tee.failed {
        return Err(error);
    }
    rest.map_err(|error| Error::layer(&subject, error.to_string()))?;
    let (expected, writer) = ((layer.digest, layer.size), tee.writer);
    // A wrong blob is called wrong before anybody wonders about what is in it.
    writer.verify(expected, &subject)?;
    let written = unpacked?;
    writer.commit(store, Some(expected), &subject)?;
    Ok(written)
}

/// Verifies the uncompressed content, and unpacks it if that is wanted.
fn unpack(store: &Store, tee: &mut Tee, wanted: &Wanted, subject: &str) -> Result<Option<Written>> {
    let invalid = |error: io::Error| Error::layer(subject, error.to_string());
    let plain = Decompressor::new(tee).map_err(invalid)?;
    if let Some(markers) = wanted.unpack {
        return store.write_layer(plain, wanted.diff_id, markers, subject).map(Some);
    }
    let found = diff_id_of(plain, store.limits.layer_bytes).map_err(invalid)?;
    if found == wanted.diff_id {
        return Ok(None);
    }
    let subject = format!("{subject} (uncompressed)");
    Err(Error::WrongDigest { subject, expected: wanted.diff_id, found })
}

fn diff_id_of(mut plain: impl Read, limit: u64) -> io::Result<Digest> {
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0_u8; 128 << 10]);
    loop {
        match plain.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if hasher.bytes() > limit.saturating_mul(2).saturating_add(1 << 30) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it unpacks to more than {limit} bytes")));
        }
    }
}

/// Reads pieces from the channel and writes each to the store's temporary file on the way.
struct Tee {
    receiver: Receiver<Bytes>,
    writer: BlobWriter,
    piece: Bytes,
    failed: Option<Error>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.receiver.blocking_recv() else { return Ok(0) };
            if let Err(error) = self.writer.push(&piece) {
                self.receiver.close();
                self.failed = Some(error);
                return Err(io::Error::other("the store takes no more"));
            }
            self.piece = piece;
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece[..count]);
        self.piece.advance(count);
        Ok(count)
    }
}
