//! What is wrong with a specification before anything is tried. Every problem is reported, not the first.

use super::Input;
use crate::NamespaceKind;
use crate::caps;
use crate::plan::Builder;

pub(super) fn check(input: &Input<'_>, b: &mut Builder) {
    program(input, b);
    namespaces(input, b);
    mounts(input, b);
    sysctls(input, b);
    refused(input, b);
}

pub(super) fn program(input: &Input<'_>, b: &mut Builder) {
    let process = &input.spec.process;
    match process.args.first() {
        None => b.problem("process.args", "is empty"),
        Some(program) if program.is_empty() => b.problem("process.args[0]", "is empty"),
        Some(_) => {}
    }
    if !process.cwd.starts_with('/') {
        b.problem("process.cwd", "is not an absolute path");
    }
    if process.oom_score_adj.is_some_and(|score| !(-1000..=1000).contains(&score)) {
        b.problem("process.oomScoreAdj", "is not within -1000 and 1000");
    }
    let Some(sets) = &process.capabilities else { return };
    let sets = [
        ("bounding", &sets.bounding),
        ("effective", &sets.effective),
        ("inheritable", &sets.inheritable),
        ("permitted", &sets.permitted),
        ("ambient", &sets.ambient),
    ];
    for (name, set) in sets {
        if let Err(unknown) = caps::mask(set) {
            b.problem(format!("process.capabilities.{name}"), format!("does not know {unknown:?}"));
        }
    }
}

fn namespaces(input: &Input<'_>, b: &mut Builder) {
    for kind in NamespaceKind::ALL {
        if input.spec.linux.namespaces.iter().filter(|entry| entry.kind == kind).count() > 1 {
            b.problem("linux.namespaces", format!("names the {kind} namespace twice"));
        }
    }
    if !input.makes(NamespaceKind::Mount) {
        b.problem("linux.namespaces", "lacks a new mount namespace, without which the host's own tree would change");
    }
    let linux = &input.spec.linux;
    let new_ids = input.makes(NamespaceKind::User);
    let mapped = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    if mapped && !new_ids {
        b.problem("linux.uidMappings", "needs a new user namespace");
    }
    let names = input.spec.hostname.is_some() || input.spec.domainname.is_some();
    if names && !input.makes(NamespaceKind::Uts) && !input.joins(NamespaceKind::Uts) {
        b.problem("hostname", "needs a uts namespace, else the host's own name would change");
    }
}

fn mounts(input: &Input<'_>, b: &mut Builder) {
    for (index, mount) in input.spec.mounts.iter().enumerate() {
        let field = format!("mounts[{index}].destination");
        if !mount.destination.starts_with('/') {
            b.problem(field, "is not an absolute path");
        } else if mount.destination.split('/').any(|part| part == "..") {
            b.problem(field, "leads upwards");
        }
    }
}

/// Only keys of the container's own namespaces, and nothing that could smuggle another path.
fn sysctls(input: &Input<'_>, b: &mut Builder) {
    for key in input.spec.linux.sysctl.keys() {
        let field = format!("linux.sysctl[{key}]");
        let clean = key.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && !key.contains("..");
        let own = |kind| input.makes(kind) || input.joins(kind);
        let ipc = key.starts_with("fs.mqueue.")
            || ["kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax"]
                .contains(&key.as_str())
            || ["kernel.shmmni", "kernel.shm_rmid_forced"].contains(&key.as_str());
        if !clean {
            b.problem(field, "is not a plain key");
        } else if !(ipc && own(NamespaceKind::Ipc) || key.starts_with("net.") && own(NamespaceKind::Network)) {
            b.problem(field, "does not belong to a namespace of the container");
        }
    }
    let proc = input.spec.mounts.iter().any(|mount| mount.kind.as_deref() == Some("proc"));
    if !input.spec.linux.sysctl.is_empty() && !proc {
        b.problem("linux.sysctl", "needs a proc mount of the container's own");
    }
}

/// What would have to be dropped silently is refused.
fn refused(input: &Input<'_>, b: &mut Builder) {
    let spec = input.spec;
    if spec.hooks.as_ref().is_some_and(|hooks| hooks.as_object().is_none_or(|hooks| !hooks.is_empty())) {
        b.problem("hooks", "are not run by this crate");
    }
    for (field, profile, module) in [
        ("process.apparmorProfile", &spec.process.apparmor_profile, "apparmor"),
        ("process.selinuxLabel", &spec.process.selinux_label, "selinux"),
    ] {
        let named = profile.as_deref().is_some_and(|profile| !profile.is_empty() && profile != "unconfined");
        if named && !input.host.security_modules.iter().any(|name| name == module) {
            b.problem(field, format!("cannot be applied: this kernel has no {module}"));
        } else if named {
            b.problem(field, "is not applied by this crate yet");
        }
    }
}
