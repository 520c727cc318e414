//! From details to a launch: the specification that container-core is asked to carry out.

use std::path::{Path, PathBuf};

use container_core::spec::{Cpu, Memory, Mount, Pids, Resources, Spec};
use container_core::supervisor::{ContainerDir, Definition};
use container_core::{Launch, NamespaceKind, Rootfs};
use image_store::Snapshot;

use crate::copy::Tree;
use crate::details::{Details, Limits, NetworkMode, Security};
use crate::error::{Error, Result};
use crate::flags::mounts::{MountFlag, Source};
use crate::volumes;

/// The cgroup below which containers have theirs.
pub const CGROUP_PARENT: &str = "/mini-docker";

/// Makes the launch of a container's next run, and the folders that it needs.
///
/// # Errors
/// `Io` for folders that cannot be made, `Refused` for a bind source that must exist and does not.
pub fn launch(
    definition: &Definition,
    details: &Details,
    dir: &ContainerDir,
    snapshot: Snapshot,
    volumes: &Path,
) -> Result<Launch> {
    let mut spec = specification(definition, details);
    let layers = Layers::of(dir, snapshot)?;
    // A place before the places below it, whatever the order of the flags.
    let mut mounts: Vec<&MountFlag> = details.mounts.iter().collect();
    mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
    for mount in mounts {
        spec = spec.mount(mount_of(mount, volumes, &layers)?);
    }
    for name in ["hosts", "hostname", "resolv.conf"] {
        let target = format!("/etc/{name}");
        if details.mounts.iter().all(|mount| mount.target != target) {
            spec = spec.mount(Mount::bind(text_of(&dir.path().join(name))?, target, false));
        }
    }
    let launch = Launch::new(spec, layers.fresh_overlay()?).cgroup_parent(CGROUP_PARENT);
    // Root too is looked up, for its home folder.
    Ok(launch.user(if details.user.is_empty() { "0" } else { details.user.as_str() }))
}

fn specification(definition: &Definition, details: &Details) -> Spec {
    let mut spec = Spec::container(details.args())
        .cwd(details.working_dir.as_str())
        .hostname(details.hostname.as_str())
        .read_only(details.read_only)
        .resources(resources(&details.limits));
    spec.process.env = details.env.clone();
    if !details.env.iter().any(|entry| entry.starts_with("HOSTNAME=")) {
        // Docker's place for it: behind PATH.
        spec.process.env.insert(1.min(details.env.len()), format!("HOSTNAME={}", details.hostname));
    }
    spec.process.terminal = definition.terminal;
    if details.network == NetworkMode::Host {
        spec = spec.share(NamespaceKind::Network);
    }
    if details.host_pid {
        spec = spec.share(NamespaceKind::Pid);
    }
    if let Some(size) = details.shm_size {
        for mount in spec.mounts.iter_mut().filter(|mount| mount.destination == "/dev/shm") {
            mount.options.retain(|option| !option.starts_with("size="));
            mount.options.push(format!("size={size}"));
        }
    }
    secure(spec, &details.security)
}

fn secure(mut spec: Spec, security: &Security) -> Spec {
    if security.privileged {
        spec = spec.privileged();
    }
    if security.seccomp_unconfined {
        spec.linux.seccomp = None;
    }
    spec.process.no_new_privileges = security.no_new_privileges;
    if let Some(held) = &mut spec.process.capabilities {
        for set in [&mut held.bounding, &mut held.effective, &mut held.permitted] {
            *set = capabilities(set, security);
        }
    }
    spec
}

/// Docker's rule: drops first when everything is dropped, else additions first.
fn capabilities(before: &[String], security: &Security) -> Vec<String> {
    let full = |name: &String| {
        let upper = name.to_ascii_uppercase();
        if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
    };
    let is_all = |name: &String| full(name) == "CAP_ALL";
    let dropped: Vec<String> = security.cap_drop.iter().map(full).collect();
    let mut after: Vec<String> = if security.cap_drop.iter().any(is_all) {
        Vec::new()
    } else if security.cap_add.iter().any(is_all) {
        Spec::container([""]).privileged().process.capabilities.map(|all| all.bounding).unwrap_or_default()
    } else {
        before.to_vec()
    };
    after.retain(|name| !dropped.contains(name));
    for name in security.cap_add.iter().filter(|name| !is_all(name)).map(full) {
        if !after.contains(&name) {
            after.push(name);
        }
    }
    after
}

