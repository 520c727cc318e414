//! Real programs of the field: skopeo reads our layout and our registry, Debian's docker-registry takes our images.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use image_store::registry_server::Storage;
use image_store::{PullOptions, Registry};
use test_lane::{Need, Outcome, Trial, case};

use crate::util::{Step, app, fail, name, ok, place, registry, run, wait_for};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("skopeo reads the store", &[Need::Program("skopeo")], skopeo_reads_the_store),
        case("skopeo pulls from and pushes to the registry", &[Need::Program("skopeo")], skopeo_and_the_registry),
        case("gzip, zstd and Docker's schema 2 come back from skopeo", &[Need::Program("skopeo")], converted),
        case("docker-registry takes and gives images", &[Need::Program("docker-registry")], docker_registry),
    ]
}

fn skopeo_reads_the_store() -> Outcome {
    let place = place()?;
    let image = app(&place.store, "my-app:1.0.0", "x")?;
    let layout = format!("oci:{}:my-app:1.0.0", place.store.root().display());
    let text = run("skopeo", &["inspect", &layout])?;
    let value: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(value["Digest"], image.digest.to_string());
    assert_eq!(value["Layers"].as_array().map(Vec::len), Some(2));
    Ok(())
}

fn skopeo_and_the_registry() -> Outcome {
    let (handle, registry, (user, password)) = registry(Storage::Memory)?;
    let place = place()?;
    let image = app(&place.store, "a:1", "x")?;
    let (one, two) = (format!("{}/a:1", handle.address()), format!("{}/b/c:2", handle.address()));
    ok(place.store.push(&registry, &image, &name(&one), None))?;
    let login = format!("{user}:{password}");
    let copy = ["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];
    let credentials = ["--src-creds", &login, "--dest-creds", &login];
    let (from, to) = (format!("docker://{one}"), format!("docker://{two}"));
    run("skopeo", &[&copy[..], &credentials, &[&from, &to]].concat())?;
    let pulled = ok(place.store.pull(&registry, &name(&two), &PullOptions::default()))?;
    assert_eq!(pulled.image.digest, image.digest);
    let tags = run(
        "skopeo",
        &["list-tags", "--tls-verify=false", "--creds", &login, &format!("docker://{}/a", handle.address())],
    )?;
    assert!(tags.contains("\"1\""), "{tags}");
    run("skopeo", &["delete", "--tls-verify=false", "--creds", &login, &to])?;
    assert!(place.store.pull(&registry, &name(&two), &PullOptions::default()).is_err());
    Ok(())
}

/// The same content in the forms that other programs give it.
fn converted() -> Outcome {
    let (handle, registry, (user, password)) = registry(Storage::Memory)?;
    let place = place()?;
    let image = app(&place.store, "a:1", "x")?;
    let one = format!("{}/a:1", handle.address());
    ok(place.store.push(&registry, &image, &name(&one), None))?;
    let login = format!("{user}:{password}");
    let forms: [(&str, &[&str]); 3] = [
        ("gzip", &["--dest-compress-format", "gzip", "--dest-compress"]),
        ("zstd", &["--dest-compress-format", "zstd", "--dest-compress"]),
        ("schema2", &["--format", "v2s2"]),
    ];
    for (form, options) in forms {
        let to = format!("{}/{form}:1", handle.address());
        // Through a folder, because a copy between registries keeps the blobs as they are.
        let folder = place.folder.path().join(form);
        let between = format!("dir:{}", folder.display());
        let common = ["--insecure-policy", "copy"];
        let (from, target) = (format!("docker://{one}"), format!("docker://{to}"));
        let source = ["--src-tls-verify=false", "--src-creds", &login];
        run("skopeo", &[&common[..], &source, options, &[&from, &between]].concat())?;
        let destination = ["--dest-tls-verify=false", "--dest-creds", &login];
        run("skopeo", &[&common[..], &destination, &[&between, &target]].concat())?;
        let fresh = crate::util::place()?;
        let pulled = ok(fresh.store.pull(&registry, &name(&to), &PullOptions::default()))?;
        assert_eq!(pulled.image.config.diff_ids, image.config.diff_ids, "{form}");
        let snapshot = ok(fresh.store.unpack(&pulled.image))?;
        assert_eq!(std::fs::read(snapshot.lower[0].join("srv/app"))?, b"x");
    }
    Ok(())
}

/// Kills its process when the case is over, however it ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_docker_registry(folder: &std::path::Path) -> Step<(Killed, String)> {
    for _ in 0..5 {
        // The port is free now; the registry takes it a moment later, unless somebody else was faster.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            folder.join("data").display()
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Killed(command.spawn()?);
        let mut over = false;
        wait_for("the start of docker-registry", || {
            over = process.0.try_wait().is_ok_and(|status| status.is_some());
            over || std::net::TcpStream::connect(&address).is_ok()
        })?;
        if !over {
            return Ok((process, address));
        }
    }
    fail("docker-registry does not start")
}

fn docker_registry() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (_process, address) = start_docker_registry(folder.path())?;
    let (from, to) = (place()?, place()?);
    let image = app(&from.store, "a:1", "x")?;
    let remote = name(&format!("{address}/team/a:1"));
    ok(from.store.push(&Registry::new(), &image, &remote, None))?;
    let pulled = ok(to.store.pull(&Registry::new(), &remote, &PullOptions::default()))?;
    assert_eq!((pulled.image.digest, pulled.digest), (image.digest, image.digest));
    let unknown = to.store.pull(&Registry::new(), &name(&format!("{address}/none:1")), &PullOptions::default());
    assert!(matches!(unknown, Err(image_store::Error::UnknownImage { .. })), "{unknown:?}");
    Ok(())
}
