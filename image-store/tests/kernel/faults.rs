//! Registries that lie, stumble or mean harm: each has its error, and nothing stays behind.

use std::sync::atomic::{AtomicUsize, Ordering};

use image_store::{Digest, Error, PullOptions, Registry};
use test_lane::{Outcome, Trial, case};

use crate::http::fake;
use crate::util::{Step, chain, count, fail, name, ok, place};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("manifests that are wrong are refused", &[], wrong_manifests),
        case("content that is wrong is refused", &[], wrong_content),
        case("a registry that stumbles is asked again", &[], stumbles),
        case("a registry that always fails is told as such", &[], always_fails),
    ]
}

fn descriptor(kind: &str, content: &[u8]) -> String {
    format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{}}}"#, Digest::of(content), content.len())
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", Digest::of(layer))).collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    )
    .into_bytes()
}

fn manifest(config: &[u8], layers: &[&[u8]], more: &str) -> Vec<u8> {
    let layers: Vec<String> = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]{more}}}"#,
        descriptor(CONFIG, config),
        layers.join(",")
    )
    .into_bytes()
}

/// An empty archive.
const EMPTY: [u8; 1024] = [0; 1024];

/// Pulls `a:1` from a registry that has these manifest bytes and these blobs under their names.
fn pull(manifest: Vec<u8>, blobs: Vec<(Digest, Vec<u8>)>) -> Step<image_store::Result<()>> {
    let address = fake(move |_, path| {
        if path.contains("/manifests/") {
            return (200, vec![("content-type", MANIFEST.to_owned())], manifest.clone());
        }
        match blobs.iter().find(|(digest, _)| path.ends_with(&digest.to_string())) {
            Some((_, content)) => (200, vec![], content.clone()),
            None => (if path == "/v2/" { 200 } else { 404 }, vec![], b"{}".to_vec()),
        }
    })?;
    let place = place()?;
    let pulled = place.store.pull(&Registry::new(), &name(&format!("{address}/a:1")), &PullOptions::default());
    assert_eq!(count(&place.store, "ingest") + count(&place.store, "leases"), 0);
    assert_eq!(ok(place.store.images())?.len(), usize::from(pulled.is_ok()));
    Ok(pulled.map(drop))
}

fn wrong_manifests() -> Outcome {
    let good = config(&[&EMPTY]);
    let blobs = || vec![(Digest::of(&good), good.clone()), (Digest::of(&EMPTY), EMPTY.to_vec())];
    assert!(pull(manifest(&good, &[&EMPTY], ""), blobs())?.is_ok());
    let index = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#).into_bytes();
    let nested = {
        let own = descriptor(INDEX, &index).replace('}', r#","platform":{"os":"linux","architecture":"amd64"}}"#);
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{own}]}}"#).into_bytes()
    };
    let artifact = manifest(&good, &[], "").iter().map(|byte| char::from(*byte)).collect::<String>();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("not JSON", b"<html>".to_vec()),
        ("manifest and index at once", manifest(&good, &[&EMPTY], r#","manifests":[]"#)),
        ("empty index", index),
        ("index in an index", nested),
        ("more layers than diff ids", manifest(&good, &[&EMPTY, &EMPTY], "")),
        ("fewer layers than diff ids", manifest(&good, &[], "")),
        ("first version", br#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#.to_vec()),
        ("no container image", artifact.replace(CONFIG, "application/vnd.cncf.helm.config.v1+json").into_bytes()),
        ("digest that is a path", artifact.replace(&Digest::of(&good).to_string(), "sha256:../../x").into_bytes()),
    ];
    for (what, manifest) in cases {
        match pull(manifest, blobs())? {
            Err(Error::Invalid { .. } | Error::NoPlatform { .. } | Error::Unsupported { .. }) => {}
            other => return fail(format!("{what}: {other:?}")),
        }
    }
    Ok(())
}

fn wrong_content() -> Outcome {
    let good = config(&[&EMPTY]);
    let manifest = || manifest(&good, &[&EMPTY], "");
    let with =
        |config: &[u8], layer: &[u8]| vec![(Digest::of(&good), config.to_vec()), (Digest::of(&EMPTY), layer.to_vec())];
    let mut other = EMPTY;
    other[7] = 1;
    for (what, blobs) in [
        ("another configuration", with(&config(&[]), &EMPTY)),
        ("a longer configuration", with(&[good.clone(), b" ".to_vec()].concat(), &EMPTY)),
        ("another layer", with(&good, &other)),
        ("a longer layer", with(&good, &[0; 1025])),
    ] {
        match pull(manifest(), blobs)? {
            Err(Error::WrongDigest { .. } | Error::WrongSize { .. }) => {}
            other => return fail(format!("{what}: {other:?}")),
        }
    }
    // The blob is what its digest says, but not what the configuration says about its content.
    let lying = config(&[b"something else"]);
    let blobs = vec![(Digest::of(&lying), lying.clone()), (Digest::of(&EMPTY), EMPTY.to_vec())];
    match pull(self::manifest(&lying, &[&EMPTY], ""), blobs)? {
        Err(Error::WrongDigest { subject, .. }) if subject.contains("uncompressed") => Ok(()),
        other => fail(format!("{other:?}")),
    }
}

fn stumbles() -> Outcome {
    let good = config(&[&EMPTY]);
    let (manifest, asked) = (manifest(&good, &[&EMPTY], ""), AtomicUsize::new(0));
    let address = fake(move |_, path| {
        if path.contains("/manifests/") {
            return (200, vec![("content-type", MANIFEST.to_owned())], manifest.clone());
        }
        if path.ends_with(&Digest::of(&EMPTY).to_string()) {
            return match asked.fetch_add(1, Ordering::SeqCst) {
                0 => (503, vec![], b"busy".to_vec()),
                1 => (429, vec![("retry-after", "1".to_owned())], b"slower".to_vec()),
                _ => (200, vec![], EMPTY.to_vec()),
            };
        }
        (200, vec![], good.clone())
    })?;
    let place = place()?;
    ok(place.store.pull(&Registry::new(), &name(&format!("{address}/a:1")), &PullOptions::default())).map(drop)
}

fn always_fails() -> Outcome {
    let address =
        fake(|_, path| if path == "/v2/" { (200, vec![], vec![]) } else { (500, vec![], b"oh\nno".to_vec()) })?;
    let place = place()?;
    let outcome = place.store.pull(&Registry::new(), &name(&format!("{address}/a:1")), &PullOptions::default());
    match &outcome {
        Err(error @ Error::Registry { .. }) if !chain(error).contains('\n') => Ok(()),
        other => fail(format!("{other:?}")),
    }
}
