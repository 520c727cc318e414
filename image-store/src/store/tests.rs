//! Names, sweeps, leases, holds, and writes that fail at each step.

use crate::{Digest, Error, Image, LayerEntry, Reference, Store, base, fault};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    (folder, store)
}

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn image(store: &Store, tag: &str, content: &str) -> Image {
    let lease = store.lease().unwrap();
    let node = crate::layer::Node {
        path: b"file".to_vec(),
        mode: 0o644,
        mtime: 0,
        content: crate::layer::Content::Bytes(content.as_bytes().to_vec()),
    };
    let configure = |config: &mut crate::ImageConfig| {
        config.os = "linux".to_owned();
        config.architecture = "amd64".to_owned();
    };
    store.assemble(&lease, None, &[node], configure, &name(tag)).unwrap()
}

#[test]
fn finds_by_name_digest_and_prefix() {
    let (_folder, store) = store();
    let made = image(&store, "web:1", "one");
    let hex = made.id.hex();
    for text in ["web:1", "docker.io/library/web:1", &made.id.to_string(), &made.digest.to_string(), &hex[..6], &hex] {
        assert_eq!(store.resolve(text).unwrap().digest, made.digest, "{text}");
    }
    assert_eq!(store.resolve(&format!("web@{}", made.digest)).unwrap().digest, made.digest);
    for text in ["web", "web:2", "ffffffffffff", &Digest::of(b"x").to_string(), &format!("web:2@{}", made.digest)] {
        assert!(matches!(store.resolve(text), Err(Error::UnknownImage { .. })), "{text}");
    }
    assert!(matches!(store.resolve("Bad Name"), Err(Error::InvalidReference { .. })));
}

#[test]
fn a_moved_name_leaves_the_old_image_without_one() {
    let (_folder, store) = store();
    let old = image(&store, "web:1", "old");
    let new = image(&store, "web:1", "new");
    assert_eq!(store.resolve("web:1").unwrap().digest, new.digest);
    assert!(store.resolve(&old.id.to_string()).unwrap().names.is_empty());
    let removed = store.prune().unwrap();
    assert_eq!(removed.deleted, Some(old.id));
    assert_eq!(removed.freed.blobs, 3);
    assert_eq!(store.images().unwrap().len(), 1);
}

#[test]
fn an_image_goes_with_its_last_name() {
    let (_folder, store) = store();
    let made = image(&store, "web:1", "one");
    store.tag(&made, &name("web:2")).unwrap();
    assert!(matches!(store.remove(&made.id.to_string(), false), Err(Error::InUse { .. })));
    let first = store.remove("web:1", false).unwrap();
    assert_eq!((first.untagged, first.deleted), (vec![name("web:1")], None));
    assert!(store.has_blob(made.digest));
    let last = store.remove("web:2", false).unwrap();
    assert_eq!(last.deleted, Some(made.id));
    assert!(!store.has_blob(made.digest));
    assert!(matches!(store.remove("web:2", false), Err(Error::UnknownImage { .. })));
}

#[test]
fn a_hold_keeps_an_image() {
    let (_folder, store) = store();
    let made = image(&store, "web:1", "one");
    store.hold("container-1", &made).unwrap();
    assert!(matches!(store.remove("web:1", false), Err(Error::InUse { .. })));
    let removed = store.remove("web:1", true).unwrap();
    assert_eq!(removed.deleted, None);
    assert!(store.has_blob(made.digest));
    assert_eq!(store.resolve(&made.id.short()).unwrap().names, []);
    store.release("container-1").unwrap();
    store.release("container-1").unwrap();
    assert_eq!(store.remove(&made.id.short(), false).unwrap().deleted, Some(made.id));
    assert!(store.hold("../x", &made).is_err());
}

#[test]
fn a_lease_keeps_what_has_no_name_yet() {
    let (_folder, store) = store();
    let lease = store.lease().unwrap();
    let digest = Digest::of(b"content");
    assert!(!lease.pin(&store, digest).unwrap());
    store.put_blob(b"content").unwrap();
    // Another process opens the store and sweeps.
    Store::open(store.root()).unwrap().gc().unwrap();
    assert!(store.has_blob(digest));
    drop(lease);
    assert_eq!(store.gc().unwrap().blobs, 1);
}

