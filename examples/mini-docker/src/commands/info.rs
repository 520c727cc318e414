//! `version` and `info`.

use container_core::Runtime;
use container_core::supervisor::Status;

use super::print;
use crate::engine::Engine;
use crate::error::Result;
use crate::launch::CGROUP_PARENT;
use crate::text::units::binary_size;

pub(super) fn version() -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let os = std::env::consts::OS;
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    print(&format!(
        "Client and engine: mini-docker\n Version:           {version}\n OS/Arch:           {os}/{arch}\n"
    ))?;
    Ok(0)
}

pub(super) fn info(engine: &Engine) -> Result<u8> {
    let all = engine.see_all()?;
    let count = |wanted: &dyn Fn(Status) -> bool| all.iter().filter(|seen| wanted(seen.state.status)).count();
    let runtime = Runtime::new()?;
    let host = runtime.host();
    let cgroup = match (&host.cgroups.v2, host.cgroups.v1.is_empty()) {
        (Some(_), true) => "2",
        (Some(_), false) => "1 and 2 (hybrid)",
        (None, false) => "1",
        (None, true) => "none",
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let rootless = if host.is_root() && !host.user_namespace { "" } else { "\n  rootless" };
    let text = format!(
        "Containers: {}\n Running: {}\n Paused: {}\n Stopped: {}\nImages: {}\nServer Version: {}\nStorage Driver: \
         overlayfs\nLogging Driver: json-file\nCgroup Driver: cgroupfs\nCgroup Version: {cgroup}\nCgroup Parent: \
         {CGROUP_PARENT}\nNetwork: bridge host none (bridge {})\nSecurity Options:\n  seccomp\n   Profile: \
         builtin{rootless}\nKernel Version: {}\nOSType: linux\nArchitecture: {}\nCPUs: {}\nTotal Memory: {}\nName: \
         {name}\nDocker Root Dir: {}\n",
        all.len(),
        count(&|status| matches!(status, Status::Running | Status::Restarting)),
        count(&|status| status == Status::Paused),
        count(&|status| !status.is_active()),
        engine.store().images()?.len(),
        env!("CARGO_PKG_VERSION"),
        engine.bridge_name(),
        kernel.trim(),
        std::env::consts::ARCH,
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        total_memory(),
        engine.root().display(),
    );
    print(&text)?;
    Ok(0)
}

fn total_memory() -> String {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kilobytes: u64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
    binary_size(kilobytes << 10)
}
