//! Facts about this machine and this process, probed once into a plain value.
//!
//! The compiler of plans takes a [`Host`] as an argument, so both cgroup worlds, root and rootless, are tested on one
//! machine. Absent on purpose: anything that changes between two launches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getegid, geteuid};
use serde::{Deserialize, Serialize};

use crate::spec::IdMapping;
use crate::{Error, Result};

/// What the machine offers and who we are on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// This process already lives in a user namespace that is not the machine's first.
    pub user_namespace: bool,
    /// User ids that exist here.
    pub uid_map: Vec<IdMapping>,
    /// Group ids that exist here.
    pub gid_map: Vec<IdMapping>,
    /// Supplementary groups may be set.
    pub setgroups: bool,
    /// Capabilities that may be held at all.
    pub bounding: u64,
    /// Capabilities in force.
    pub effective: u64,
    /// The highest capability the kernel knows.
    pub last_capability: u32,
    /// Identity of this boot.
    pub boot_id: String,
    /// Control groups.
    pub cgroups: Cgroups,
    /// Security modules that could apply a profile: `apparmor`, `selinux`.
    pub security_modules: Vec<String>,
}

/// The machine's control groups.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cgroups {
    /// Hierarchies of version 1: controller (or `name=…`) to mount point.
    pub v1: BTreeMap<String, PathBuf>,
    /// The unified hierarchy, if mounted.
    pub v2: Option<Unified>,
    /// This process may make groups there.
    pub writable: bool,
    /// The path below which this process may make groups: `/`, or a delegated one.
    pub base: String,
}

/// The unified hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Unified {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Controllers that can be used there.
    pub controllers: Vec<String>,
}

impl Host {
    /// Probes this machine.
    ///
    /// # Errors
    /// `Io` when `/proc` cannot be read; `Unsupported` on a kernel older than 5.12.
    pub fn probe() -> Result<Self> {
        let status = read("/proc/self/status")?;
        let kernel = kernel_version(&read("/proc/sys/kernel/osrelease")?);
        if kernel < (5, 12) {
            return Err(Error::Unsupported {
                feature: format!("launching containers on Linux {}.{}", kernel.0, kernel.1),
                hint: "mount_setattr needs Linux 5.12".to_owned(),
            });
        }
        let uid_map = read("/proc/self/uid_map")?;
        Ok(Self {
            kernel,
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            user_namespace: !maps_everything(&uid_map),
            uid_map: id_map(&uid_map),
            gid_map: id_map(&read("/proc/self/gid_map")?),
            setgroups: read("/proc/self/setgroups").map_or(true, |text| text.trim() != "deny"),
            bounding: hex(&status, "CapBnd:"),
            effective: hex(&status, "CapEff:"),
            last_capability: read("/proc/sys/kernel/cap_last_cap")?.trim().parse().unwrap_or(40),
            boot_id: read("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            cgroups: Cgroups::probe(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup").unwrap_or_default()),
            security_modules: security_modules(),
        })
    }

    /// Tells whether this process may do what only root may: it has `CAP_SYS_ADMIN` here.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.effective & crate::caps::SYS_ADMIN != 0
    }

    /// Tells whether device nodes can be made: not inside a user namespace.
    #[must_use]
    pub const fn makes_devices(&self) -> bool {
        self.is_root() && !self.user_namespace
    }
}

impl Cgroups {
    fn probe(mountinfo: &str, own: &str) -> Self {
        let mut found = Self::parse(mountinfo);
        found.base = "/".to_owned();
        if let Some(unified) = &mut found.v2 {
            unified.controllers = read(unified.mount.join("cgroup.controllers"))
                .map(|text| text.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default();
        }
        let mut roots = found.v1.values().chain(found.v2.as_ref().map(|unified| &unified.mount)).peekable();
        found.writable = roots.peek().is_some() && roots.all(|root| writable(root));
        if !found.writable && found.v1.is_empty() {
            found.use_delegated(own);
        }
        found
    }

    /// A user's manager may have handed this process a group of its own.
    fn use_delegated(&mut self, own: &str) {
        let Some(unified) = &self.v2 else { return };
        let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) else { return };
        if writable(&unified.mount.join(path)) {
            self.writable = true;
            self.base = format!("/{path}");
        }
    }

    /// Reads the cgroup mounts out of a `mountinfo` text. The first mount of a controller counts.
    #[must_use]
    pub fn parse(mountinfo: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let mut after = after.split(' ');
            let (kind, options) = (after.next(), after.nth(1).unwrap_or_default());
            let Some(mount) = before.split(' ').nth(4).map(PathBuf::from) else { continue };
            match kind {
                Some("cgroup2") if found.v2.is_none() => {
                    found.v2 = Some(Unified { mount, controllers: Vec::new() });
                }
                Some("cgroup") => {
                    for option in options.split(',').filter(|option| !matches!(*option, "rw" | "ro" | "xattr")) {
                        found.v1.entry(option.to_owned()).or_insert_with(|| mount.clone());
                    }
                }
                _ => {}
            }
        }
        found
    }
}

fn writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    std::fs::read_to_string(path).map_err(Error::io("read", path))
}

fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn maps_everything(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn id_map(text: &str) -> Vec<IdMapping> {
    let numbers = |line: &str| -> Option<IdMapping> {
        let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
        Some(IdMapping { container_id: numbers.next()??, host_id: numbers.next()??, size: numbers.next()?? })
    };
    text.lines().filter_map(numbers).collect()
}

fn hex(status: &str, field: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    u64::from_str_radix(value.trim(), 16).unwrap_or(0)
}

fn security_modules() -> Vec<String> {
    let list = read("/sys/kernel/security/lsm").unwrap_or_default();
    list.trim().split(',').filter(|name| matches!(*name, "apparmor" | "selinux")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Cgroups, kernel_version, maps_everything};

    #[test]
    fn hybrid_pure_and_absent_cgroups_are_told_apart() {
        let hybrid = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        let found = Cgroups::parse(hybrid);
        assert_eq!(found.v1.keys().collect::<Vec<_>>(), ["cpu", "cpuacct"]);
        assert_eq!(found.v2.unwrap().mount.to_str(), Some("/sys/fs/cgroup/unified"));
        let pure = Cgroups::parse("30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate");
        assert!(pure.v1.is_empty() && pure.v2.is_some());
        assert_eq!(Cgroups::parse("27 1 254:0 / / rw - ext4 /dev/vda rw"), Cgroups::default());
    }

    #[test]
    fn versions_and_maps() {
        assert_eq!(kernel_version("6.18.44-fc\n"), (6, 18));
        assert!(maps_everything("         0          0 4294967295\n"));
        assert!(!maps_everything("0 1000 1\n"));
    }
}
