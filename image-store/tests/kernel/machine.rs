//! The base image really runs, for every kind of user; overlay understands the layers; a full disk leaves nothing.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use image_store::base::{self, Recipe, Tools};
use image_store::{Error, LayerEntry, PullOptions, Store};
use test_lane::{Need, Outcome, Trial, case};

use crate::child;
use crate::util::{Step, app, count, fail, name, ok, place, registry, success};

/// An id without a name on most machines.
const NOBODY: u32 = 65_534;

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("the base image runs as root", &[Need::Root], || run_base(Tools::Best)),
        case("the base image of the host's tools runs as root", &[Need::Root], || run_base(Tools::Host)),
        case("a program of the host runs in the base image", &[Need::Root], program_runs),
        case("overlay understands whiteouts and opaque folders", &[Need::Root], overlay_as_root),
        case("the base image runs in a user namespace", &[Need::UserNamespaces], in_user_namespace),
        case("an ordinary user gets the same base image", &[Need::Root], as_nobody),
        case("an ordinary user may not look into the store", &[Need::Root], store_is_private),
        case("a full disk is said and leaves nothing", &[Need::Root], full_disk),
    ]
}

/// Runs a script below a root folder, in a mount namespace of its own.
fn chroot(root: &Path, script: &str) -> Step<String> {
    let mut command = Command::new("chroot");
    command.arg(root).args(["/bin/sh", "-c", script]).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    success(script, &command.output()?)
}

fn run_base(tools: Tools) -> Outcome {
    let place = place()?;
    let recipe = match Recipe::from_host(tools) {
        Ok(recipe) => recipe,
        Err(error) => return fail(error.to_string()),
    };
    let image = ok(recipe.build(&place.store, &name("base")))?;
    let snapshot = ok(place.store.unpack(&image))?;
    let script = "echo $((6*7)); ls / | head -3 >/dev/null; id -u; cat /etc/hostname; sleep 0; env | grep -c PATH; \
                  printf x | wc -c; mkdir -p /tmp/x && rm -r /tmp/x; ps >/dev/null 2>&1; echo done";
    let out = chroot(&snapshot.lower[0], script)?;
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["42", "0", "base", "1", "1", "done"]);
    Ok(())
}

fn program_runs() -> Outcome {
    let place = place()?;
    let base = ok(base::ensure(&place.store))?;
    let files = ok(base::program(&std::env::current_exe()?, "/srv/self"))?;
    let image = ok(place.store.build_layer(&base, &files, |_| {}, &name("self:1")))?;
    let snapshot = ok(place.store.unpack(&image))?;
    with_overlay(&snapshot.lower, |merged| {
        let out = chroot(merged, "/srv/self --list")?;
        if out.contains("the base image runs as root") { Ok(()) } else { fail(out) }
    })
}

/// Mounts the layers in a mount namespace that only one thread is in.
fn with_overlay(lower: &[std::path::PathBuf], check: impl FnOnce(&Path) -> Step<()> + Send) -> Step<()> {
    let folder = tempfile::tempdir()?;
    for name in ["merged", "upper", "work"] {
        std::fs::create_dir(folder.path().join(name))?;
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            private_mounts()?;
            let lower: Vec<_> = lower.iter().map(|path| path.display().to_string()).collect();
            let (upper, work) = (folder.path().join("upper"), folder.path().join("work"));
            let options =
                format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
            let merged = folder.path().join("merged");
            mount("overlay", &merged, "overlay", &options)?;
            check(&merged)
        });
        thread.join().unwrap_or_else(|_| fail("the check panicked"))
    })
}

fn private_mounts() -> Step<()> {
    use nix::mount::MsFlags;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS | nix::sched::CloneFlags::CLONE_FS)?;
    let none: Option<&str> = None;
    Ok(nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?)
}

fn mount(source: &str, target: &Path, kind: &str, options: &str) -> Step<()> {
    Ok(nix::mount::mount(Some(source), target, Some(kind), nix::mount::MsFlags::empty(), Some(options))?)
}

