//! `inspect`: containers and images as Docker's JSON.

use container_core::supervisor::{RestartPolicy, Status};
use container_network::PortMapping;
use image_store::Image;
use serde_json::{Map, Value, json};

use super::list::templated;
use super::{print, tell};
use crate::cli::InspectArgs;
use crate::details::Details;
use crate::engine::{Engine, Seen};
use crate::error::{Error, Result};
use crate::flags::mounts::Source;
use crate::wiring::Attached;

pub(super) fn inspect(engine: &Engine, args: &InspectArgs) -> Result<u8> {
    let (containers, images) = match args.kind.as_deref() {
        None | Some("") => (true, true),
        Some("container") => (true, false),
        Some("image") => (false, true),
        Some(other) => return Err(Error::usage(format!("unknown type: \"{other}\": use container or image"))),
    };
    let mut found = Vec::new();
    let mut failed = false;
    for name in &args.names {
        match one(engine, name, containers, images) {
            Ok(value) => found.push(value),
            Err(error) => {
                tell(&error);
                failed = true;
            }
        }
    }
    let text = match args.format.as_deref() {
        None | Some("") => {
            let pretty = serde_json::to_string_pretty(&found).unwrap_or_default();
            // Docker indents by four.
            let indented = |line: &str| {
                let spaces = line.len() - line.trim_start().len();
                format!("{}{line}\n", " ".repeat(spaces))
            };
            pretty.lines().map(indented).collect()
        }
        Some("json") => found.iter().map(|value| format!("{value}\n")).collect(),
        Some(template) => templated(template, found.into_iter())?,
    };
    print(&text)?;
    if failed { Err(Error::Told) } else { Ok(0) }
}

