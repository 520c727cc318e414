//! From a container of a manifest and the image it names to the specification that the runtime launches. Pure.
//!
//! The manifest's command replaces the image's entrypoint, its arguments the image's arguments; security context and
//! resources become capabilities, users and limits. What cannot be had here (privileged containers) is refused with
//! the reason, never dropped in silence.

use container_core::spec::{Cpu, Memory, Mount, Pids, Resources};
use container_core::{NamespaceKind, Spec};
use image_store::ImageConfig;
use orchestrate_core::node::ContainerConfig;
use orchestrate_core::objects::{Container, Pod, Quantity};

/// Processes that one container may have at most.
const PIDS: i64 = 4096;

/// What is mounted over the image, beside the manifest's volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) read_only: bool,
}

/// The specification, and the user as the runtime looks it up in the image.
pub(super) fn specification(
    pod: &Pod,
    container: &Container,
    image: &ImageConfig,
    config: &ContainerConfig,
    binds: &[Bind],
) -> Result<(Spec, String), String> {
    let security = container.security_context.as_ref();
    if security.and_then(|context| context.privileged) == Some(true) {
        return Err("privileged containers are refused: a pod must not own its host".to_owned());
    }
    let args = command(config, image);
    if args.is_empty() {
        return Err(format!("neither the manifest nor image {} names a command", container.image));
    }
    let mut spec = Spec::container(args).hostname(hostname(pod));
    for pair in &image.env {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        spec = spec.env(name, value);
    }
    spec = spec.env("HOSTNAME", &hostname(pod));
    for (name, value) in &config.env {
        spec = spec.env(name, value);
    }
    let folder = if container.working_dir.is_empty() { &image.working_dir } else { &container.working_dir };
    spec = spec.cwd(if folder.is_empty() { "/" } else { folder });
    for bind in binds {
        spec = spec.mount(Mount::bind(&bind.source, &bind.destination, bind.read_only));
    }
    spec = spec.resources(resources(container));
    spec.process.oom_score_adj = Some(oom_score(pod));
    let read_only = security.and_then(|context| context.read_only_root_filesystem).unwrap_or(false);
    spec = spec.read_only(read_only).share(NamespaceKind::Network);
    if security.and_then(|context| context.allow_privilege_escalation) == Some(false) {
        spec.process.no_new_privileges = true;
    }
    if let Some(changes) = security.and_then(|context| context.capabilities.as_ref()) {
        capabilities(&mut spec, &changes.add, &changes.drop);
    }
    let user = user(pod, container, image)?;
    Ok((spec, user))
}

/// Host name of the pod's containers.
pub(super) fn hostname(pod: &Pod) -> String {
    let name = if pod.spec.hostname.is_empty() { &pod.metadata.name } else { &pod.spec.hostname };
    name.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

fn command(config: &ContainerConfig, image: &ImageConfig) -> Vec<String> {
    match (config.command.is_empty(), config.args.is_empty()) {
        (false, _) => [config.command.clone(), config.args.clone()].concat(),
        (true, false) => [image.entrypoint.clone().unwrap_or_default(), config.args.clone()].concat(),
        (true, true) => image.command(),
    }
}

fn resources(container: &Container) -> Resources {
    let limit = |name: &str| container.resources.limits.get(name).copied();
    let request = |name: &str| container.resources.requests.get(name).copied().or_else(|| limit(name));
    let memory = limit("memory").map(|amount| amount.value());
    let cpu = limit("cpu").map(|amount| amount.milli());
    // As kubelet turns milli-cores into shares: 1024 per core, two at least.
    let shares = u64::try_from(request("cpu").map_or(0, |cpu| cpu.milli()) * 1024 / 1000).unwrap_or(0).max(2);
    Resources {
        memory: memory.map(|limit| Memory { limit: Some(limit), swap: Some(limit), ..Memory::default() }),
        cpu: Some(Cpu {
            shares: Some(shares),
            // A hundredth of a core is the least the kernel takes.
            quota: cpu.map(|milli| (milli * 100).max(1000)),
            period: cpu.map(|_| 100_000),
            ..Cpu::default()
        }),
        pids: Some(Pids { limit: PIDS }),
        ..Resources::default()
    }
}

/// How readily the kernel ends the pod when memory is short: guaranteed pods last.
fn oom_score(pod: &Pod) -> i32 {
    let zero = Quantity::default();
    let each = |resource: &str| {
        pod.spec.containers.iter().all(|container| {
            let limit = container.resources.limits.get(resource).copied().unwrap_or_default();
            limit > zero && container.resources.requests.get(resource).copied().unwrap_or(limit) == limit
        })
    };
    let any =
        |container: &Container| !container.resources.requests.is_empty() || !container.resources.limits.is_empty();
    match (each("cpu") && each("memory"), pod.spec.containers.iter().any(any)) {
        // Lowering below one's own value needs a capability that even root may lack.
        (true, _) => 0,
        (false, true) => 500,
        (false, false) => 1000,
    }
}

fn capabilities(spec: &mut Spec, add: &[String], drop: &[String]) {
    let name = |short: &String| {
        let upper = short.to_ascii_uppercase();
        if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
    };
    let Some(sets) = &mut spec.process.capabilities else { return };
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        if drop.iter().any(|one| one.eq_ignore_ascii_case("all")) {
            set.clear();
        }
        let (drop, add) = (drop.iter().map(name).collect::<Vec<_>>(), add.iter().map(name));
        set.retain(|held| !drop.contains(held));
        for one in add {
            if !set.contains(&one) {
                set.push(one);
            }
        }
    }
}