fn resources(limits: &Limits) -> Resources {
    const PERIOD: u64 = 100_000;
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let memory = Memory {
        limit: limits.memory.map(signed),
        reservation: limits.memory_reservation.map(signed),
        swap: limits.memory_swap,
        ..Memory::default()
    };
    let cpu = Cpu {
        shares: limits.cpu_shares,
        quota: limits.nano_cpus.map(|nanos| signed(nanos / (1_000_000_000 / PERIOD)).max(1000)),
        period: limits.nano_cpus.map(|_| PERIOD),
        cpus: limits.cpuset.clone(),
        mems: None,
    };
    Resources {
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids: limits.pids.filter(|limit| *limit > 0).map(|limit| Pids { limit }),
        ..Resources::default()
    }
}

fn mount_of(flag: &MountFlag, volumes: &Path, layers: &Layers) -> Result<Mount> {
    Ok(match &flag.source {
        Source::Bind(path) => {
            if !Path::new(path).exists() {
                if flag.must_exist {
                    let message =
                        format!("invalid mount config for type \"bind\": bind source path does not exist: {path}");
                    return Err(Error::Refused { message });
                }
                std::fs::create_dir_all(path).map_err(Error::io("create the mount source", path.as_str()))?;
            }
            Mount::bind(path.as_str(), flag.target.as_str(), flag.read_only)
        }
        Source::Volume(name) => {
            let place = Path::new(&flag.target);
            let data = volumes::ensure(volumes, name, |data| volumes::fill_from(&layers.tree()?, place, data))?;
            Mount::bind(text_of(&data)?, flag.target.as_str(), flag.read_only)
        }
        Source::Tmpfs(options) => {
            let mut mount = Mount::new(&flag.target, "tmpfs", &["nosuid", "nodev", "noexec"]);
            mount.options.extend(options.split(',').filter(|option| !option.is_empty()).map(str::to_owned));
            mount
        }
    })
}

/// The image's layers and the container's own above them.
#[derive(Debug)]
pub struct Layers {
    snapshot: Snapshot,
    upper: PathBuf,
    work: PathBuf,
}

impl Layers {
    /// Names the folders of a container, and makes its own.
    ///
    /// # Errors
    /// `Io`.
    pub fn of(dir: &ContainerDir, snapshot: Snapshot) -> Result<Self> {
        let (upper, work) = (dir.path().join("fs/upper"), dir.path().join("fs/work"));
        for folder in [&upper, &work] {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        Ok(Self { snapshot, upper, work })
    }

    /// The files of the container while it does not run.
    ///
    /// # Errors
    /// `Io` when the kernel refuses the mount.
    pub fn tree(&self) -> Result<Tree> {
        Tree::overlay(&self.snapshot.lower, &self.upper, &self.work, self.snapshot.userxattr)
    }

    /// The root of the next run. Its work folder is fresh, since an overlay refuses a used one.
    fn fresh_overlay(self) -> Result<Rootfs> {
        let Self { snapshot, upper, work } = self;
        std::fs::remove_dir_all(&work).map_err(Error::io("empty", &work))?;
        std::fs::create_dir(&work).map_err(Error::io("create", &work))?;
        Ok(Rootfs::Overlay { lower: snapshot.lower, upper, work })
    }
}

fn text_of(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::usage(format!("the path {} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        let before = names(&["CAP_CHOWN", "CAP_KILL"]);
        let with = |add: &[&str], drop: &[&str]| {
            let security = Security { cap_add: names(add), cap_drop: names(drop), ..Security::default() };
            capabilities(&before, &security)
        };
        assert_eq!(with(&["net_admin"], &["KILL"]), names(&["CAP_CHOWN", "CAP_NET_ADMIN"]));
        assert_eq!(with(&["CAP_KILL"], &["ALL"]), names(&["CAP_KILL"]));
        assert!(with(&["ALL"], &[]).contains(&"CAP_SYS_ADMIN".to_owned()));
    }

    #[test]
    fn half_a_cpu_is_half_a_period() {
        let limits = Limits { nano_cpus: Some(500_000_000), memory: Some(64 << 20), ..Limits::default() };
        let resources = resources(&limits);
        assert_eq!(resources.cpu.map(|cpu| (cpu.quota, cpu.period)), Some((Some(50_000), Some(100_000))));
        assert_eq!(resources.memory.and_then(|memory| memory.limit), Some(64 << 20));
        assert_eq!(resources.pids, None);
    }
}