fn one(engine: &Engine, name: &str, containers: bool, images: bool) -> Result<Value> {
    if containers {
        match engine.see(name) {
            Ok(seen) => return Ok(container(engine, &seen)),
            Err(error) if !images => return Err(error),
            Err(Error::Runtime(container_core::Error::NoSuchContainer { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    match engine.store().resolve(name) {
        Ok(found) => Ok(image(&found)),
        Err(image_store::Error::UnknownImage { .. } | image_store::Error::InvalidReference { .. }) if containers => {
            Err(Error::Refused { message: format!("No such object: {name}") })
        }
        Err(error) => Err(error.into()),
    }
}

fn container(engine: &Engine, seen: &Seen) -> Value {
    let (definition, details, dir) = (&seen.definition, &seen.details, seen.dir.path());
    let args = details.args();
    json!({
        "Id": definition.id,
        "Created": definition.created,
        "Path": args.first(),
        "Args": args.get(1..).unwrap_or_default(),
        "State": state(seen),
        "Image": details.image_id,
        "ResolvConfPath": dir.join("resolv.conf"),
        "HostnamePath": dir.join("hostname"),
        "HostsPath": dir.join("hosts"),
        "LogPath": dir.join("log/json.log"),
        "Name": format!("/{}", definition.name),
        "RestartCount": seen.state.restart_count,
        "Driver": "overlayfs",
        "Platform": "linux",
        "HostConfig": host_config(seen),
        "Mounts": mounts(engine, details),
        "Config": config(seen),
        "NetworkSettings": network_settings(seen),
    })
}

fn state(seen: &Seen) -> Value {
    let state = &seen.state;
    let is = |status| state.status == status;
    json!({
        "Status": state.status.as_str(),
        "Running": state.status.is_active(),
        "Paused": is(Status::Paused),
        "Restarting": is(Status::Restarting),
        "OOMKilled": state.oom_killed,
        "Dead": is(Status::Dead),
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at,
        "FinishedAt": state.finished_at,
    })
}

fn host_config(seen: &Seen) -> Value {
    let (definition, details) = (&seen.definition, &seen.details);
    let (limits, security) = (&details.limits, &details.security);
    let (policy, retries) = match definition.restart {
        RestartPolicy::OnFailure { max } => ("on-failure", max),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
        _ => ("no", 0),
    };
    let binds: Vec<String> = details
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            Source::Bind(from) | Source::Volume(from) => {
                Some(format!("{from}:{}{}", mount.target, if mount.read_only { ":ro" } else { "" }))
            }
            Source::Tmpfs(_) => None,
        })
        .collect();
    json!({
        "Binds": binds,
        "LogConfig": { "Type": definition.log.driver, "Config": details.log_options },
        "NetworkMode": details.network.as_str(),
        "PortBindings": bindings(&details.publish),
        "RestartPolicy": { "Name": policy, "MaximumRetryCount": retries },
        "AutoRemove": definition.remove,
        "CapAdd": security.cap_add,
        "CapDrop": security.cap_drop,
        "Privileged": security.privileged,
        "ReadonlyRootfs": details.read_only,
        "PidMode": if details.host_pid { "host" } else { "" },
        "Dns": details.dns,
        "ExtraHosts": details.extra_hosts.iter().map(|(name, at)| format!("{name}:{at}")).collect::<Vec<_>>(),
        "Memory": limits.memory.unwrap_or(0),
        "MemorySwap": limits.memory_swap.unwrap_or(0),
        "MemoryReservation": limits.memory_reservation.unwrap_or(0),
        "NanoCpus": limits.nano_cpus.unwrap_or(0),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "CpusetCpus": limits.cpuset.clone().unwrap_or_default(),
        "PidsLimit": limits.pids,
        "ShmSize": details.shm_size.unwrap_or(64 << 20),
    })
}

fn config(seen: &Seen) -> Value {
    let (definition, details) = (&seen.definition, &seen.details);
    let exposed: Map<String, Value> = details.exposed.iter().map(|port| (port.clone(), json!({}))).collect();
    json!({
        "Hostname": details.hostname,
        "User": details.user,
        "ExposedPorts": exposed,
        "Tty": definition.terminal,
        "OpenStdin": definition.stdin,
        "Env": details.env,
        "Cmd": details.command,
        "Image": details.image,
        "WorkingDir": details.working_dir,
        "Entrypoint": if details.entrypoint.is_empty() { Value::Null } else { json!(details.entrypoint) },
        "Labels": definition.labels,
        "StopSignal": container_core::Signal::from_number(definition.stop_signal).map(|signal| signal.to_string()),
        "StopTimeout": definition.stop_timeout,
    })
}

fn mounts(engine: &Engine, details: &Details) -> Vec<Value> {
    let one = |mount: &crate::flags::mounts::MountFlag| {
        let (kind, name, source) = match &mount.source {
            Source::Bind(path) => ("bind", None, path.clone()),
            Source::Volume(name) => {
                let data = engine.root().join("volumes").join(name).join("_data");
                ("volume", Some(name.clone()), data.display().to_string())
            }
            Source::Tmpfs(_) => ("tmpfs", None, String::new()),
        };
        json!({ "Type": kind, "Name": name, "Source": source, "Destination": mount.target, "RW": !mount.read_only })
    };
    details.mounts.iter().map(one).collect()
}

fn network_settings(seen: &Seen) -> Value {
    let attached = Attached::of(&seen.state.attachment);
    let address = attached.address.map(|address| address.to_string()).unwrap_or_default();
    let gateway = attached.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    let mut ports = bindings(&attached.ports);
    for port in &seen.details.exposed {
        if ports.get(port).is_none() && seen.state.status.is_active() {
            ports[port] = Value::Null;
        }
    }
    let endpoint = json!({
        "IPAddress": address,
        "IPPrefixLen": attached.prefix,
        "Gateway": gateway,
        "MacAddress": attached.mac,
    });
    let mut settings = endpoint.clone();
    settings["Ports"] = ports;
    settings["Networks"] = json!({ seen.details.network.as_str(): endpoint });
    settings
}

fn bindings(ports: &[PortMapping]) -> Value {
    let mut by_port: Map<String, Value> = Map::new();
    for port in ports {
        let key = format!("{}/{}", port.container_port, port.protocol);
        let host_port = if port.host_port == 0 { String::new() } else { port.host_port.to_string() };
        let binding = json!({ "HostIp": port.host_ip.to_string(), "HostPort": host_port });
        let entry = by_port.entry(key).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = entry {
            list.push(binding);
        }
    }
    Value::Object(by_port)
}

fn image(image: &Image) -> Value {
    let config = &image.config;
    let named = |with_digest: bool| -> Vec<String> {
        image
            .names
            .iter()
            .map(
                |name| {
                    if with_digest { format!("{}@{}", name.familiar_name(), image.digest) } else { name.to_string() }
                },
            )
            .collect()
    };
    let exposed: Map<String, Value> = config.exposed_ports.iter().map(|port| (port.clone(), json!({}))).collect();
    json!({
        "Id": image.id.to_string(),
        "RepoTags": named(false),
        "RepoDigests": named(true),
        "Created": config.created,
        "Config": {
            "User": config.user,
            "ExposedPorts": exposed,
            "Env": config.env,
            "Cmd": config.cmd,
            "Entrypoint": config.entrypoint,
            "WorkingDir": config.working_dir,
            "Labels": config.labels,
            "StopSignal": config.stop_signal,
            "Volumes": config.volumes,
        },
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "RootFS": { "Type": "layers", "Layers": config.diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>() },
    })
}
