//! Limits as files and values. Pure.

use super::{CgroupPlan, GroupPlan, Hierarchy, devices};
use crate::host::{Cgroups, Host};
use crate::options::{Launch, Missing};
use crate::spec::{Cpu, Memory, Resources};
use crate::{ContainerId, Error, Problem, Result};

/// One limit: the controller it needs and what to write in each world.
struct Limit {
    controller: &'static str,
    field: &'static str,
    v1: Vec<(&'static str, String)>,
    v2: Vec<(&'static str, String)>,
}

/// Groups every container is in where they exist: limits can be added later, and usage is counted from the start.
const ALWAYS: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "devices"];

/// Compiles the groups of a launch. `None`: nothing to make.
///
/// # Errors
/// `Unsupported` when a limit cannot be enforced and the caller did not ask to go on without it.
pub fn compile(id: &ContainerId, launch: &Launch, host: &Host) -> Result<Option<CgroupPlan>> {
    let resources = launch.spec.linux.resources.clone().unwrap_or_default();
    let limits = limits(&resources);
    let cgroups = &host.cgroups;
    if !cgroups.writable {
        let asked: Vec<&str> = limits.iter().map(|limit| limit.field).collect();
        return without_groups(&asked, launch.missing);
    }
    let path = group_path(id, launch, cgroups)?;
    let mut plan = CgroupPlan::default();
    for name in ALWAYS.iter().chain(["cpuset", "blkio"].iter()) {
        let wanted = limits.iter().any(|limit| limit.controller == *name) || ALWAYS.contains(name);
        if let Some(mount) = cgroups.v1.get(*name).filter(|_| wanted) {
            plan.groups.push(GroupPlan {
                hierarchy: Hierarchy::V1((*name).to_owned()),
                mount: mount.clone(),
                path: path.clone(),
                writes: Vec::new(),
                controllers: Vec::new(),
            });
        }
    }
    add_unified(&mut plan, cgroups, &path);
    for limit in limits {
        place(&mut plan, limit);
    }
    for (file, value) in &resources.unified {
        match unified_file(&mut plan, file) {
            Some(group) => group.writes.push((file.clone(), value.clone())),
            None => plan.not_enforced.push(format!("linux.resources.unified[{file}]")),
        }
    }
    devices::add(&mut plan, &resources.devices, host)?;
    if !plan.not_enforced.is_empty() && launch.missing == Missing::Refuse {
        return Err(refusal(&plan.not_enforced.join(", "), "this kernel has no controller for it"));
    }
    Ok(Some(plan))
}

/// The values of changed limits, for groups that exist already.
pub(super) fn changes(resources: &Resources) -> Vec<(&'static str, &'static str, String, bool)> {
    let mut changes = Vec::new();
    for limit in limits(resources) {
        changes.extend(limit.v1.into_iter().map(|(file, value)| (limit.controller, file, value, false)));
        changes.extend(limit.v2.into_iter().map(|(file, value)| (limit.controller, file, value, true)));
    }
    changes
}

fn without_groups(asked: &[&str], missing: Missing) -> Result<Option<CgroupPlan>> {
    if asked.is_empty() {
        return Ok(None);
    }
    let asked: Vec<String> = asked.iter().map(|&field| field.to_owned()).collect();
    if missing == Missing::Refuse {
        return Err(refusal(&asked.join(", "), "this user may not make control groups"));
    }
    Ok(Some(CgroupPlan { not_enforced: asked, ..CgroupPlan::default() }))
}

fn refusal(fields: &str, why: &str) -> Error {
    Error::Unsupported { feature: format!("the limit {fields}"), hint: why.to_owned() }
}

fn group_path(id: &ContainerId, launch: &Launch, cgroups: &Cgroups) -> Result<String> {
    let given = launch.spec.linux.cgroups_path.as_deref();
    let tail = match (&launch.cgroup_parent, given) {
        (Some(parent), _) => format!("{}/{id}", parent.trim_matches('/')),
        (None, Some(path)) => path.trim_matches('/').to_owned(),
        (None, None) => format!("container-core/{id}"),
    };
    let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(['\0', '\n']);
    if tail.split('/').any(odd) {
        let what = format!("{tail:?} is not a plain path");
        return Err(Error::InvalidSpec { problems: vec![Problem { field: "linux.cgroupsPath".into(), what }] });
    }
    Ok(format!("{}/{tail}", cgroups.base.trim_end_matches('/')))
}

fn add_unified(plan: &mut CgroupPlan, cgroups: &Cgroups, path: &str) {
    let Some(unified) = &cgroups.v2 else {
        // Freezing needs a group somewhere.
        if let Some(mount) = cgroups.v1.get("freezer") {
            plan.groups.push(GroupPlan {
                hierarchy: Hierarchy::V1("freezer".to_owned()),
                mount: mount.clone(),
                path: path.to_owned(),
                writes: Vec::new(),
                controllers: Vec::new(),
            });
        }
        return;
    };
    let usable = |name: &&String| ["cpu", "cpuset", "io", "memory", "pids"].contains(&name.as_str());
    plan.groups.push(GroupPlan {
        hierarchy: Hierarchy::Unified,
        mount: unified.mount.clone(),
        path: path.to_owned(),
        writes: Vec::new(),
        controllers: unified.controllers.iter().filter(usable).cloned().collect(),
    });
}

fn unified_file<'a>(plan: &'a mut CgroupPlan, file: &str) -> Option<&'a mut GroupPlan> {
    let controller = file.split('.').next().unwrap_or_default();
    let plain = !file.contains('/') && !file.starts_with('.');
    let known =
        |group: &&mut GroupPlan| group.controllers.iter().any(|name| name == controller) || controller == "cgroup";
    plan.groups.iter_mut().find(|group| group.hierarchy == Hierarchy::Unified).filter(known).filter(|_| plain)
}

