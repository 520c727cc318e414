//! What several cases need: a store in a temporary folder, a registry on loopback, checks that become outcomes.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use image_store::registry_server::{Handle, Storage, random_credential, serve};
use image_store::{Image, LayerEntry, Reference, Registry, Store, base};
use test_lane::Failed;

pub(crate) type Step<T> = Result<T, Failed>;

pub(crate) fn fail<T>(text: impl Into<String>) -> Step<T> {
    Err(Failed::from(text.into()))
}

/// Turns an error with its causes into a failure.
pub(crate) fn ok<T>(outcome: image_store::Result<T>) -> Step<T> {
    outcome.map_err(|error| Failed::from(chain(&error)))
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
}

pub(crate) fn place() -> Step<Place> {
    let folder = tempfile::Builder::new().prefix("image-store-").tempdir()?;
    let store = ok(Store::open(folder.path().join("store")))?;
    Ok(Place { folder, store })
}

pub(crate) fn name(text: &str) -> Reference {
    Reference::parse(text).expect("the name of a test is a name")
}

/// A registry on loopback that asks for a random credential, and how to reach it.
pub(crate) fn registry(storage: Storage) -> Step<(Handle, Registry, (String, String))> {
    let (user, password) = ok(random_credential())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let handle = ok(serve(listener, storage, Some((user.clone(), password.clone()))))?;
    Ok((handle, Registry::new().credential(&user, &password), (user, password)))
}

/// The base image with one more layer.
pub(crate) fn app(store: &Store, tag: &str, content: &str) -> Step<Image> {
    let base = ok(base::ensure(store))?;
    let entry = LayerEntry::file("/srv/app", 0o755, content);
    ok(store.build_layer(&base, &[entry], |config| config.cmd = Some(vec!["/srv/app".into()]), &name(tag)))
}

/// How many entries a folder has.
pub(crate) fn count(store: &Store, folder: &str) -> usize {
    std::fs::read_dir(store.root().join(folder)).map(Iterator::count).unwrap_or(0)
}

/// Runs a program with a limit of time, and wants success.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Step<String> {
    let output = Command::new("timeout").arg("300").arg(program).args(arguments).output()?;
    success(program, &output)
}

pub(crate) fn success(what: &str, output: &Output) -> Step<String> {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(out.into_owned())
    } else {
        fail(format!("{what}: {}: {out}{error}", output.status))
    }
}

/// Waits for something that another process does.
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Step<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        if Instant::now() > deadline {
            return fail(format!("{what} did not happen"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
