//! Push and pull against the in-process registry over real HTTP, and everything that can go wrong there.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use image_store::registry_server::Storage;
use image_store::{Digest, Error, Platform, PullOptions, Registry, Stage};
use test_lane::{Outcome, Trial, case};

use crate::child;
use crate::util::{Step, app, count, fail, name, ok, place, registry, success};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("an image comes back with the digest it went with", &[], || round_trip(Storage::Memory)),
        case("a registry in files serves what an earlier one took", &[], registry_in_files),
        case("a second pull fetches nothing", &[], second_pull),
        case("layers that are there are not fetched again", &[], shared_layers),
        case("a pull may be made from asynchronous code", &[], from_async_code),
        case("wrong credentials, unknown images and dead registries have their own errors", &[], refusals),
        case("a platform that is not offered is refused", &[], wrong_platform),
        case("content that was changed on the way is refused and leaves nothing", &[], tampered),
        case("a cut connection is taken up again", &[], cut_connection),
        case("threads and processes may pull into one store at the same time", &[], pull_together),
        case("a stopped registry is gone", &[], stopped),
    ]
}

fn round_trip(storage: Storage) -> Outcome {
    let (handle, registry, _) = registry(storage)?;
    let from = place()?;
    let image = app(&from.store, "my-app:1.0.0", "#!/bin/sh\necho hello\n")?;
    let remote = name(&format!("{}/my-app:1.0.0", handle.address()));
    let stages = RefCell::new(Vec::new());
    let digest = ok(from.store.push(&registry, &image, &remote, Some(&|event| stages.borrow_mut().push(event))))?;
    assert_eq!(digest, image.digest);
    assert!(stages.borrow().iter().any(|event| event.stage == Stage::Complete));
    stages.borrow_mut().clear();
    ok(from.store.push(&registry, &image, &remote, Some(&|event| stages.borrow_mut().push(event))))?;
    assert!(stages.borrow().iter().all(|event| event.stage == Stage::Exists));

    let to = place()?;
    let progress = |event| stages.borrow_mut().push(event);
    let options = PullOptions { progress: Some(&progress), unpack: true, ..PullOptions::default() };
    let pulled = ok(to.store.pull(&registry, &remote, &options))?;
    assert_eq!(count(&to.store, "snapshots"), 2);
    assert_eq!((pulled.image.digest, pulled.image.id, pulled.changed), (image.digest, image.id, true));
    let snapshot = ok(to.store.unpack(&pulled.image))?;
    assert_eq!(std::fs::read_to_string(snapshot.lower[0].join("srv/app"))?, "#!/bin/sh\necho hello\n");
    assert_eq!(count(&to.store, "ingest") + count(&to.store, "leases"), 0);
    Ok(())
}

fn registry_in_files() -> Outcome {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("registry");
    round_trip(Storage::Dir(root.clone()))?;
    let (handle, registry, _) = registry(Storage::Dir(root))?;
    let to = place()?;
    let remote = name(&format!("{}/my-app:1.0.0", handle.address()));
    ok(to.store.pull(&registry, &remote, &PullOptions::default())).map(drop)
}

fn second_pull() -> Outcome {
    let (handle, registry, _) = registry(Storage::Memory)?;
    let place = place()?;
    let image = app(&place.store, "a:1", "x")?;
    let remote = name(&format!("{}/a:1", handle.address()));
    ok(place.store.push(&registry, &image, &remote, None))?;
    let first = ok(place.store.pull(&registry, &remote, &PullOptions::default()))?;
    let events = RefCell::new(0);
    let options = PullOptions { progress: Some(&|_| *events.borrow_mut() += 1), ..PullOptions::default() };
    let second = ok(place.store.pull(&registry, &remote, &options))?;
    assert_eq!((second.changed, second.image.digest, *events.borrow()), (false, first.image.digest, 0));
    Ok(())
}

fn shared_layers() -> Outcome {
    let (handle, registry, _) = registry(Storage::Memory)?;
    let (from, to) = (place()?, place()?);
    for tag in ["1", "2"] {
        let image = app(&from.store, &format!("a:{tag}"), tag)?;
        ok(from.store.push(&registry, &image, &name(&format!("{}/a:{tag}", handle.address())), None))?;
    }
    ok(to.store.pull(&registry, &name(&format!("{}/a:1", handle.address())), &PullOptions::default()))?;
    let stages = RefCell::new(Vec::new());
    let progress = |event: image_store::Progress| stages.borrow_mut().push(event.stage);
    let options = PullOptions { progress: Some(&progress), ..PullOptions::default() };
    ok(to.store.pull(&registry, &name(&format!("{}/a:2", handle.address())), &options))?;
    assert_eq!(stages.borrow().iter().filter(|stage| **stage == Stage::Exists).count(), 1);
    assert_eq!(stages.borrow().iter().filter(|stage| **stage == Stage::Complete).count(), 1);
    Ok(())
}

fn from_async_code() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { round_trip(Storage::Memory) })
}