/// Where the kernel has the limit's controller, there it is written.
fn place(plan: &mut CgroupPlan, limit: Limit) {
    let own = |group: &&mut GroupPlan| group.v1_controller() == Some(limit.controller);
    if let Some(group) = plan.groups.iter_mut().find(own).filter(|_| !limit.v1.is_empty()) {
        group.writes.extend(limit.v1.into_iter().map(|(file, value)| (file.to_owned(), value)));
        return;
    }
    let v2_name = if limit.controller == "blkio" { "io" } else { limit.controller };
    let unified = plan.groups.iter_mut().find(|group| group.controllers.iter().any(|name| name == v2_name));
    match unified.filter(|_| !limit.v2.is_empty()) {
        Some(group) => group.writes.extend(limit.v2.into_iter().map(|(file, value)| (file.to_owned(), value))),
        None => plan.not_enforced.push(limit.field.to_owned()),
    }
}

fn limits(resources: &Resources) -> Vec<Limit> {
    let mut limits = Vec::new();
    if let Some(memory) = &resources.memory {
        memory_limits(memory, &mut limits);
    }
    if let Some(cpu) = &resources.cpu {
        cpu_limits(cpu, &mut limits);
    }
    if let Some(pids) = &resources.pids {
        let value = if pids.limit > 0 { pids.limit.to_string() } else { "max".to_owned() };
        limits.push(both("pids", "linux.resources.pids.limit", "pids.max", "pids.max", value.clone(), value));
    }
    if let Some(weight) = resources.block_io.and_then(|block| block.weight) {
        let v2 = format!("default {}", weight.clamp(1, 1000));
        limits.push(both(
            "blkio",
            "linux.resources.blockIO.weight",
            "blkio.bfq.weight",
            "io.bfq.weight",
            weight.to_string(),
            v2,
        ));
    }
    if resources.network.as_ref().is_some_and(|network| network.class_id.is_some()) {
        limits.push(Limit { controller: "net_cls", field: "linux.resources.network", v1: vec![], v2: vec![] });
    }
    limits
}

fn both(
    controller: &'static str,
    field: &'static str,
    v1_file: &'static str,
    v2_file: &'static str,
    v1: String,
    v2: String,
) -> Limit {
    Limit { controller, field, v1: vec![(v1_file, v1)], v2: vec![(v2_file, v2)] }
}

/// -1 means unlimited in the specification and in version 1; version 2 says `max`.
fn v2_bytes(bytes: i64) -> String {
    if bytes < 0 { "max".to_owned() } else { bytes.to_string() }
}

fn memory_limits(memory: &Memory, limits: &mut Vec<Limit>) {
    let field = |name| match name {
        "limit" => "linux.resources.memory.limit",
        "swap" => "linux.resources.memory.swap",
        _ => "linux.resources.memory.reservation",
    };
    if let Some(bytes) = memory.limit {
        let (v1, v2) = (bytes.to_string(), v2_bytes(bytes));
        limits.push(both("memory", field("limit"), "memory.limit_in_bytes", "memory.max", v1, v2));
    }
    if let Some(total) = memory.swap {
        // Version 1 counts memory and swap together, version 2 swap alone.
        let swap = if total < 0 { -1 } else { total.saturating_sub(memory.limit.unwrap_or(0)).max(0) };
        let (v1, v2) = (total.to_string(), v2_bytes(swap));
        limits.push(both("memory", field("swap"), "memory.memsw.limit_in_bytes", "memory.swap.max", v1, v2));
    }
    if let Some(bytes) = memory.reservation {
        let (v1, v2) = (bytes.to_string(), if bytes < 0 { "0".to_owned() } else { bytes.to_string() });
        limits.push(both("memory", field("reservation"), "memory.soft_limit_in_bytes", "memory.low", v1, v2));
    }
    let v1_only = |name, file, value| Limit { controller: "memory", field: name, v1: vec![(file, value)], v2: vec![] };
    if let Some(value) = memory.swappiness {
        limits.push(v1_only("linux.resources.memory.swappiness", "memory.swappiness", value.to_string()));
    }
    if let Some(value) = memory.disable_oom_killer.filter(|on| *on) {
        let value = u8::from(value).to_string();
        limits.push(v1_only("linux.resources.memory.disableOOMKiller", "memory.oom_control", value));
    }
}

fn cpu_limits(cpu: &Cpu, limits: &mut Vec<Limit>) {
    if let Some(shares) = cpu.shares.filter(|shares| *shares > 0) {
        // 2 to 262144 maps onto 1 to 10000, as runc has it.
        let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
        let (v1, v2) = (shares.to_string(), weight.to_string());
        limits.push(both("cpu", "linux.resources.cpu.shares", "cpu.shares", "cpu.weight", v1, v2));
    }
    if cpu.quota.is_some() || cpu.period.is_some() {
        let period = cpu.period.filter(|period| *period > 0).unwrap_or(100_000);
        let quota = cpu.quota.filter(|quota| *quota > 0);
        let mut v1 = vec![("cpu.cfs_period_us", period.to_string())];
        v1.push(("cpu.cfs_quota_us", quota.unwrap_or(-1).to_string()));
        let value = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
        let v2 = vec![("cpu.max", format!("{value} {period}"))];
        limits.push(Limit { controller: "cpu", field: "linux.resources.cpu.quota", v1, v2 });
    }
    for (field, file, list) in
        [("linux.resources.cpu.cpus", "cpuset.cpus", &cpu.cpus), ("linux.resources.cpu.mems", "cpuset.mems", &cpu.mems)]
    {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            limits.push(both("cpuset", field, file, file, list.clone(), list.clone()));
        }
    }
}
