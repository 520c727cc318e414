//! `-v source:target[:options]`, `--tmpfs target[:options]` and `--mount type=…,src=…,dst=…`.

use serde::{Deserialize, Serialize};

use crate::volumes::check_name;

/// One mount that the user asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountFlag {
    /// What is mounted.
    pub source: Source,
    /// Where, as an absolute path in the container.
    pub target: String,
    /// Whether the container may not write to it.
    pub read_only: bool,
    /// Whether it is a volume made for this container only, which goes with it.
    #[serde(default)]
    pub anonymous: bool,
    /// Whether a missing host folder is an error (`--mount`) instead of being made (`-v`).
    pub must_exist: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type", content = "source")]
pub enum Source {
    /// A file or folder of the host.
    Bind(String),
    /// A named volume; an empty name stands for one made for this container only.
    Volume(String),
    /// Memory, with its mount options.
    Tmpfs(String),
}

/// Reads a `-v` value.
///
/// # Errors
/// One clause that names the text.
pub fn parse_volume(text: &str) -> Result<MountFlag, String> {
    let invalid = |why: &str| format!("invalid volume specification: '{text}': {why}");
    let fields: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match fields[..] {
        [target] => ("", target, ""),
        [source, "ro" | "rw"] => return Err(invalid(&format!("'{source}' has no destination"))),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(invalid("too many fields")),
    };
    if fields.len() > 1 && source.is_empty() {
        return Err(invalid("empty section between colons"));
    }
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" | "z" | "Z" | "nocopy" | "rprivate" | "private" => {}
            other => return Err(invalid(&format!("invalid mode: {other}"))),
        }
    }
    let source = named_or_path(source).map_err(|why| invalid(&why))?;
    Ok(MountFlag {
        source,
        target: target_path(target).map_err(|why| invalid(&why))?,
        read_only,
        anonymous: false,
        must_exist: false,
    })
}

fn named_or_path(source: &str) -> Result<Source, String> {
    if source.starts_with(['/', '.', '~']) {
        return Ok(Source::Bind(source.to_owned()));
    }
    // An empty name stands for a volume of this container only.
    if !source.is_empty() {
        check_name(source)?;
    }
    Ok(Source::Volume(source.to_owned()))
}

fn target_path(target: &str) -> Result<String, String> {
    if !target.starts_with('/') {
        return Err(format!("invalid mount path: '{target}' mount path must be absolute"));
    }
    if target.trim_end_matches('/').is_empty() {
        return Err("invalid specification: destination can't be '/'".to_owned());
    }
    Ok(target.to_owned())
}

/// Reads a `--tmpfs` value.
///
/// # Errors
/// One clause that names the text.
pub fn parse_tmpfs(text: &str) -> Result<MountFlag, String> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let read_only = options.split(',').any(|option| option == "ro");
    let source = Source::Tmpfs(options.to_owned());
    Ok(MountFlag { source, target: target_path(target)?, read_only, anonymous: false, must_exist: false })
}

/// Reads a `--mount` value.
///
/// # Errors
/// One clause that names the text.
pub fn parse_mount(text: &str) -> Result<MountFlag, String> {
    let invalid = |why: String| format!("invalid argument \"{text}\" for \"--mount\" flag: {why}");
    let (mut kind, mut source, mut target, mut read_only, mut size) = ("volume", "", "", false, "");
    for field in text.split(',') {
        match field.split_once('=').unwrap_or((field, "")) {
            ("type", value) => kind = value,
            ("source" | "src", value) => source = value,
            ("target" | "dst" | "destination", value) => target = value,
            ("readonly" | "ro", "" | "true" | "1") => read_only = true,
            ("readonly" | "ro", "false" | "0") => read_only = false,
            ("tmpfs-size", value) => size = value,
            (key, _) => return Err(invalid(format!("unexpected key '{key}' in '{field}'"))),
        }
    }
    if target.is_empty() {
        return Err(invalid("target is required".to_owned()));
    }
    let source = match kind {
        "bind" if source.is_empty() => return Err(invalid("type=bind needs a source".to_owned())),
        "bind" => Source::Bind(source.to_owned()),
        "volume" if source.starts_with('/') => return Err(invalid("a volume has a name, not a path".to_owned())),
        "volume" => named_or_path(source).map_err(invalid)?,
        "tmpfs" if size.is_empty() => Source::Tmpfs(String::new()),
        "tmpfs" => Source::Tmpfs(format!("size={size}")),
        other => return Err(invalid(format!("mount type '{other}' is not supported: use bind, volume or tmpfs"))),
    };
    Ok(MountFlag {
        source,
        target: target_path(target).map_err(invalid)?,
        read_only,
        anonymous: false,
        must_exist: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_forms() {
        let bind = parse_volume("/host:/ctr:ro").unwrap();
        assert_eq!((bind.source, bind.target.as_str(), bind.read_only), (Source::Bind("/host".into()), "/ctr", true));
        assert_eq!(parse_volume("data:/var/lib").unwrap().source, Source::Volume("data".into()));
        assert_eq!(parse_volume("/only").unwrap().source, Source::Volume(String::new()));
        assert_eq!(parse_volume("./x:/y").unwrap().source, Source::Bind("./x".into()));
        assert_eq!(parse_tmpfs("/run:size=64k").unwrap().source, Source::Tmpfs("size=64k".into()));
        let mount = parse_mount("type=bind,src=/a,dst=/b,readonly").unwrap();
        assert!(mount.must_exist && mount.read_only);
    }

    #[test]
    fn refused() {
        for text in ["", "a:b", "/a:/", ":/x", "/a:/b:maybe", "a/b:/c", "/a:/b:ro:x", "/a:ro"] {
            assert!(parse_volume(text).is_err(), "{text}");
        }
        for text in ["type=bind,dst=/x", "src=a", "type=nfs,src=a,dst=/b", "bogus=1,dst=/x"] {
            assert!(parse_mount(text).is_err(), "{text}");
        }
    }
}
