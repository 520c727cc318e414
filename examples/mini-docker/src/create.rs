//! From flags and an image to a definition. Pure but for environment variables and files that flags name.

use std::collections::BTreeMap;
use std::path::Path;

use container_core::Signal;
use container_core::supervisor::{Definition, LogDriver, LogOptions, RestartPolicy, new_id};
use container_network::PortMapping;
use image_store::Image;

use crate::cli::CreateFlags;
use crate::details::{Details, Limits, NetworkMode, Security};
use crate::error::{Error, Result};
use crate::flags::mounts::{MountFlag, Source, parse_mount, parse_tmpfs, parse_volume};
use crate::flags::{env, ports};
use crate::text::units::{parse_cpus, parse_size};

/// The least that a container can live with, as Docker has it.
const LEAST_MEMORY: u64 = 6 << 20;

/// Makes a definition. Nothing is written yet.
///
/// # Errors
/// `Usage` or `Refused` that names the flag.
pub fn definition(flags: &CreateFlags, image: &Image) -> Result<Definition> {
    let id = new_id()?;
    let short = id[..12].to_owned();
    let details = details(flags, image, &short)?;
    let value = serde_json::to_value(&details).map_err(|error| Error::usage(error.to_string()))?;
    let mut definition = Definition::new(id, flags.name.clone().unwrap_or_default(), value);
    definition.terminal = flags.tty;
    definition.stdin = flags.interactive;
    definition.restart = flags.restart.parse().map_err(|error| Error::usage(format!("{error}")))?;
    definition.remove = flags.rm;
    if flags.rm && definition.restart != RestartPolicy::No {
        return Err(Error::usage("Conflicting options: cannot specify both --restart and --rm"));
    }
    let stop_signal = flags.stop_signal.as_ref().or(image.config.stop_signal.as_ref());
    if let Some(signal) = stop_signal {
        definition.stop_signal = signal.parse::<Signal>()?.number();
        definition.stop_signal_chosen = true;
    }
    definition.stop_timeout = flags.stop_timeout.unwrap_or(definition.stop_timeout);
    definition.log = log_options(flags, &pairs(&flags.log_opt))?;
    definition.labels.clone_from(&image.config.labels);
    definition.labels.extend(pairs(&flags.label));
    Ok(definition)
}

fn details(flags: &CreateFlags, image: &Image, short_id: &str) -> Result<Details> {
    let network = network_mode(&flags.network)?;
    let (entrypoint, command) = program(flags, image)?;
    let exposed = exposed(flags, image)?;
    let host_pid = match flags.pid.as_deref() {
        None | Some("" | "private") => false,
        Some("host") => true,
        Some(other) => return Err(Error::usage(format!("invalid PID mode: {other}: use host"))),
    };
    Ok(Details {
        image: flags.image_and_command.first().cloned().unwrap_or_default(),
        image_id: image.id.to_string(),
        image_digest: image.digest.to_string(),
        entrypoint,
        command,
        env: environment(flags, image)?,
        working_dir: working_dir(flags, image)?,
        user: flags.user.clone().unwrap_or_else(|| image.config.user.clone()),
        hostname: hostname(flags, network, short_id)?,
        network,
        publish: publish(flags, network, &exposed)?,
        exposed,
        mounts: mounts(flags, image)?,
        extra_hosts: flags.add_host.iter().map(|text| extra_host(text)).collect::<Result<_>>()?,
        dns: flags.dns.clone(),
        dns_search: flags.dns_search.clone(),
        dns_options: flags.dns_option.clone(),
        limits: limits(flags)?,
        security: security(flags)?,
        shm_size: flags.shm_size.as_deref().map(parse_size).transpose().map_err(Error::usage)?,
        read_only: flags.read_only,
        host_pid,
        log_options: pairs(&flags.log_opt),
    })
}

fn network_mode(text: &str) -> Result<NetworkMode> {
    match text {
        "bridge" | "default" => Ok(NetworkMode::Bridge),
        "host" if crate::outer::is_rootless() => Err(Error::Refused {
            message:
                "--network host needs root: without it, containers live in a network namespace of their own, where \
                      the host's is not"
                    .to_owned(),
        }),
        "host" => Ok(NetworkMode::Host),
        "none" => Ok(NetworkMode::None),
        other => Err(Error::Refused { message: format!("network {other} not found: there are bridge, host and none") }),
    }
}

