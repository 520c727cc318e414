//! Starts one container of a pod: image → configuration → specification → runtime.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use container_core::{ContainerId, Launch, Missing, NamespaceKind, Rootfs, Stdio};
use image_store::Image;
use orchestrate_core::Resource as _;
use orchestrate_core::action::Note;
use orchestrate_core::node::{Addresses, container_config};
use orchestrate_core::objects::{Container, Pod};

use super::clock;
use super::hands::{Hands, Refusal, stop_signal};
use super::launch::{Bind, specification};
use super::live::Live;
use super::sandbox::Sandbox;
use crate::error::chain;

/// Starts it, or says why not in the words of a container's status.
pub(super) fn start(hands: &Hands, pod: &Pod, sandbox: &Sandbox, name: &str, attempt: u32) -> Result<Live, Refusal> {
    let mut all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    let container = all.find(|one| one.name == name).ok_or_else(|| config_error(format!("no container {name}")))?;
    let image = hands.shared.store.resolve(&container.image).map_err(|error| create_error(chain(&error)))?;
    let (ip, host) = (sandbox.ip.to_string(), hands.identity.address.to_string());
    let at = Addresses { pod_ip: &ip, host_ip: &host };
    let config = hands.shared.control.world(|world| container_config(pod, container, world, at));
    let config = config.map_err(|error| config_error(error.to_string()))?;
    let dir = sandbox.dir.join("containers").join(name).join(attempt.to_string());
    let log = sandbox.dir.join("logs").join(name).join(attempt.to_string());
    clear_older(sandbox, name, attempt);
    prepare(&dir).map_err(|error| create_error(format!("cannot prepare {}: {error}", dir.display())))?;
    let mut binds = sandbox.binds(container).map_err(config_error)?;
    binds.push(Bind {
        source: dir.join("termination-log").display().to_string(),
        destination: match container.termination_message_path.as_str() {
            "" => "/dev/termination-log".to_owned(),
            path => path.to_owned(),
        },
        read_only: false,
    });
    let (spec, user) = specification(pod, container, &image.config, &config, &binds).map_err(config_error)?;
    let rootfs = rootfs(hands, &image, &dir)?;
    let namespace = sandbox.namespace.as_fd().try_clone_to_owned().map_err(|e| create_error(e.to_string()))?;
    let mut launch = Launch::new(spec, rootfs)
        .stdout(Stdio::Piped)
        .stderr(Stdio::Piped)
        .join(NamespaceKind::Network, namespace)
        .cgroup_parent(format!("{}/pod{}", hands.cgroup, pod.metadata.uid));
    if !user.is_empty() {
        launch = launch.user(user);
    }
    if !hands.shared.runtime.host().cgroups.writable {
        // Without cgroups of its own an ordinary user's node runs without limits.
        launch = launch.missing(Missing::Degrade);
    }
    run(hands, pod, container, &image, launch, (dir, log), attempt)
}

fn run(
    hands: &Hands,
    pod: &Pod,
    container: &Container,
    image: &Image,
    launch: Launch,
    (dir, log): (std::path::PathBuf, std::path::PathBuf),
    attempt: u32,
) -> Result<Live, Refusal> {
    let uid = &pod.metadata.uid;
    let id = ContainerId::new(format!("{}-{attempt}", container.name)).map_err(|e| create_error(chain(&e)))?;
    let mut started = hands
        .shared
        .runtime
        .run(&id, launch)
        .map_err(|error| Refusal { reason: "RunContainerError".to_owned(), message: chain(&error) })?;
    let pipes = [started.take_stdout().map(OwnedFd::from), started.take_stderr().map(OwnedFd::from)];
    report_limits(hands, pod, &started);
    let manifest = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    Ok(Live {
        uid: uid.clone(),
        name: container.name.clone(),
        attempt,
        id: format!("container-core://{uid}-{id}"),
        image_id: image.id.to_string(),
        since: clock::now(),
        pipes: Mutex::new(pipes),
        log,
        dir,
        stop_signal: stop_signal(manifest, image.config.stop_signal.as_deref()),
        container: started,
    })
}

/// Says which limits hold only on paper here.
fn report_limits(hands: &Hands, pod: &Pod, started: &container_core::Container) {
    if started.not_enforced().is_empty() {
        return;
    }
    hands.tell(&Note {
        about: pod.reference(),
        warning: true,
        reason: "LimitsNotEnforced".to_owned(),
        message: format!("not enforced on this machine: {}", started.not_enforced().join(", ")),
        component: "kubelet".to_owned(),
    });
}

/// Removes what older runs wrote; the log of the one before stays.
fn clear_older(sandbox: &Sandbox, name: &str, attempt: u32) {
    let older = |kind: &str, ago: u32| {
        let run = attempt.checked_sub(ago).map(|run| sandbox.dir.join(kind).join(name).join(run.to_string()));
        // What cannot be removed now goes with the pod.
        run.map(|run| crate::state::remove_tree(&run))
    };
    let _ = older("containers", 1);
    let _ = older("logs", 2);
}

/// A fresh folder for one run.
fn prepare(dir: &std::path::Path) -> std::io::Result<()> {
    for folder in ["upper", "work"] {
        fs::create_dir_all(dir.join(folder))?;
    }
    fs::write(dir.join("termination-log"), "")
}

/// The image's layers below a folder of the run's own.
fn rootfs(hands: &Hands, image: &Image, dir: &std::path::Path) -> Result<Rootfs, Refusal> {
    // One at a time: whoever comes second finds the layers unpacked.
    static UNPACKING: Mutex<()> = Mutex::new(());
    let _one = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = hands.shared.store.unpack(image).map_err(|error| create_error(chain(&error)))?;
    Ok(Rootfs::Overlay { lower: snapshot.lower, upper: dir.join("upper"), work: dir.join("work") })
}

fn config_error(message: String) -> Refusal {
    Refusal { reason: "CreateContainerConfigError".to_owned(), message }
}

fn create_error(message: String) -> Refusal {
    Refusal { reason: "CreateContainerError".to_owned(), message }
}
