//! Unique names of containers: one small file per name that holds the id.
//!
//! A name is claimed before the container's folder appears and freed after it is gone, all under
//! one lock, so a crash can only leave a name whose container does not exist; such a name counts as
//! free. A rename claims the new name, rewrites the definition, then frees the old one: whichever
//! name the definition holds is the true one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{Error, Result, io_at};
use super::files::{Durability, write_whole};
use super::id::{is_id, random};
use super::words::{ADJECTIVES, SURNAMES};

/// The folder of names.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    dir: PathBuf,
}

impl Names {
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Gives the id that `name` was claimed for. The caller checks that the container exists.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>> {
        if !is_valid(name) {
            return Ok(None);
        }
        let path = self.dir.join(name);
        match fs::read_to_string(&path) {
            Ok(id) => Ok(Some(id.trim_end().to_owned()).filter(|id| is_id(id))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_at("read", &path)(error)),
        }
    }

    /// Claims `name`. The caller holds the lock of names and has checked that it is free.
    pub(crate) fn claim(&self, name: &str, id: &str) -> Result<()> {
        check(name)?;
        write_whole(&self.dir.join(name), id.as_bytes(), Durability::Synced)
    }

    /// Frees `name` when it belongs to `id`.
    pub(crate) fn free(&self, name: &str, id: &str) -> Result<()> {
        if self.get(name)?.as_deref() != Some(id) {
            return Ok(());
        }
        remove(&self.dir.join(name))
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_at("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Refuses what Docker refuses as a name.
pub(crate) fn check(name: &str) -> Result<()> {
    if is_valid(name) { Ok(()) } else { Err(Error::BadName { name: name.chars().take(200).collect() }) }
}

fn is_valid(name: &str) -> bool {
    let bytes = name.as_bytes();
    (2..=200).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Makes up a name like `brave_curie`. `attempt` above 0 adds a digit, as Docker does after a clash.
pub(crate) fn made_up(attempt: u32) -> Result<String> {
    let pick = |words: &[&'static str], bytes: [u8; 4]| words[u32::from_le_bytes(bytes) as usize % words.len()];
    let (adjective, surname) = (pick(ADJECTIVES, random()?), pick(SURNAMES, random()?));
    if (adjective, surname) == ("boring", "wozniak") {
        return made_up(attempt); // Steve Wozniak is not boring.
    }
    let digit = if attempt == 0 { String::new() } else { (random::<1>()?[0] % 10).to_string() };
    Ok(format!("{adjective}_{surname}{digit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names() {
        for name in ["web", "a1", "brave_curie", "x.y-z", "0abc"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "a", "-web", "_web", "we b", "../x", "w/b", ".hidden", "ü1", &"a".repeat(201)] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn made_up_names_are_valid() {
        for attempt in 0..20 {
            let name = made_up(attempt).unwrap();
            assert!(check(&name).is_ok(), "{name}");
        }
    }

    #[test]
    fn claimed_and_freed() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::at(dir.path().to_path_buf());
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        assert_eq!(names.get("web").unwrap(), None);
        names.claim("web", &one).unwrap();
        assert_eq!(names.get("web").unwrap(), Some(one.clone()));
        names.free("web", &two).unwrap();
        assert_eq!(names.get("web").unwrap(), Some(one.clone()), "another's name is not freed");
        names.free("web", &one).unwrap();
        assert_eq!(names.get("web").unwrap(), None);
    }
}
