//! Pulling: name → manifest (chosen for the platform) → configuration → the layers that are missing, in parallel → name.
//!
//! A lease pins everything on the way, so that a sweep meanwhile takes nothing away; the name comes last, so that an
//! image is whole or unknown.

use std::collections::BTreeMap;

use oci_distribution::RegistryOperation;
use oci_distribution::errors::DigestError;
use tokio::task::JoinSet;

use super::client::Session;
use super::download::{self, Wanted};
use super::run::Events;
use super::{Progress, Registry, Stage};
use crate::layer::Markers;
use crate::manifest::{
    DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Document, Index, LARGEST_DOCUMENT, Manifest, OCI_INDEX, OCI_MANIFEST,
    is_manifest,
};
use crate::snapshot::Written;
use crate::store::{Lease, check_layer_count};
use crate::{Digest, Error, Image, ImageConfig, Platform, Reference, Result, Store};

const ACCEPTED: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// Layers fetched at the same time.
const PARALLEL: usize = 4;

/// What to pull, and whom to tell.
#[derive(Default)]
pub struct PullOptions<'a> {
    /// The platform; by default that of this program.
    pub platform: Option<Platform>,
    /// Also unpack the layers, while they arrive: then [`Store::unpack`] has nothing left to do.
    pub unpack: bool,
    /// Is called, on the calling thread, for everything that happens to a layer.
    pub progress: Option<&'a dyn Fn(Progress)>,
}

impl std::fmt::Debug for PullOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PullOptions")
            .field("platform", &self.platform)
            .field("unpack", &self.unpack)
            .finish_non_exhaustive()
    }
}

/// What a pull gave.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pulled {
    /// The image, now in the store under its name.
    pub image: Image,
    /// The digest that the registry knows the name by: that of an index, if there is one.
    pub digest: Digest,
    /// Whether the name meant something else (or nothing) in the store before.
    pub changed: bool,
}

pub(super) async fn pull(
    store: &Store,
    registry: &Registry,
    name: &Reference,
    (platform, unpack): (Option<&Platform>, bool),
    events: Events,
) -> Result<Pulled> {
    let session = Session::open(registry, name, RegistryOperation::Pull).await?;
    let before = store.resolve(&name.without_digest().canonical()).ok();
    if let Some(image) = &before
        && let Ok(text) = session.client.fetch_manifest_digest(&session.address, &session.auth).await
        && let Ok(digest) = Digest::parse(&text)
        && (image.digest == digest || image.pulled == Some(digest))
        && platform.is_none_or(|wanted| *wanted == image.config.platform())
    {
        if unpack {
            store.unpack(image)?;
        }
        return Ok(Pulled { image: image.clone(), digest, changed: false });
    }
    let lease = store.lease()?;
    let (named, chosen) = find_manifest(&session, name, platform).await?;
    let config = fetch_config(&session, &chosen.manifest.config).await?;
    let parsed = ImageConfig::from_json(&config)?;
    check_layer_count(chosen.digest, &chosen.manifest, &parsed)?;
    check_platform(name, &parsed, platform)?;
    let markers = if unpack { Some(store.markers()?) } else { None };
    let wanted = list_layers(store, &lease, &chosen.manifest, &parsed, markers, &events)?;
    let written = fetch_layers(&session, store, wanted, &events).await?;
    for document in [&config, &chosen.bytes] {
        lease.pin(store, Digest::of(document))?;
        store.put_blob(document)?;
    }
    let descriptor = Descriptor::of(&chosen.manifest.media_type, &chosen.bytes);
    let mut image = store.load_manifest(&descriptor)?;
    image.pulled = (named != image.digest).then_some(named);
    if unpack {
        store.unpack_with(&image, written)?;
    }
    store.tag(&image, name)?;
    let image = store.resolve(&image.digest.to_string())?;
    let changed = before.is_none_or(|before| before.digest != image.digest);
    Ok(Pulled { image, digest: named, changed })
}

struct Chosen {
    digest: Digest,
    bytes: Vec<u8>,
    manifest: Manifest,
}

/// Follows the name to the manifest for the platform. Also gives the digest that the name itself has.
async fn find_manifest(session: &Session, name: &Reference, platform: Option<&Platform>) -> Result<(Digest, Chosen)> {
    let (bytes, digest) = fetch_manifest(session, &session.address, name.digest()).await?;
    let index = match Document::parse(&bytes, None)? {
        Document::Manifest(manifest) => return Ok((digest, Chosen { digest, bytes, manifest })),
        Document::Index(index) => index,
    };
    let entry = choose(name, &index, platform)?;
    let (bytes, found) = fetch_manifest(session, &session.at(entry.digest), Some(entry.digest)).await?;
    if bytes.len() as u64 != entry.size {
        let subject = format!("manifest {}", entry.digest.short());
        return Err(Error::WrongSize { subject, expected: entry.size, found: bytes.len() as u64 });
    }
    let manifest = Document::parse_manifest(&bytes, Some(&entry.media_type))?;
    Ok((digest, Chosen { digest: found, bytes, manifest }))
}