/// Entrypoint and command, as Docker combines those of the image and the flags.
fn program(flags: &CreateFlags, image: &Image) -> Result<(Vec<String>, Vec<String>)> {
    let given = flags.image_and_command.get(1..).unwrap_or_default().to_vec();
    let image_command = || image.config.cmd.clone().unwrap_or_default();
    let (entrypoint, command) = match &flags.entrypoint {
        Some(program) if program.is_empty() => (Vec::new(), given),
        Some(program) => (vec![program.clone()], given),
        None => {
            let command = if given.is_empty() { image_command() } else { given };
            (image.config.entrypoint.clone().unwrap_or_default(), command)
        }
    };
    if entrypoint.is_empty() && command.is_empty() {
        return Err(Error::Refused { message: "no command specified".to_owned() });
    }
    Ok((entrypoint, command))
}

fn environment(flags: &CreateFlags, image: &Image) -> Result<Vec<String>> {
    let base = env::overlay(
        &["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
        &image.config.env,
    );
    let terminal: &[String] = if flags.tty { &["TERM=xterm".to_owned()] } else { &[] };
    Ok(env::overlay(&env::overlay(&base, terminal), &given_environment(&flags.env_file, &flags.env)?))
}

/// What `-e` and `--env-file` say together.
///
/// # Errors
/// `Usage` that names the file or text.
pub fn given_environment(files: &[impl AsRef<Path>], flags: &[String]) -> Result<Vec<String>> {
    let mut given = Vec::new();
    for file in files {
        let file = file.as_ref();
        let text = std::fs::read_to_string(file).map_err(Error::io("open", file))?;
        given.extend(env::parse_file(&text).map_err(Error::usage)?);
    }
    if let Some(bad) = flags.iter().find(|flag| flag.is_empty() || flag.starts_with('=')) {
        return Err(Error::usage(format!("invalid environment variable: {bad}")));
    }
    given.extend(flags.iter().cloned());
    Ok(env::resolve(&given, |name| std::env::var(name).ok()))
}

fn working_dir(flags: &CreateFlags, image: &Image) -> Result<String> {
    let dir = flags.workdir.clone().unwrap_or_else(|| image.config.working_dir.clone());
    match dir.as_str() {
        "" => Ok("/".to_owned()),
        dir if dir.starts_with('/') => Ok(dir.to_owned()),
        dir => Err(Error::Refused {
            message: format!("the working directory '{dir}' is invalid, it needs to be an absolute path"),
        }),
    }
}

fn hostname(flags: &CreateFlags, network: NetworkMode, short_id: &str) -> Result<String> {
    if let Some(name) = &flags.hostname {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.is_empty() || name.len() > 63 || !name.bytes().all(valid) || name.starts_with(['-', '.']) {
            return Err(Error::Refused { message: format!("invalid hostname format: {name}") });
        }
        return Ok(name.clone());
    }
    if network == NetworkMode::Host {
        let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        return Ok(name.unwrap_or_else(|| short_id.to_owned()));
    }
    Ok(short_id.to_owned())
}

fn exposed(flags: &CreateFlags, image: &Image) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in image.config.exposed_ports.iter().chain(&flags.expose) {
        let ports = ports::parse_exposed(text).map_err(Error::usage)?;
        all.extend(ports.into_iter().map(|(port, protocol)| format!("{port}/{protocol}")));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn publish(flags: &CreateFlags, network: NetworkMode, exposed: &[String]) -> Result<Vec<PortMapping>> {
    let mut publish = Vec::new();
    for text in &flags.publish {
        publish.extend(ports::parse_publish(text).map_err(|why| Error::usage(format!("{why} in -p {text}")))?);
    }
    if flags.publish_all {
        for port in exposed {
            publish.extend(ports::parse_publish(port).map_err(Error::usage)?);
        }
    }
    // With the host's network, ports are the host's already; with none there is nobody to reach.
    if network == NetworkMode::Bridge { Ok(publish) } else { Ok(Vec::new()) }
}

fn mounts(flags: &CreateFlags, image: &Image) -> Result<Vec<MountFlag>> {
    let mut all: Vec<MountFlag> = Vec::new();
    let volumes = flags.volume.iter().map(|text| parse_volume(text));
    let mounts = flags.mount.iter().map(|text| parse_mount(text));
    let tmpfs = flags.tmpfs.iter().map(|text| parse_tmpfs(text));
    let given = volumes.chain(mounts).chain(tmpfs).collect::<Result<Vec<MountFlag>, String>>().map_err(Error::usage)?;
    // What the image calls a volume is one, unless the user put something else there.
    let of_image = image.config.volumes.iter().filter(|place| given.iter().all(|mount| mount.target != **place));
    let of_image = of_image.map(|place| parse_volume(place)).collect::<Result<Vec<MountFlag>, String>>();
    for mut mount in given.iter().cloned().chain(of_image.map_err(Error::usage)?) {
        match &mut mount.source {
            Source::Bind(path) => *path = absolute(path)?,
            Source::Volume(name) if name.is_empty() => {
                *name = new_id()?;
                mount.anonymous = true;
            }
            _ => {}
        }
        if all.iter().any(|other| other.target == mount.target) {
            return Err(Error::Refused { message: format!("Duplicate mount point: {}", mount.target) });
        }
        all.push(mount);
    }
    Ok(all)
}

fn absolute(path: &str) -> Result<String> {
    let full = std::path::absolute(path).map_err(Error::io("resolve", path))?;
    full.into_os_string().into_string().map_err(|_| Error::usage(format!("the path {path} is not UTF-8")))
}

fn extra_host(text: &str) -> Result<(String, String)> {
    let bad = || Error::usage(format!("bad format for add-host: \"{text}\""));
    let (name, address) = text.split_once(['=', ':']).ok_or_else(bad)?;
    let address = address.trim_matches(['[', ']']);
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(bad());
    }
    if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
        return Err(Error::usage(format!("invalid IP address in add-host: \"{address}\"")));
    }
    Ok((name.to_owned(), address.to_owned()))
}

