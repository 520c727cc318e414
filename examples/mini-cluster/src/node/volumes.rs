//! A pod's volumes as folders of the host, made before its first container and removed after its last.
//!
//! Known are emptyDir (on disk or, with `medium: Memory`, a tmpfs in the cluster's own mount namespace), configMap,
//! secret, downwardAPI and hostPath. Other kinds are refused with their name. File names of keys are plain names, so
//! that nothing can be written outside of the volume.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use orchestrate_core::node::FileBody;
use orchestrate_core::objects::{Container, Pod, Volume};

use super::launch::Bind;

/// The files of a volume that is made of objects; nothing for other kinds of volumes.
pub(super) type Files<'a> = &'a dyn Fn(&Volume) -> Result<Option<Vec<FileBody>>, String>;

/// The folders of a pod's volumes by name.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    paths: BTreeMap<String, PathBuf>,
    memory: Vec<PathBuf>,
}

impl Volumes {
    /// Makes all volumes of the pod below `dir`.
    pub(super) fn make(dir: &Path, pod: &Pod, files: Files<'_>) -> Result<Self, String> {
        let mut volumes = Self::default();
        for volume in &pod.spec.volumes {
            let path = dir.join(plain(&volume.name)?);
            let made = volumes.one(&path, volume, files);
            let path =
                made.map_err(|problem| format!("MountVolume.SetUp failed for volume {:?}: {problem}", volume.name))?;
            volumes.paths.insert(volume.name.clone(), path);
        }
        Ok(volumes)
    }

    fn one(&mut self, path: &Path, volume: &Volume, files: Files<'_>) -> Result<PathBuf, String> {
        if let Some(host) = &volume.host_path {
            return host_path(&host.path, host.kind.as_deref().unwrap_or_default());
        }
        fs::create_dir_all(path).map_err(|error| error.to_string())?;
        if let Some(empty) = &volume.empty_dir {
            mode(path, 0o777)?;
            if empty.medium == "Memory" {
                let size = empty.size_limit.map_or_else(|| "50%".to_owned(), |size| size.value().to_string());
                self.tmpfs(path, &format!("mode=777,size={size}"))?;
            }
            return Ok(path.to_owned());
        }
        let known = "known are emptyDir, configMap, secret, downwardAPI and hostPath";
        let files = files(volume)?.ok_or_else(|| format!("its kind is not supported here ({known})"))?;
        for file in files {
            let path = path.join(plain_path(&file.path)?);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            }
            fs::write(&path, file.content).map_err(|error| error.to_string())?;
            mode(&path, file.mode)?;
        }
        Ok(path.to_owned())
    }

    fn tmpfs(&mut self, path: &Path, options: &str) -> Result<(), String> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options)).map_err(|errno| errno.to_string())?;
        self.memory.push(path.to_owned());
        Ok(())
    }

    /// What a container of the pod sees of them.
    pub(super) fn binds(&self, container: &Container) -> Result<Vec<Bind>, String> {
        let mut binds = Vec::new();
        for wanted in &container.volume_mounts {
            let path = self.paths.get(&wanted.name).ok_or_else(|| format!("no volume is named {:?}", wanted.name))?;
            if !wanted.sub_path_expr.is_empty() {
                return Err("subPathExpr is not supported".to_owned());
            }
            let source = match wanted.sub_path.as_str() {
                "" => path.clone(),
                part => sub_path(path, part)?,
            };
            binds.push(Bind {
                source: source.display().to_string(),
                destination: wanted.mount_path.clone(),
                read_only: wanted.read_only,
            });
        }
        Ok(binds)
    }

    /// Takes tmpfs volumes away; the folders go with the pod's.
    pub(super) fn end(&mut self) {
        for path in self.memory.drain(..) {
            let _ = umount2(&path, MntFlags::MNT_DETACH);
        }
    }
}

fn host_path(path: &str, kind: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    match kind {
        "" => {}
        "DirectoryOrCreate" => fs::create_dir_all(&path).map_err(|error| error.to_string())?,
        "Directory" if path.is_dir() => {}
        "File" if path.is_file() => {}
        other => return Err(format!("hostPath type check failed: {} is not a {other}", path.display())),
    }
    if path.exists() { Ok(path) } else { Err(format!("{} does not exist", path.display())) }
}

/// A part of a volume: every step a real folder or file, no symbolic link.
fn sub_path(volume: &Path, part: &str) -> Result<PathBuf, String> {
    let mut path = volume.to_owned();
    for step in plain_path(part)?.components() {
        path.push(step);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                return Err(format!("subPath {part:?} leads through a symbolic link"));
            }
            Ok(_) => {}
            Err(_) => fs::create_dir(&path).map_err(|error| error.to_string())?,
        }
    }
    Ok(path)
}

fn plain(name: &str) -> Result<&Path, String> {
    let path = plain_path(name)?;
    if path.components().count() == 1 { Ok(path) } else { Err(format!("{name:?} is no plain name")) }
}

fn plain_path(name: &str) -> Result<&Path, String> {
    let path = Path::new(name);
    let mut parts = path.components();
    let inside = !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
    if inside { Ok(path) } else { Err(format!("{name:?} leads out of the volume")) }
}

fn mode(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(dir: &Path, path: &str) -> Result<Volumes, String> {
        let mut pod = Pod::default();
        let volumes = serde_json::json!([{"name": "v", "configMap": {"name": "c"}}]);
        pod.spec.volumes = serde_json::from_value(volumes).unwrap();
        let file = FileBody { path: path.to_owned(), mode: 0o600, content: b"x".to_vec() };
        Volumes::make(dir, &pod, &|_| Ok(Some(vec![file.clone()])))
    }

    #[test]
    fn nothing_is_written_outside_of_a_volume() {
        let dir = tempfile::tempdir().unwrap();
        assert!(make(dir.path(), "../../etc/passwd").unwrap_err().contains("leads out of the volume"));
        make(dir.path(), "deep/file").unwrap();
        assert_eq!(fs::read(dir.path().join("v/deep/file")).unwrap(), b"x");
    }

    #[test]
    fn unknown_kinds_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut pod = Pod::default();
        pod.spec.volumes = serde_json::from_value(serde_json::json!([{"name": "v", "gitRepo": {}}])).unwrap();
        assert!(Volumes::make(dir.path(), &pod, &|_| Ok(None)).unwrap_err().contains("not supported"));
    }

    #[test]
    fn sub_paths_do_not_follow_links() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        assert!(sub_path(dir.path(), "link/passwd").is_err());
        assert!(sub_path(dir.path(), "../x").is_err());
        assert_eq!(sub_path(dir.path(), "a/b").unwrap(), dir.path().join("a/b"));
    }
}