fn user(pod: &Pod, container: &Container, image: &ImageConfig) -> Result<String, String> {
    let (own, shared) = (container.security_context.as_ref(), pod.spec.security_context.as_ref());
    let uid = own.and_then(|c| c.run_as_user).or_else(|| shared.and_then(|c| c.run_as_user));
    let gid = own.and_then(|c| c.run_as_group).or_else(|| shared.and_then(|c| c.run_as_group));
    let non_root = own.and_then(|c| c.run_as_non_root).or_else(|| shared.and_then(|c| c.run_as_non_root));
    let user = match (uid, gid) {
        (Some(uid), Some(gid)) => format!("{uid}:{gid}"),
        (Some(uid), None) => uid.to_string(),
        (None, Some(gid)) => format!("{}:{gid}", image.user.split(':').next().filter(|u| !u.is_empty()).unwrap_or("0")),
        (None, None) => image.user.clone(),
    };
    let name = user.split(':').next().unwrap_or_default();
    match (non_root, name.parse::<u32>()) {
        (Some(true), Ok(0)) => Err("container has runAsNonRoot and image will run as root".to_owned()),
        (Some(true), Err(_)) if name.is_empty() || name == "root" => {
            Err("container has runAsNonRoot and image will run as root".to_owned())
        }
        (Some(true), Err(_)) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        )),
        _ => Ok(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(value: serde_json::Value) -> Container {
        serde_json::from_value(value).unwrap()
    }

    fn image() -> ImageConfig {
        ImageConfig {
            entrypoint: Some(vec!["/app".to_owned()]),
            cmd: Some(vec!["--port".to_owned(), "80".to_owned()]),
            env: vec!["PATH=/bin".to_owned(), "APP_VERSION=1.0.0".to_owned()],
            ..ImageConfig::default()
        }
    }

    fn spec(value: serde_json::Value) -> Result<(Spec, String), String> {
        let mut pod = Pod::default();
        pod.metadata.name = "web-1".to_owned();
        let container = container(value);
        let (command, args) = (container.command.clone(), container.args.clone());
        let config = ContainerConfig { command, args, env: vec![("NAME".to_owned(), "x".to_owned())] };
        specification(&pod, &container, &image(), &config, &[])
    }

    #[test]
    fn commands_and_arguments_replace_the_images_as_kubernetes_has_it() {
        let args = |value| spec(value).unwrap().0.process.args;
        assert_eq!(args(serde_json::json!({"name": "a"})), ["/app", "--port", "80"]);
        assert_eq!(args(serde_json::json!({"name": "a", "args": ["x"]})), ["/app", "x"]);
        assert_eq!(args(serde_json::json!({"name": "a", "command": ["sh"]})), ["sh"]);
        assert_eq!(args(serde_json::json!({"name": "a", "command": ["sh"], "args": ["-c"]})), ["sh", "-c"]);
    }

    #[test]
    fn limits_become_the_kernels_numbers() {
        let (spec, _) = spec(serde_json::json!({"name": "a", "resources": {
            "limits": {"memory": "64Mi", "cpu": "500m"}, "requests": {"cpu": "250m"}}}))
        .unwrap();
        let resources = spec.linux.resources.unwrap();
        assert_eq!(resources.memory.unwrap().limit, Some(64 << 20));
        let cpu = resources.cpu.unwrap();
        assert_eq!((cpu.shares, cpu.quota, cpu.period), (Some(256), Some(50_000), Some(100_000)));
        assert!(!resources.devices.is_empty());
    }

    #[test]
    fn what_cannot_be_granted_is_refused() {
        assert!(spec(serde_json::json!({"name": "a", "securityContext": {"privileged": true}})).is_err());
        let root = serde_json::json!({"name": "a", "securityContext": {"runAsNonRoot": true}});
        assert!(spec(root).unwrap_err().contains("runAsNonRoot"));
        let user = serde_json::json!({"name": "a", "securityContext": {"runAsNonRoot": true, "runAsUser": 1000}});
        assert_eq!(spec(user).unwrap().1, "1000");
    }

    #[test]
    fn dropped_capabilities_are_gone() {
        let context = serde_json::json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}});
        let (spec, _) = spec(serde_json::json!({"name": "a", "securityContext": context})).unwrap();
        assert_eq!(spec.process.capabilities.unwrap().effective, ["CAP_NET_BIND_SERVICE"]);
    }
}
