//! What an honest layer says is what is on disk afterwards.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use super::{Raw, markers, yard};

fn opaque(path: &std::path::Path) -> bool {
    let mut value = [0_u8; 8];
    rustix::fs::getxattr(path, markers().opaque(), &mut value[..]).is_ok_and(|length| &value[..length] == b"y")
}

fn is_whiteout(path: &std::path::Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_char_device() && found.rdev() == 0)
}

#[test]
fn whiteouts_speak_about_the_layers_below() {
    let yard = yard();
    let raw = Raw::default()
        .file("dir/.wh.gone", "")
        .file("dir/.wh.gone", "")
        .file("kept-1", "new")
        .file(".wh.kept-1", "")
        .file(".wh.kept-2", "")
        .file("kept-2", "new")
        .file("opaque/before", "")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/after", "")
        .file(".wh.swapped", "")
        .folder("swapped/")
        .folder("late/")
        .file(".wh.late", "")
        .file(".wh.implied", "")
        .file("implied/file", "")
        .file(".wh..wh.plnk", "");
    let applied = yard.apply(&raw.end(), &[]).unwrap();
    assert!(!applied.opaque_root);
    assert!(is_whiteout(&yard.root.join("dir/gone")));
    assert_eq!(std::fs::read(yard.root.join("kept-1")).unwrap(), b"new");
    assert_eq!(std::fs::read(yard.root.join("kept-2")).unwrap(), b"new");
    for folder in ["opaque", "swapped", "late", "implied"] {
        assert!(opaque(&yard.root.join(folder)), "{folder}");
    }
    assert!(!opaque(&yard.root.join("dir")));
    assert!(yard.root.join("opaque/before").exists() && yard.root.join("opaque/after").exists());
    assert!(
        std::fs::read_dir(&yard.root).unwrap().all(|e| !e.unwrap().file_name().to_string_lossy().starts_with(".wh"))
    );
}

#[test]
fn an_opaque_root_hides_everything() {
    let yard = yard();
    assert!(yard.apply(&Raw::default().file(".wh..wh..opq", "").end(), &[]).unwrap().opaque_root);
}

#[test]
fn the_last_entry_of_a_name_wins() {
    let yard = yard();
    let raw = Raw::default()
        .file("x", "one")
        .file("x", "two")
        .folder("y/")
        .file("y/inner", "")
        .file("y", "file now")
        .file("z", "file")
        .folder("z/")
        .symlink("s", "x")
        .folder("s/")
        .file("p", "file")
        .file("p/below", "folder now");
    yard.apply(&raw.end(), &[]).unwrap();
    assert_eq!(std::fs::read(yard.root.join("x")).unwrap(), b"two");
    assert_eq!(std::fs::read(yard.root.join("y")).unwrap(), b"file now");
    assert!(yard.root.join("z").is_dir());
    assert!(yard.root.join("s").symlink_metadata().unwrap().is_dir());
    assert_eq!(std::fs::read(yard.root.join("p/below")).unwrap(), b"folder now");
}

#[test]
fn attributes_survive() {
    let yard = yard();
    let raw = Raw::default()
        .folder("d/")
        .pax(&[("mtime", b"4102444800.123456789"), ("SCHILY.xattr.user.note", b"v\0w")])
        .file("d/f", "x")
        .hard_link("d/g", "d/f")
        .symlink("d/l", "f")
        .pax(&[("path", format!("{}/{}", "n".repeat(120), "m".repeat(200)).as_bytes())])
        .file("short", "long");
    let mut archive = raw;
    archive.push(&super::header(b"d/setuid", b'0', 0o4755, 0, 7, b""), b"");
    archive.push(&super::header(b"d/fifo", b'6', 0o640, 0, 7, b""), b"");
    yard.apply(&archive.end(), &[]).unwrap();
    let found = yard.root.join("d/f").symlink_metadata().unwrap();
    assert_eq!((found.mtime(), found.mtime_nsec(), found.nlink()), (4_102_444_800, 123_456_789, 2));
    assert_eq!(found.ino(), yard.root.join("d/g").metadata().unwrap().ino());
    assert_eq!(yard.root.join("d").metadata().unwrap().mtime(), 1000);
    assert_eq!(yard.root.join("d/l").symlink_metadata().unwrap().mtime(), 1000);
    assert_eq!(yard.root.join("d/setuid").metadata().unwrap().mode() & 0o7777, 0o4755);
    let fifo = yard.root.join("d/fifo").metadata().unwrap();
    assert!(fifo.file_type().is_fifo() && fifo.mode() & 0o777 == 0o640);
    let mut value = [0_u8; 8];
    if let Ok(length) = rustix::fs::getxattr(yard.root.join("d/f"), "user.note", &mut value[..]) {
        assert_eq!(&value[..length], b"v\0w");
    }
    assert!(yard.root.join("n".repeat(120)).join("m".repeat(200)).exists());
}

#[test]
fn what_is_only_implied_comes_from_below() {
    let (lower, upper) = (yard(), yard());
    let mut raw = Raw::default();
    raw.push(&super::header(b"app/", b'5', 0o750, 0, 77, b""), b"");
    lower.apply(&raw.file("app/lib", "shared").end(), &[]).unwrap();
    let raw = Raw::default().file("app/new", "").hard_link("link", "app/lib").file("fresh/file", "");
    upper.apply(&raw.end(), &[&lower.root]).unwrap();
    let app = upper.root.join("app").metadata().unwrap();
    assert_eq!((app.mode() & 0o7777, app.mtime()), (0o750, 77));
    assert_eq!(upper.root.join("fresh").metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(std::fs::read(upper.root.join("link")).unwrap(), b"shared");
    assert_eq!(lower.root.join("app/lib").metadata().unwrap().nlink(), 1);
}

#[test]
fn links_to_folders_that_are_implied_lead_there() {
    let yard = yard();
    let raw =
        Raw::default().symlink("var/run", "../run").file("var/run/pid", "1").symlink("abs", "/x/y").file("abs/f", "2");
    yard.apply(&raw.end(), &[]).unwrap();
    assert_eq!(std::fs::read(yard.root.join("run/pid")).unwrap(), b"1");
    assert_eq!(std::fs::read(yard.root.join("x/y/f")).unwrap(), b"2");
}

#[test]
fn read_only_folders_can_be_filled_and_removed() {
    let yard = yard();
    let mut raw = Raw::default();
    raw.push(&super::header(b"ro/", b'5', 0o555, 0, 0, b""), b"");
    yard.apply(&raw.file("ro/deep/file", "").end(), &[]).unwrap();
    assert_eq!(yard.root.join("ro").metadata().unwrap().mode() & 0o777, 0o555);
    crate::layer::remove_tree(&yard.root).unwrap();
    assert!(!yard.root.exists());
}