#[test]
fn leftovers_of_dead_writers_are_swept_and_live_ones_are_not() {
    let (_folder, store) = store();
    let dead = store.ingest_dir().join("999999-0");
    std::fs::create_dir_all(dead.join("fs/x")).unwrap();
    std::fs::write(store.ingest_dir().join("999999-1"), b"half").unwrap();
    let mut live = store.blob_writer().unwrap();
    live.push(b"live").unwrap();
    Store::open(store.root()).unwrap();
    assert!(!dead.exists() && !store.ingest_dir().join("999999-1").exists());
    let (digest, _) = live.commit(&store, None, "live").unwrap();
    assert!(store.has_blob(digest));
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    let (_folder, store) = store();
    let mut writer = store.blob_writer().unwrap();
    writer.push(b"content").unwrap();
    let wrong = writer.commit(&store, Some((Digest::of(b"other"), 7)), "blob");
    assert!(matches!(wrong, Err(Error::WrongDigest { .. })));
    assert_eq!(files(&store, "ingest") + files(&store, "blobs/sha256"), 0);
}

fn files(store: &Store, folder: &str) -> usize {
    std::fs::read_dir(store.root().join(folder)).unwrap().count()
}

/// Every write that can fail does so once; afterwards the store is as it was, or complete.
#[test]
fn failing_at_each_step_shows_nothing_half() {
    for step in 0.. {
        let (_folder, store) = store();
        let before = image(&store, "web:1", "before");
        let blobs = files(&store, "blobs/sha256");
        fault::arm(Some(step));
        let entry = LayerEntry::file("/added", 0o644, "x");
        let outcome = store.build_layer(&before, &[entry], |_| {}, &name("web:1"));
        let reached = fault::arm(None);
        assert_eq!(files(&store, "ingest"), 0, "step {step}");
        let now = Store::open(store.root()).unwrap();
        let found = now.resolve("web:1").unwrap();
        now.unpack(&found).unwrap();
        if outcome.is_err() && found.digest == before.digest {
            now.gc().unwrap();
            assert_eq!(files(&store, "blobs/sha256"), blobs, "step {step}");
        }
        if !reached {
            outcome.unwrap();
            assert!(step > 8, "only {step} steps can fail");
            return;
        }
    }
}

#[test]
fn unpacked_layers_are_found_again_and_resealed_after_a_boot() {
    let (_folder, store) = store();
    let made = image(&store, "web:1", "one");
    let first = store.unpack(&made).unwrap();
    let file = first.lower[0].join("file");
    assert_eq!(std::fs::read(&file).unwrap(), b"one");
    // As if written under another boot and damaged by it.
    std::fs::write(&file, b"").unwrap();
    let meta = first.lower[0].with_file_name("meta.json");
    let text = std::fs::read_to_string(&meta).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["boot_id"] = "another".into();
    std::fs::write(&meta, value.to_string()).unwrap();
    assert_eq!(store.unpack(&made).unwrap(), first);
    assert_eq!(std::fs::read(&file).unwrap(), b"one");
    store.settle().unwrap();
    std::fs::write(&meta, value.to_string()).unwrap();
    std::fs::write(&file, b"kept").unwrap();
    store.unpack(&made).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

#[test]
fn threads_may_share_one_root() {
    let (_folder, store) = store();
    let base = image(&store, "base:1", "base");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, base) = (&store, &base);
            scope.spawn(move || {
                for round in 0..5 {
                    let file = LayerEntry::file("/f", 0o644, format!("{round}"));
                    let made = store.build_layer(base, &[file], |_| {}, &name(&format!("t{thread}:{round}"))).unwrap();
                    store.unpack(&made).unwrap();
                    store.gc().unwrap();
                }
            });
        }
    });
    let names: usize = store.images().unwrap().iter().map(|image| image.names.len()).sum();
    assert_eq!(names, 21);
}

#[test]
fn the_base_image_is_made_once() {
    let (_folder, store) = store();
    let made = base::ensure(&store).unwrap();
    assert_eq!(base::ensure(&store).unwrap(), made);
    let snapshot = store.unpack(&made).unwrap();
    assert!(snapshot.lower[0].join("bin/sh").symlink_metadata().is_ok());
}
