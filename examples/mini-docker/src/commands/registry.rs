//! `pull`, `push`, `login` and `logout`.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use image_store::{Image, Platform, Progress, PullOptions, Reference, Registry, Stage};
use serde_json::{Value, json};

use super::say;
use crate::cli::{LoginArgs, LogoutArgs, PullArgs, PushArgs};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The name under which `docker login` keeps the credentials of Docker's own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Pulls an image, telling what happens line by line.
pub(super) fn fetch(
    engine: &Engine,
    name: &str,
    platform: Option<&str>,
    quiet: bool,
    tell: &dyn Fn(&str),
) -> Result<Image> {
    let reference = Reference::parse(name)?;
    let platform: Option<Platform> = platform.map(str::parse).transpose()?;
    let said = |line: &str| {
        if !quiet {
            tell(line);
        }
    };
    let what = reference.tag().map_or_else(|| "image".to_owned(), str::to_owned);
    said(&format!("{what}: Pulling from {}", reference.repository()));
    let progress = |event: Progress| {
        if let Some(word) = word(event.stage, "Pulling fs layer", "Already exists", "Pull complete") {
            said(&format!("{}: {word}", event.blob.short()));
        }
    };
    let options = PullOptions { platform, unpack: true, progress: Some(&progress) };
    let pulled = engine.store().pull(&registry()?, &reference, &options)?;
    said(&format!("Digest: {}", pulled.digest));
    let status = if pulled.changed { "Downloaded newer image for" } else { "Image is up to date for" };
    said(&format!("Status: {status} {reference}"));
    Ok(pulled.image)
}

fn word(stage: Stage, waiting: &'static str, exists: &'static str, complete: &'static str) -> Option<&'static str> {
    match stage {
        Stage::Waiting => Some(waiting),
        Stage::Exists => Some(exists),
        Stage::Complete => Some(complete),
        _ => None,
    }
}

pub(super) fn pull(engine: &Engine, args: &PullArgs) -> Result<u8> {
    // A reader that has seen enough does not end the pull.
    let tell = |line: &str| drop(say(line));
    fetch(engine, &args.image, args.platform.as_deref(), args.quiet, &tell)?;
    say(&Reference::parse(&args.image)?.canonical())?;
    Ok(0)
}

pub(super) fn push(engine: &Engine, args: &PushArgs) -> Result<u8> {
    let reference = Reference::parse(&args.image)?;
    let missing =
        || Error::Refused { message: format!("An image does not exist locally with the tag: {}", args.image) };
    let image = match engine.store().resolve(&reference.to_string()) {
        Err(image_store::Error::UnknownImage { .. }) => return Err(missing()),
        other => other?,
    };
    let tell = |line: &str| {
        if !args.quiet {
            drop(say(line));
        }
    };
    tell(&format!("The push refers to repository [{}/{}]", reference.registry(), reference.repository()));
    let progress = |event: Progress| {
        if let Some(word) = word(event.stage, "Preparing", "Layer already exists", "Pushed") {
            tell(&format!("{}: {word}", event.blob.short()));
        }
    };
    let digest = engine.store().push(&registry()?, &image, &reference, Some(&progress))?;
    let tag = reference.tag().unwrap_or("latest");
    tell(&format!("{tag}: digest: {digest} size: {}", image.size));
    if args.quiet {
        say(&reference.canonical())?;
    }
    Ok(0)
}

/// Registries with the credentials that `login` wrote, ours or Docker's.
fn registry() -> Result<Registry> {
    match config_path() {
        Some(path) => Ok(Registry::new().docker_config(path)?),
        None => Ok(Registry::new()),
    }
}

fn config_path() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    folder.or_else(home).map(|folder| folder.join("config.json"))
}

pub(super) fn login(_: &Engine, args: &LoginArgs) -> Result<u8> {
    let user = args.username.clone().ok_or_else(|| Error::usage("login needs --username"))?;
    let password = match &args.password {
        Some(password) => password.clone(),
        None => password_from_stdin(args.password_stdin)?,
    };
    if user.contains(':') || password.is_empty() {
        return Err(Error::usage("a user name has no colon, and a password is not empty"));
    }
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    change_logins(|logins| logins[server(args.server.as_deref())] = json!({ "auth": auth }))?;
    say("Login stored: the registry sees it with the next pull or push")?;
    Ok(0)
}

fn password_from_stdin(asked: bool) -> Result<String> {
    if !asked {
        return Err(Error::usage("login needs --password or --password-stdin"));
    }
    let mut text = String::new();
    std::io::stdin().lock().take(4096).read_to_string(&mut text).map_err(Error::io("read", "the password"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

pub(super) fn logout(_: &Engine, args: &LogoutArgs) -> Result<u8> {
    let server = server(args.server.as_deref());
    change_logins(|logins| {
        if let Some(logins) = logins.as_object_mut() {
            logins.remove(&server);
        }
    })?;
    say(&format!("Removing login credentials for {server}"))?;
    Ok(0)
}

fn server(name: Option<&str>) -> String {
    match name {
        None | Some("docker.io" | "index.docker.io") => DOCKER_HUB.to_owned(),
        Some(name) => {
            name.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/').to_owned()
        }
    }
}

/// Changes the part of Docker's configuration file that holds credentials, and nothing else of it.
fn change_logins(change: impl FnOnce(&mut Value)) -> Result<()> {
    let path = config_path().ok_or_else(|| Error::usage("HOME is not set, so there is nowhere to keep credentials"))?;
    let mut config: Value = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Error::usage(format!("{} is malformed: {error}", path.display())))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({}),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    if !config["auths"].is_object() {
        config["auths"] = json!({});
    }
    change(&mut config["auths"]);
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let fresh = path.with_extension(format!("json.{}", std::process::id()));
    let text = serde_json::to_string_pretty(&config).unwrap_or_default() + "\n";
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&fresh).and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| std::fs::rename(&fresh, &path)).map_err(Error::io("write", &path))
}