async fn fetch_manifest(
    session: &Session,
    address: &oci_distribution::Reference,
    expected: Option<Digest>,
) -> Result<(Vec<u8>, Digest)> {
    let answer = session.client.pull_manifest_raw(address, &session.auth, &ACCEPTED).await;
    let (bytes, _) = answer.map_err(|error| session.error("asking for the manifest", error))?;
    let found = Digest::of(&bytes);
    match expected {
        Some(expected) if expected != found => {
            Err(Error::WrongDigest { subject: format!("manifest of {address}"), expected, found })
        }
        _ => Ok((bytes.to_vec(), found)),
    }
}

fn choose<'a>(name: &Reference, index: &'a Index, platform: Option<&Platform>) -> Result<&'a Descriptor> {
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    let images = || index.manifests.iter().filter(|entry| is_manifest(&entry.media_type));
    let offers = images().filter_map(|entry| Some((entry.platform.as_ref()?, entry)));
    wanted.choose(offers).ok_or_else(|| {
        let offers: Vec<String> =
            images().filter_map(|entry| entry.platform.as_ref()).take(20).map(Platform::to_string).collect();
        Error::NoPlatform { name: name.to_string(), wanted: wanted.clone(), available: offers.join(", ") }
    })
}

fn check_platform(name: &Reference, config: &ImageConfig, wanted: Option<&Platform>) -> Result<()> {
    let found = config.platform();
    match wanted {
        Some(wanted) if wanted.choose([(&found, ())]).is_none() => {
            let available = found.to_string();
            Err(Error::NoPlatform { name: name.to_string(), wanted: wanted.clone(), available })
        }
        _ => Ok(()),
    }
}

async fn fetch_config(session: &Session, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let subject = || format!("image configuration {}", descriptor.digest.short());
    if !descriptor.media_type.contains("image") || !descriptor.media_type.ends_with("json") {
        return Err(Error::Unsupported {
            feature: format!("content of type {}", descriptor.media_type),
            hint: "only container images can be pulled".to_owned(),
        });
    }
    if descriptor.size > LARGEST_DOCUMENT {
        return Err(Error::WrongSize { subject: subject(), expected: LARGEST_DOCUMENT, found: descriptor.size });
    }
    let failed = |error| session.error("fetching the image configuration", error);
    let digest = descriptor.digest.to_string();
    let mut opened = session.client.pull_blob_stream(&session.address, digest.as_str()).await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(piece) = futures_util::StreamExt::next(&mut opened.stream).await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            // The client found the digest wrong at the end; so does the check below, in better words.
            Err(error) if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<DigestError>) => {
                break;
            }
            Err(error) => return Err(failed(error.into())),
        }
        if bytes.len() as u64 > descriptor.size {
            break;
        }
    }
    let found = Digest::of(&bytes);
    if found != descriptor.digest {
        return Err(Error::WrongDigest { subject: subject(), expected: descriptor.digest, found });
    }
    Ok(bytes)
}

/// The layers that the store lacks, each once.
fn list_layers(
    store: &Store,
    lease: &Lease,
    manifest: &Manifest,
    config: &ImageConfig,
    unpack: Option<Markers>,
    events: &Events,
) -> Result<Vec<Wanted>> {
    let mut list: Vec<Wanted> = Vec::new();
    for (layer, diff_id) in manifest.layers.iter().zip(&config.diff_ids) {
        let stage = if lease.pin(store, layer.digest)? { Stage::Exists } else { Stage::Waiting };
        let known = list.iter().any(|wanted| wanted.layer.digest == layer.digest);
        if !known {
            let _ = events.send(Progress { blob: layer.digest, stage, done: 0, total: layer.size });
        }
        if stage == Stage::Waiting && !known {
            list.push(Wanted { layer: layer.clone(), diff_id: *diff_id, unpack });
        }
    }
    Ok(list)
}

async fn fetch_layers(
    session: &Session,
    store: &Store,
    wanted: Vec<Wanted>,
    events: &Events,
) -> Result<BTreeMap<Digest, Written>> {
    let (mut running, mut waiting) = (JoinSet::new(), wanted.into_iter());
    let mut written = BTreeMap::new();
    loop {
        while running.len() < PARALLEL
            && let Some(wanted) = waiting.next()
        {
            running.spawn(download::layer(session.clone(), store.clone(), wanted, events.clone()));
        }
        let Some(outcome) = running.join_next().await else { return Ok(written) };
        let (digest, entries) = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        written.extend(entries.map(|entries| (digest, entries)));
    }
}