fn limits(flags: &CreateFlags) -> Result<Limits> {
    let size = |text: &Option<String>| text.as_deref().map(parse_size).transpose().map_err(Error::usage);
    let memory = size(&flags.memory)?.filter(|bytes| *bytes > 0);
    if memory.is_some_and(|bytes| bytes < LEAST_MEMORY) {
        return Err(Error::Refused { message: "Minimum memory limit allowed is 6MB".to_owned() });
    }
    let memory_swap = match flags.memory_swap.as_deref() {
        None => None,
        Some("-1") => Some(-1),
        Some(text) => Some(i64::try_from(parse_size(text).map_err(Error::usage)?).unwrap_or(i64::MAX)),
    };
    if let (Some(memory), Some(swap)) = (memory, memory_swap.and_then(|swap| u64::try_from(swap).ok()))
        && swap < memory
    {
        let message = "Minimum memoryswap limit should be larger than memory limit, see usage".to_owned();
        return Err(Error::Refused { message });
    }
    Ok(Limits {
        memory,
        memory_swap,
        memory_reservation: size(&flags.memory_reservation)?,
        nano_cpus: nano_cpus(flags)?,
        cpu_shares: flags.cpu_shares.filter(|shares| *shares > 0),
        cpuset: flags.cpuset_cpus.clone(),
        pids: flags.pids_limit.filter(|limit| *limit != 0),
    })
}

fn nano_cpus(flags: &CreateFlags) -> Result<Option<u64>> {
    let Some(text) = &flags.cpus else { return Ok(None) };
    let nanos = parse_cpus(text).map_err(Error::usage)?;
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if nanos > count as u64 * 1_000_000_000 {
        let message = format!("Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available");
        return Err(Error::Refused { message });
    }
    Ok(Some(nanos).filter(|nanos| *nanos > 0))
}

fn security(flags: &CreateFlags) -> Result<Security> {
    let mut security = Security {
        privileged: flags.privileged,
        cap_add: flags.cap_add.clone(),
        cap_drop: flags.cap_drop.clone(),
        ..Security::default()
    };
    for option in &flags.security_opt {
        match option.as_str() {
            "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {
                security.no_new_privileges = true;
            }
            "no-new-privileges:false" | "no-new-privileges=false" | "seccomp=builtin" => {}
            "seccomp=unconfined" | "seccomp:unconfined" => security.seccomp_unconfined = true,
            other => {
                let message =
                    format!("security option {other} is not supported: use no-new-privileges or seccomp=unconfined");
                return Err(Error::Refused { message });
            }
        }
    }
    Ok(security)
}

fn log_options(flags: &CreateFlags, options: &BTreeMap<String, String>) -> Result<LogOptions> {
    let mut log = LogOptions::default();
    match flags.log_driver.as_deref() {
        None | Some("json-file" | "") => {}
        Some("none") => log.driver = LogDriver::None,
        Some(other) => {
            let message = format!("logging driver {other} is not supported: use json-file or none");
            return Err(Error::Refused { message });
        }
    }
    for (key, value) in options {
        match key.as_str() {
            "max-size" if value == "-1" => log.max_size = u64::MAX,
            "max-size" => log.max_size = parse_size(value).map_err(Error::usage)?.max(1),
            "max-file" => {
                let count = value.parse().ok().filter(|count| (1..=1000).contains(count));
                log.max_files = count.ok_or_else(|| Error::usage(format!("invalid max-file '{value}': 1 to 1000")))?;
            }
            other => return Err(Error::usage(format!("unknown log opt '{other}' for json-file log driver"))),
        }
    }
    Ok(log)
}

/// Splits `key=value` texts; one without a value has an empty one.
fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let split = |text: &String| match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    texts.iter().map(split).collect()
}
