//! What the containers of a pod share: a network namespace with one address, volumes, a folder, three small files.
//!
//! The namespace is held as a descriptor; there is no pause container. The order: folder → volumes → namespace →
//! link with the address → files that name the address.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use container_network::{Namespace, PodLink};
use orchestrate_core::objects::{Container, Pod};

use super::launch::{Bind, hostname};
use super::volumes::{Files, Volumes};

/// A pod's share of its node.
#[derive(Debug)]
pub(super) struct Sandbox {
    /// The pod's folder.
    pub(super) dir: PathBuf,
    /// The pod's address.
    pub(super) ip: Ipv4Addr,
    /// The pod's network.
    pub(super) namespace: Namespace,
    link: Mutex<Option<PodLink>>,
    volumes: Mutex<Volumes>,
}

impl Sandbox {
    /// Makes it, whole or not at all.
    pub(super) fn make(
        dir: PathBuf,
        pod: &Pod,
        (ip, node): (Ipv4Addr, Ipv4Addr),
        files: Files<'_>,
    ) -> Result<Self, String> {
        fs::create_dir_all(&dir).map_err(|error| format!("cannot create {}: {error}", dir.display()))?;
        let volumes = Volumes::make(&dir.join("volumes"), pod, files)?;
        let failed = |error: container_network::Error| crate::error::chain(&error);
        let namespace = Namespace::create().map_err(failed)?;
        let link = PodLink::create(&namespace, ip, &link_name(pod), Some(node)).map_err(failed)?;
        let sandbox = Self { dir, ip, namespace, link: Mutex::new(Some(link)), volumes: Mutex::new(volumes) };
        sandbox.write_files(pod)?;
        Ok(sandbox)
    }

    fn write_files(&self, pod: &Pod) -> Result<(), String> {
        let (name, ip) = (hostname(pod), self.ip);
        let mut hosts = format!(
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::\tip6-localnet\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n{ip}\t{name}\n"
        );
        for alias in &pod.spec.host_aliases {
            hosts.push_str(&format!("{}\t{}\n", alias.ip, alias.hostnames.join("\t")));
        }
        let namespace = &pod.metadata.namespace;
        let resolv = format!("search {namespace}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n");
        for (file, text) in [("hosts", hosts), ("hostname", format!("{name}\n")), ("resolv.conf", resolv)] {
            let path = self.dir.join(file);
            fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }

    /// What a container sees of the host's files.
    pub(super) fn binds(&self, container: &Container) -> Result<Vec<Bind>, String> {
        let mut binds = lock(&self.volumes).binds(container)?;
        for file in ["hosts", "hostname", "resolv.conf"] {
            let destination = format!("/etc/{file}");
            if !binds.iter().any(|bind| bind.destination == destination) {
                let source = self.dir.join(file).display().to_string();
                binds.push(Bind { source, destination, read_only: false });
            }
        }
        Ok(binds)
    }

    /// Cuts the pod off the network at once.
    pub(super) fn cut(&self) {
        if let Some(link) = lock(&self.link).take() {
            // Gone with the pod's namespace is as good.
            let _ = link.delete();
        }
    }

    /// Takes everything away; what cannot be removed now goes with the cluster.
    pub(super) fn end(&self) {
        self.cut();
        lock(&self.volumes).end();
        let _ = crate::state::remove_tree(&self.dir);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder of a pod.
pub(super) fn pod_dir(node: &Path, pod: &Pod) -> PathBuf {
    node.join("pods").join(&pod.metadata.uid)
}

/// Name of the node's end of the pod's link: at most 15 characters, unique by the uid.
fn link_name(pod: &Pod) -> String {
    let digits: String = pod.metadata.uid.chars().filter(char::is_ascii_alphanumeric).take(11).collect();
    format!("pod{digits}")
}