fn overlay_as_root() -> Outcome {
    let place = place()?;
    let base = ok(base::ensure(&place.store))?;
    let lower = [
        LayerEntry::file("/d/old", 0o644, "old"),
        LayerEntry::file("/gone", 0o644, "gone"),
        LayerEntry::file("/o/x", 0o600, "x"),
    ];
    let middle = ok(place.store.build_layer(&base, &lower, |_| {}, &name("a:1")))?;
    let upper = [
        LayerEntry::file("/.wh.gone", 0, ""),
        LayerEntry::file("/o/.wh..wh..opq", 0, ""),
        LayerEntry::file("/o/y", 0o600, "y"),
    ];
    let image = ok(place.store.build_layer(&middle, &upper, |_| {}, &name("a:2")))?;
    let snapshot = ok(place.store.unpack(&image))?;
    assert_eq!((snapshot.lower.len(), snapshot.userxattr), (3, false));
    with_overlay(&snapshot.lower, |merged| {
        assert!(merged.join("d/old").exists() && !merged.join("gone").exists());
        assert!(!merged.join("o/x").exists() && merged.join("o/y").exists());
        assert!(merged.join("bin/sh").exists());
        Ok(())
    })
}

/// As rootless runtimes do it: one id mapped, everything below a user namespace of its own.
fn in_user_namespace() -> Outcome {
    let place = place()?;
    let role = format!("base {}", place.store.root().display());
    let script = "set -e; out=$(\"$0\"); set -- $out; test \"$2\" = true; cd \"$3\"; mkdir \"$D/m\" \"$D/u\" \"$D/w\"; \
        mount -t overlay -o userxattr,lowerdir=\"$3\",upperdir=\"$D/u\",workdir=\"$D/w\" overlay \"$D/m\"; \
        chroot \"$D/m\" /bin/sh -c 'id -u; echo in > /tmp/file; cat /tmp/file'";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(std::env::current_exe()?);
    command.env(child::ROLE, role).env("D", place.folder.path());
    let out = success("unshare", &command.output()?)?;
    assert_eq!(out, "0\nin\n");
    Ok(())
}

/// The digest does not depend on who makes it, and unpacking asks for no privilege.
fn as_nobody() -> Outcome {
    let place = place()?;
    let digest = ok(base::ensure(&place.store))?.digest;
    let folder = tempfile::Builder::new().prefix("image-store-nobody-").tempdir()?;
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
    // The test program itself may lie where others cannot look.
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe()?, &program)?;
    let mut command = Command::new(&program);
    command.env(child::ROLE, format!("base {}", folder.path().join("store").display()));
    let out = success("as nobody", &command.uid(NOBODY).gid(NOBODY).current_dir("/").output()?)?;
    if out.starts_with(&format!("{digest} true ")) { Ok(()) } else { fail(format!("{digest}: {out}")) }
}

fn store_is_private() -> Outcome {
    let place = place()?;
    ok(base::ensure(&place.store))?;
    std::os::unix::fs::chown(place.folder.path(), Some(NOBODY), Some(NOBODY))?;
    let mut command = Command::new("ls");
    command
        .arg(place.store.root())
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    if command.status()?.success() { fail("another user listed the store") } else { Ok(()) }
}

fn full_disk() -> Outcome {
    let (handle, registry, _) = registry(image_store::registry_server::Storage::Memory)?;
    let from = place()?;
    let image = app(&from.store, "a:1", &"x".repeat(3 << 20))?;
    let remote = name(&format!("{}/a:1", handle.address()));
    ok(from.store.push(&registry, &image, &remote, None))?;
    let folder = tempfile::tempdir()?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| -> Step<()> {
            private_mounts()?;
            mount("tmpfs", folder.path(), "tmpfs", "size=2m")?;
            let store = ok(Store::open(folder.path().join("store")))?;
            let outcome = store.pull(&registry, &remote, &PullOptions::default());
            match &outcome {
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => {}
                other => return fail(format!("{other:?}")),
            }
            assert_eq!(count(&store, "ingest") + count(&store, "leases") + ok(store.images())?.len(), 0);
            ok(store.gc())?;
            assert_eq!(count(&store, "blobs/sha256"), 0);
            let built = base::ensure(&store);
            assert!(built.is_err() && count(&store, "ingest") == 0);
            Ok(())
        });
        thread.join().unwrap_or_else(|_| fail("the check panicked"))
    })
}