fn refusals() -> Outcome {
    let (handle, registry, (user, _)) = registry(Storage::Memory)?;
    let place = place()?;
    let image = app(&place.store, "a:1", "x")?;
    let remote = name(&format!("{}/a:1", handle.address()));
    ok(place.store.push(&registry, &image, &remote, None))?;
    let pull = |registry: &Registry, remote: &image_store::Reference| {
        place.store.pull(registry, remote, &PullOptions::default())
    };
    for wrong in [Registry::new(), Registry::new().credential(&user, "wrong"), Registry::new().token("wrong")] {
        let other = name(&format!("{}/a:2", handle.address()));
        expect(&pull(&wrong, &other), |error| matches!(error, Error::Denied { .. }))?;
        expect(&place.store.push(&wrong, &image, &other, None), |error| matches!(error, Error::Denied { .. }))?;
    }
    let unknown = name(&format!("{}/a:3", handle.address()));
    expect(&pull(&registry, &unknown), |error| matches!(error, Error::UnknownImage { .. }))?;
    let unknown = name(&format!("{}/none:1", handle.address()));
    expect(&pull(&registry, &unknown), |error| matches!(error, Error::UnknownImage { .. }))?;
    let pinned = name(&format!("{}/a@{}", handle.address(), Digest::of(b"other")));
    expect(&pull(&registry, &pinned), |error| matches!(error, Error::UnknownImage { .. }))?;
    handle.shutdown();
    let other = name(&remote.to_string().replace("a:1", "b:1"));
    expect(&pull(&registry, &other), |error| {
        let text = crate::util::chain(error);
        matches!(error, Error::Unreachable { .. }) && text.contains("onnection refused") && !text.contains('\n')
    })?;
    assert_eq!(count(&place.store, "ingest") + count(&place.store, "leases"), 0);
    Ok(())
}

fn expect<T>(outcome: &image_store::Result<T>, fits: impl Fn(&Error) -> bool) -> Step<()> {
    match outcome {
        Err(error) if fits(error) => Ok(()),
        Err(error) => fail(format!("another error: {error:?}")),
        Ok(_) => fail("no error"),
    }
}

fn wrong_platform() -> Outcome {
    let (handle, registry, _) = registry(Storage::Memory)?;
    let place = place()?;
    let image = app(&place.store, "a:1", "x")?;
    let remote = name(&format!("{}/a:1", handle.address()));
    ok(place.store.push(&registry, &image, &remote, None))?;
    let platform: Platform = ok("linux/riscv64".parse())?;
    let options = PullOptions { platform: Some(platform), ..PullOptions::default() };
    expect(&place.store.pull(&registry, &remote, &options), |error| matches!(error, Error::NoPlatform { .. }))
}

/// A registry in files whose biggest blob gets another byte at its middle.
fn tampered() -> Outcome {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("registry");
    let (handle, registry, _) = registry(Storage::Dir(root.clone()))?;
    let from = place()?;
    let image = app(&from.store, "a:1", "x")?;
    let remote = name(&format!("{}/a:1", handle.address()));
    ok(from.store.push(&registry, &image, &remote, None))?;
    let victims = [image.layers[0].digest, image.id, image.digest];
    for victim in victims {
        let path = root.join("blobs").join(victim.hex());
        let good = std::fs::read(&path)?;
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        std::fs::write(&path, &bad)?;
        let to = place()?;
        let pulled = to.store.pull(&registry, &remote, &PullOptions::default());
        expect(&pulled, |error| {
            matches!(error, Error::WrongDigest { .. } | Error::Invalid { .. } | Error::Registry { .. })
        })?;
        assert_eq!(ok(to.store.images())?.len(), 0);
        assert_eq!(count(&to.store, "ingest") + count(&to.store, "leases"), 0);
        ok(to.store.gc())?;
        assert_eq!(count(&to.store, "blobs/sha256"), 0);
        std::fs::write(&path, good)?;
    }
    Ok(())
}

/// Between client and registry stands somebody who cuts every connection after a number of bytes.
fn cut_connection() -> Outcome {
    let (handle, registry, _) = registry(Storage::Memory)?;
    let (from, to) = (place()?, place()?);
    let content: String = (0..400_000).map(|number| char::from(b'a' + (number * 7 % 26) as u8)).collect();
    let image = app(&from.store, "a:1", &content)?;
    ok(from.store.push(&registry, &image, &name(&format!("{}/a:1", handle.address())), None))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (front, behind) = (listener.local_addr()?, handle.address());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || relay(client, behind));
        }
    });
    let pulled = ok(to.store.pull(&registry, &name(&format!("{front}/a:1")), &PullOptions::default()))?;
    assert_eq!(pulled.image.digest, image.digest);
    Ok(())
}

/// Passes bytes on both ways; after 300 kB of answers it shuts both sides down.
fn relay(mut client: TcpStream, behind: std::net::SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(behind)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
    while passed < 300_000 {
        let count = server.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        client.write_all(&buffer[..count])?;
        passed += count;
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
    client.shutdown(std::net::Shutdown::Both)
}

fn pull_together() -> Outcome {
    let (handle, registry, (user, password)) = registry(Storage::Memory)?;
    let (from, to) = (place()?, place()?);
    let image = app(&from.store, "a:1", "x")?;
    let remote = name(&format!("{}/a:1", handle.address()));
    ok(from.store.push(&registry, &image, &remote, None))?;
    let role = format!("pull {} {remote} {user} {password}", to.store.root().display());
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(child::command(&role)?.stderr(std::process::Stdio::piped()).spawn()?);
    }
    let outcomes: Vec<Step<()>> = std::thread::scope(|scope| {
        let pull = || {
            let pulled = ok(to.store.pull(&registry, &remote, &PullOptions::default()))?;
            ok(to.store.unpack(&pulled.image)).map(drop)
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(pull)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| fail("a thread panicked"))).collect()
    });
    for process in processes {
        success("a pulling process", &process.wait_with_output()?)?;
    }
    outcomes.into_iter().collect::<Step<Vec<()>>>()?;
    assert_eq!(ok(to.store.images())?.len(), 1);
    assert_eq!(count(&to.store, "ingest") + count(&to.store, "leases"), 0);
    Ok(())
}

fn stopped() -> Outcome {
    let (handle, _, _) = registry(Storage::Memory)?;
    let address = handle.address();
    let open = TcpStream::connect(address)?;
    handle.shutdown();
    assert!(TcpStream::connect(address).is_err());
    drop(open);
    Ok(())
}
