//! The bench's container: a static busybox as root file system and Docker's defaults around `true`, as a folder that
//! every contender can use.
//!
//! Absent: images. The bundle is made of the host's own busybox, so no registry is needed.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::floor::Cgroup;
use container_core::Spec;
use container_core::spec::{Memory, Pids, Resources, Seccomp};

/// A folder with `config.json` and `rootfs`, removed when dropped.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
}

impl Bundle {
    /// Makes one below the temporary folder.
    ///
    /// # Errors
    /// No static busybox, or a failed file operation.
    pub fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("launch-bench-{}", std::process::id()));
        let rootfs = path.join("rootfs");
        let made = Self { path };
        for folder in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
            fs::create_dir_all(rootfs.join(folder))?;
        }
        fs::copy("/bin/busybox", rootfs.join("bin/busybox"))?;
        for applet in ["sh", "true"] {
            symlink("busybox", rootfs.join("bin").join(applet))?;
        }
        let mut spec = spec();
        // The peers know the filter only as rules.
        spec.linux.seccomp = Some(written_out(&spec)?);
        spec.root.path = "rootfs".to_owned();
        fs::write(made.path.join("config.json"), spec.to_json())?;
        Ok(made)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // Nothing is mounted there outside of containers; what cannot be removed is left in the temporary folder.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Docker's defaults with a memory and a process limit, running `true`.
#[must_use]
pub fn spec() -> Spec {
    let memory = Memory { limit: Some(256 << 20), ..Memory::default() };
    let resources = Resources { memory: Some(memory), pids: Some(Pids { limit: 256 }), ..Resources::default() };
    let mut spec = Spec::container(["/bin/true"]).hostname("bench").resources(resources);
    spec.process.no_new_privileges = true;
    spec
}

fn problem(problem: &container_core::Problem) -> io::Error {
    io::Error::other(problem.to_string())
}

fn written_out(spec: &Spec) -> io::Result<Seccomp> {
    let bounding = spec.process.capabilities.clone().unwrap_or_default().bounding;
    Seccomp::docker_default().written_out(&bounding).map_err(|found| problem(&found))
}

/// The library's own filter, as the kernel takes it.
fn filter(spec: &Spec) -> io::Result<Vec<nix::libc::sock_filter>> {
    let bounding = spec.process.capabilities.clone().unwrap_or_default().bounding;
    let words = Seccomp::docker_default().compiled(&bounding).map_err(|found| problem(&found))?;
    let split = |word: u64| {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = word.to_le_bytes();
        let (code, k) = (u16::from_le_bytes([c0, c1]), u32::from_le_bytes([k0, k1, k2, k3]));
        nix::libc::sock_filter { code, jt, jf, k }
    };
    Ok(words.into_iter().map(split).collect())
}

const DEVICES: [&str; 11] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// Docker's fourteen capabilities as a mask.
const CAPABILITIES: [u64; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/// The floor's configuration for the same container: the same limits, masks, capabilities and filter.
///
/// # Errors
/// What is missing on this machine.
pub fn floor(bundle: &Path) -> io::Result<crate::floor::Config> {
    let spec = spec();
    let parent = |tree: &str| {
        let parent = Path::new("/sys/fs/cgroup").join(tree).join("launch-bench");
        fs::create_dir_all(&parent).map(|()| parent)
    };
    let cgroup = |controller: &'static str, limits: Vec<(&str, &str)>| {
        let limits = limits.into_iter().map(|(file, value)| (file.to_owned(), value.to_owned())).collect();
        parent(controller).map(|parent| Cgroup { controller, parent, limits })
    };
    let allowed = DEVICES.iter().map(|rule| ("devices.allow", *rule));
    Ok(crate::floor::Config {
        rootfs: bundle.join("rootfs"),
        arguments: vec!["/bin/true".to_owned()],
        cgroups: vec![
            cgroup("memory", vec![("memory.limit_in_bytes", "268435456")])?,
            cgroup("cpu", Vec::new())?,
            cgroup("cpuacct", Vec::new())?,
            cgroup("pids", vec![("pids.max", "256")])?,
            cgroup("devices", std::iter::once(("devices.deny", "a")).chain(allowed).collect())?,
        ],
        unified: parent("unified")?,
        last_capability: fs::read_to_string("/proc/sys/kernel/cap_last_cap")?
            .trim()
            .parse()
            .map_err(io::Error::other)?,
        capabilities: CAPABILITIES.iter().fold(0, |mask, number| mask | 1 << number),
        filter: filter(&spec)?,
        masked: spec.linux.masked_paths,
        read_only: spec.linux.readonly_paths,
    })
}
