//! Pushing: the blobs that the registry lacks, as they are in the store, then the manifest under its name. Nothing is
//! compressed again, so the digest stays what it is.

use bytes::Bytes;
use futures_util::stream;
use oci_distribution::RegistryOperation;
use oci_distribution::errors::OciDistributionError;
use tokio::io::AsyncReadExt as _;

use super::client::Session;
use super::run::Events;
use super::{Progress, Registry, Stage};
use crate::error::At as _;
use crate::manifest::Descriptor;
use crate::{Digest, Error, Image, Reference, Result, Store};

const PIECE: usize = 256 << 10;

pub(super) async fn push(
    store: &Store,
    registry: &Registry,
    image: &Image,
    name: &Reference,
    events: Events,
) -> Result<Digest> {
    if name.tag().is_none() {
        return Err(Error::InvalidReference { text: name.to_string(), reason: "a push needs a tag" });
    }
    let lease = store.lease()?;
    lease.pin(store, image.digest)?;
    let session = Session::open(registry, &name.without_digest(), RegistryOperation::Push).await?;
    for blob in image.layers.iter().chain([&image.config_descriptor]) {
        push_blob(store, &session, blob, &events).await?;
    }
    let manifest = store.read_document(image.digest)?;
    let media_type =
        image.media_type.parse().map_err(|_| Error::manifest(image.digest, "its media type is malformed"))?;
    let pushed = session.client.push_manifest_raw(&session.address, manifest, media_type).await;
    pushed.map_err(|error| session.error("sending the manifest", error))?;
    Ok(image.digest)
}

async fn push_blob(store: &Store, session: &Session, blob: &Descriptor, events: &Events) -> Result<()> {
    let report = |stage, done| {
        let _ = events.send(Progress { blob: blob.digest, stage, done, total: blob.size });
    };
    let digest = blob.digest.to_string();
    session.client.store_auth_if_needed(session.address.resolve_registry(), &session.auth).await;
    let exists = session.client.blob_exists(&session.address, &digest).await;
    if exists.map_err(|error| session.error("asking for a blob", error))? {
        report(Stage::Exists, blob.size);
        return Ok(());
    }
    report(Stage::Waiting, 0);
    let path = store.blob_path(blob.digest);
    let file = tokio::fs::File::open(&path).await.at("open blob", &path)?;
    let (events, blob_digest, total) = (events.clone(), blob.digest, blob.size);
    let pieces = stream::try_unfold((file, 0_u64), move |(mut file, done)| {
        let events = events.clone();
        async move {
            let mut piece = vec![0; PIECE];
            let count = file.read(&mut piece).await.map_err(OciDistributionError::IoError)?;
            if count == 0 {
                return Ok(None);
            }
            piece.truncate(count);
            let done = done + count as u64;
            let _ = events.send(Progress { blob: blob_digest, stage: Stage::Moving, done, total });
            Ok(Some((Bytes::from(piece), (file, done))))
        }
    });
    let sent = session.client.push_blob_stream(&session.address, pieces, &digest, Some(blob.size)).await;
    sent.map_err(|error| session.error("sending a blob", error))?;
    report(Stage::Complete, blob.size);
    Ok(())
}
