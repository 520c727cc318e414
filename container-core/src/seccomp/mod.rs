//! System-call filters: from rules by name to a program the kernel runs on every call.
//!
//! `rules` turns a profile into verdicts by name, `calls` knows the names' numbers on each machine, `program` lays
//! them out as a tree of number ranges: a lookup takes a handful of steps, and loading costs a tenth of what the same
//! rules cost one after the other. All calling conventions of a machine are covered; a call that comes by any other
//! ends the process.
//!
//! Absent on purpose: libseccomp, and user notification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use crate::process::lock;
use crate::spec::Seccomp;
use crate::{Problem, caps};

mod calls;
mod program;
mod rules;
mod written;

pub use calls::Abi;

/// Name of the profile that Docker applies to every container.
pub const DOCKER_DEFAULT: &str = "docker-default";

/// A compiled filter.
pub(crate) type Filter = Arc<[u64]>;

type Cache = Mutex<HashMap<(Seccomp, u64), Filter>>;

/// Profiles kept compiled: a host rarely uses more than a few.
const KEPT: usize = 64;

impl Seccomp {
    /// Docker's default profile; what it allows depends on the capabilities of the process.
    #[must_use]
    pub fn docker_default() -> Self {
        Self { profile: Some(DOCKER_DEFAULT.to_owned()), ..Self::default() }
    }

    /// The filter as the kernel reads it, one word per instruction, for a process with these capabilities.
    ///
    /// # Errors
    /// [`Problem`] names the field that cannot be compiled.
    pub fn compiled(&self, capabilities: &[String]) -> Result<Vec<u64>, Problem> {
        compile(self, mask_of(capabilities)?).map(|filter| filter.to_vec())
    }

    /// A built-in profile written out as the standard's rules, for a runtime that does not know it by name. A profile
    /// of rules stays as it is.
    ///
    /// # Errors
    /// [`Problem`] when the profile is unknown.
    pub fn written_out(&self, capabilities: &[String]) -> Result<Self, Problem> {
        let Some(name) = &self.profile else { return Ok(self.clone()) };
        let rules = rules::read(self, mask_of(capabilities)?)?;
        written::out(&rules).ok_or_else(|| problem("profile", format!("cannot write {name:?} out")))
    }
}

fn mask_of(capabilities: &[String]) -> Result<u64, Problem> {
    caps::mask(capabilities).map_err(|what| Problem { field: "process.capabilities".to_owned(), what })
}

/// Compiles a profile for a process with these capabilities, or finds it compiled.
pub(crate) fn compile(profile: &Seccomp, capabilities: u64) -> Result<Filter, Problem> {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    let key = (profile.clone(), capabilities);
    let cache = CACHE.get_or_init(Cache::default);
    if let Some(filter) = lock(cache).get(&key) {
        return Ok(Arc::clone(filter));
    }
    let rules = rules::read(profile, capabilities)?;
    let filter: Filter = program::emit(&rules, Abi::native()).into();
    let mut cache = lock(cache);
    if cache.len() >= KEPT {
        cache.clear();
    }
    cache.insert(key, Arc::clone(&filter));
    Ok(filter)
}

/// Reads the load flags of a profile.
pub(crate) fn flags(profile: &Seccomp) -> Result<u32, Problem> {
    profile.flags.iter().try_fold(0, |flags, name| match name.as_str() {
        "SECCOMP_FILTER_FLAG_LOG" => Ok(flags | 2),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(flags | 4),
        // The process is alone when the filter is loaded: nothing to synchronise.
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(flags),
        other => Err(problem("flags", format!("does not know {other:?}"))),
    })
}

fn problem(field: &str, what: String) -> Problem {
    Problem { field: format!("linux.seccomp.{field}"), what }
}

/// Tells whether a set holds one of the named capabilities.
fn holds_any(capabilities: u64, names: &str) -> bool {
    names.split(',').filter_map(caps::number).any(|number| capabilities >> number & 1 == 1)
}

#[cfg(test)]
mod tests;
