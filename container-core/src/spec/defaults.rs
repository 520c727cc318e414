//! What `docker run` makes of an image when nobody says otherwise.

use super::{Capabilities, DeviceRule, Linux, Mount, Namespace, Process, Resources, Root, Spec, User};
use crate::NamespaceKind;

/// The capabilities a container keeps.
pub(crate) const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Spec {
    /// A container as `docker run` makes it: new namespaces except the user's, the usual mounts and devices, 14
    /// capabilities, the default system-call filter, hidden and read-only kernel files.
    #[must_use]
    pub fn container<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Self {
        let names = CAPABILITIES.map(str::to_owned).to_vec();
        Self {
            oci_version: "1.2.0".to_owned(),
            process: Process {
                args: args.into_iter().map(Into::into).collect(),
                env: vec![PATH.to_owned()],
                cwd: "/".to_owned(),
                capabilities: Some(Capabilities {
                    bounding: names.clone(),
                    effective: names.clone(),
                    permitted: names,
                    ..Capabilities::default()
                }),
                ..Process::default()
            },
            root: Root::default(),
            mounts: mounts(),
            linux: linux(),
            ..Self::default()
        }
    }

    /// Adds or replaces an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        let prefix = format!("{name}=");
        self.process.env.retain(|entry| !entry.starts_with(&prefix));
        self.process.env.push(prefix + value);
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn cwd(mut self, path: impl Into<String>) -> Self {
        self.process.cwd = path.into();
        self
    }

    /// Sets the host name.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = Some(name.into());
        self
    }

    /// Sets user and group by number. Names are resolved by [`Launch::user`](crate::Launch::user).
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.process.user = User { uid, gid, ..self.process.user };
        self
    }

    /// Adds a mount after those already there.
    #[must_use]
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Makes the root read-only.
    #[must_use]
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.root.readonly = read_only;
        self
    }

    /// Shares a kind of namespace with the host.
    #[must_use]
    pub fn share(mut self, kind: NamespaceKind) -> Self {
        self.linux.namespaces.retain(|namespace| namespace.kind != kind);
        self
    }

    /// Sets the limits, keeping the device rules when `resources` has none.
    #[must_use]
    pub fn resources(mut self, mut resources: Resources) -> Self {
        let before = self.linux.resources.take().unwrap_or_default();
        if resources.devices.is_empty() {
            resources.devices = before.devices;
        }
        self.linux.resources = Some(resources);
        self
    }

    /// Takes away everything that `docker run --privileged` takes away: the filter, the masks, the device rules.
    /// Capabilities become all that the host has.
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.linux.seccomp = None;
        self.linux.masked_paths.clear();
        self.linux.readonly_paths.clear();
        let all: Vec<String> = crate::caps::NAMES.iter().map(|name| format!("CAP_{name}")).collect();
        self.process.capabilities = Some(Capabilities {
            bounding: all.clone(),
            effective: all.clone(),
            permitted: all,
            ..Capabilities::default()
        });
        if let Some(resources) = &mut self.linux.resources {
            resources.devices = vec![rule(true, "a", None, None, "rwm")];
        }
        for mount in &mut self.mounts {
            if matches!(mount.kind.as_deref(), Some("sysfs" | "cgroup")) {
                mount.options.retain(|option| option != "ro");
            }
        }
        self
    }
}

fn mounts() -> Vec<Mount> {
    vec![
        Mount::new("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        Mount::new("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        Mount::new("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        Mount::new("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        Mount::new("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        Mount::new("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        Mount::new("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

fn linux() -> Linux {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Uts};
    Linux {
        namespaces: [Pid, Network, Ipc, Uts, Mount, Cgroup].map(|kind| Namespace { kind, path: None }).to_vec(),
        masked_paths: MASKED.map(str::to_owned).to_vec(),
        readonly_paths: READ_ONLY.map(str::to_owned).to_vec(),
        seccomp: Some(super::Seccomp::docker_default()),
        resources: Some(Resources { devices: device_rules(), ..Resources::default() }),
        ..Linux::default()
    }
}

fn rule(allow: bool, kind: &str, major: Option<i64>, minor: Option<i64>, access: &str) -> DeviceRule {
    DeviceRule { allow, kind: Some(kind.to_owned()), major, minor, access: Some(access.to_owned()) }
}

/// Nothing; then making any node; then the six devices every program expects, and terminals.
fn device_rules() -> Vec<DeviceRule> {
    let mut rules = vec![
        DeviceRule { access: Some("rwm".to_owned()), ..DeviceRule::default() },
        rule(true, "c", None, None, "m"),
        rule(true, "b", None, None, "m"),
    ];
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
        rules.push(rule(true, "c", Some(major), Some(minor), "rwm"));
    }
    rules.push(rule(true, "c", Some(136), None, "rwm"));
    rules
}
