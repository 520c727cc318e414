//! The root: mounted where only this mount namespace sees it, entered, at last sealed.

use std::path::{Path, PathBuf};

use container_child::op::Op;

use super::Input;
use super::options::{MS_BIND, MS_PRIVATE, MS_REC, propagation_flag};
use crate::options::Rootfs;
use crate::plan::Builder;

/// Longest option text that mount(2) takes, with its NUL.
const DATA_MAX: usize = 4095;

pub(super) fn enter(input: &Input<'_>, b: &mut Builder) {
    match input.rootfs {
        Rootfs::Path(path) => folder(path, b),
        Rootfs::Overlay { lower, upper, work } => overlay(input, lower, upper, work, b),
    }
}

fn folder(path: &Path, b: &mut Builder) {
    let path = utf8(path, "root.path", b);
    let [source, target] = [(); 2].map(|()| b.text(&path, "root.path"));
    let [fstype, data] = [(); 2].map(|()| b.text("", "root.path"));
    // Covers the same folder, in this mount namespace only: the new root must be a mount.
    b.op(Op::Mount { source, target, fstype, flags: MS_BIND | MS_REC, data }, "root.path");
    let path = b.text(&path, "root.path");
    b.op(Op::Enter { path }, "root.path");
}

fn overlay(input: &Input<'_>, lower: &[PathBuf], upper: &Path, work: &Path, b: &mut Builder) {
    if lower.is_empty() {
        b.problem("root", "is an overlay without a lower layer");
        return;
    }
    let layers: Vec<String> = lower.iter().map(|layer| escape(&utf8(layer, "root.lower", b))).collect();
    let (upper, work) = (utf8(upper, "root.upper", b), utf8(work, "root.work", b));
    let mut data = format!("lowerdir={},upperdir={},workdir={}", layers.join(":"), escape(&upper), escape(&work));
    // Inside a user namespace only user.* attributes can be written.
    if input.confined() && input.host.kernel >= (5, 11) {
        data.push_str(",userxattr");
    } else if input.host.kernel >= (5, 10) {
        // No sync of the whole upper file system when the container ends.
        data.push_str(",volatile");
    }
    if data.len() > DATA_MAX {
        b.problem("root.lower", format!("makes {} bytes of overlay options, more than {DATA_MAX}", data.len()));
    }
    let [source, fstype] = [b.text("overlay", "root"), b.text("overlay", "root")];
    let target = b.text(&upper, "root.upper");
    let data = b.text(&data, "root");
    b.op(Op::Mount { source, target, fstype, flags: 0, data }, "root");
    b.op(Op::Enter { path: target }, "root");
}

/// `volatile` is only used with a fresh work folder; the characters that separate options are escaped.
fn escape(path: &str) -> String {
    path.replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

fn utf8(path: &Path, field: &str, b: &mut Builder) -> String {
    if !path.is_absolute() {
        b.problem(field, "is not an absolute path");
    }
    path.to_str().map_or_else(
        || {
            b.problem(field, "is no UTF-8 text");
            String::new()
        },
        str::to_owned,
    )
}

pub(super) fn propagation(input: &Input<'_>, b: &mut Builder) {
    let Some(name) = &input.spec.linux.rootfs_propagation else { return };
    match propagation_flag(name) {
        Some(flags) if flags & !MS_REC == MS_PRIVATE => {}
        Some(flags) => b.op(Op::Propagation { flags }, "linux.rootfsPropagation"),
        None => b.problem("linux.rootfsPropagation", format!("does not know {name:?}")),
    }
}

/// Read-only at last, after the folders that mounts needed were made.
pub(super) fn seal(input: &Input<'_>, b: &mut Builder) {
    if input.spec.root.readonly {
        b.op(Op::RootAttrs { set: 1 }, "root.readonly");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn overlay_paths_cannot_add_options() {
        assert_eq!(super::escape("/a:b,c\\d"), "/a\\:b\\,c\\\\d");
    }
}
