//! A writer that is killed at any moment leaves a store that is whole, and what it left behind goes with the next open.

use image_store::{Store, base};
use test_lane::{Outcome, Trial, case};

use crate::child;
use crate::util::{count, fail, name, ok, place, wait_for};

/// Kills per run; a longer run can ask for more.
const ROUNDS: &str = "IMAGE_STORE_KILLS";

pub(crate) fn cases() -> Vec<Trial> {
    vec![case("a killed writer leaves a whole store", &[], killed_writers)]
}

fn killed_writers() -> Outcome {
    let place = place()?;
    let base = ok(base::ensure(&place.store))?;
    ok(place.store.unpack(&base))?;
    let rounds: u64 = std::env::var(ROUNDS).ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let root = place.store.root().to_owned();
    for round in 0..rounds {
        let before = count(&place.store, "snapshots");
        let mut writer = child::command(&format!("write {}", root.display()))?.spawn()?;
        wait_for("the first write", || {
            count(&place.store, "snapshots") != before || count(&place.store, "ingest") > 0
        })?;
        // Another moment in each round, without a clock deciding the outcome.
        for _ in 0..(round * 7919 % 997) * 20 {
            std::hint::black_box(std::fs::metadata(&root)?);
        }
        writer.kill()?;
        writer.wait()?;
        check(&root)?;
    }
    Ok(())
}

fn check(root: &std::path::Path) -> Outcome {
    let store = ok(Store::open(root))?;
    if count(&store, "ingest") + count(&store, "leases") > 0 {
        return fail("something was left behind");
    }
    for image in ok(store.images())? {
        for layer in &image.layers {
            let bytes = std::fs::read(root.join("blobs/sha256").join(layer.digest.hex()))?;
            assert_eq!(image_store::Digest::of(&bytes), layer.digest);
        }
        ok(store.unpack(&image))?;
    }
    ok(store.gc())?;
    ok(store.resolve("base:latest"))?;
    let _ = store.remove(&name("round:0").to_string(), false);
    Ok(())
}
