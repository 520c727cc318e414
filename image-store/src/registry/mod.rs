//! Registries: pulling images into a [`Store`] and pushing them out of it, over the OCI distribution protocol.
//!
//! The protocol is spoken by oci-distribution (the maintained crate oci-client); what surrounds it here is choice of
//! platform, verification, resuming, bounded memory and parallel layers. Calls block; each drives a small runtime on a
//! thread of its own, so they may be made from anywhere, asynchronous code included. Plain HTTP is spoken to loopback
//! addresses and where [`Registry::insecure`] was asked for, TLS everywhere else.

mod client;
mod credentials;
mod download;
mod pull;
mod push;
mod run;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

pub use pull::{PullOptions, Pulled};

use crate::{Digest, Result, Store};

/// How to talk to registries: credentials and security. One value serves any number of them.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    credential: Option<Credential>,
    by_host: BTreeMap<String, Credential>,
    insecure: bool,
}

/// Who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password, or a token in the place of one.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Bearer(String),
}

/// Secrets do not show.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => write!(f, "Basic({user}, ...)"),
            Self::Bearer(_) => f.write_str("Bearer(...)"),
        }
    }
}

/// Something that happened to one blob during a pull or a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which blob.
    pub blob: Digest,
    /// What happened.
    pub stage: Stage,
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What happened to a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It is on the list.
    Waiting,
    /// It is on the other side already.
    Exists,
    /// Some more of it has been transferred.
    Moving,
    /// All of it has arrived and was found right.
    Complete,
}

impl Registry {
    /// Without credentials.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a user and a password for whichever registry is talked to.
    #[must_use]
    pub fn credential(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credential = Some(Credential::Basic { user: user.into(), password: password.into() });
        self
    }

    /// With a bearer token for whichever registry is talked to.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credential = Some(Credential::Bearer(token.into()));
        self
    }

    /// With credentials for one registry, named by host and port.
    #[must_use]
    pub fn credential_for(mut self, host: impl Into<String>, credential: Credential) -> Self {
        self.by_host.insert(host.into(), credential);
        self
    }

    /// With plain HTTP for every registry, not only for those on loopback.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// With the credentials that `docker login` wrote to this file; nothing if there is no such file.
    ///
    /// # Errors
    /// `Invalid` for a malformed file, `Io`.
    pub fn docker_config(mut self, path: impl AsRef<Path>) -> Result<Self> {
        for (host, credential) in credentials::read(path.as_ref())? {
            self.by_host.entry(host).or_insert(credential);
        }
        Ok(self)
    }

    fn credential_of(&self, host: &str) -> Option<&Credential> {
        self.by_host.get(host).or(self.credential.as_ref())
    }
}

/// Whether `host[:port]` is this machine, where Docker too speaks plain HTTP.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Store {
    /// Fetches an image, unless the store has it already, and gives it its name.
    ///
    /// # Errors
    /// `UnknownImage`, `NoPlatform`, `Denied`, `Unreachable`, `Registry`, `WrongDigest`, `WrongSize`, `Invalid`, `Io`.
    /// After an error nothing of the image is visible.
    pub fn pull(&self, registry: &Registry, name: &crate::Reference, options: &PullOptions<'_>) -> Result<Pulled> {
        let how = (options.platform.as_ref(), options.unpack);
        run::run(options.progress, |events| pull::pull(self, registry, name, how, events))
    }

    /// Sends an image under `name`; blobs that the registry has are not sent. Returns the digest it has there, which
    /// is the one it has here.
    ///
    /// # Errors
    /// `InvalidReference` for a name without a tag, `Denied`, `Unreachable`, `Registry`, `Io`.
    pub fn push(
        &self,
        registry: &Registry,
        image: &crate::Image,
        name: &crate::Reference,
        progress: Option<&dyn Fn(Progress)>,
    ) -> Result<Digest> {
        run::run(progress, |events| push::push(self, registry, image, name, events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_address_not_by_prefix() {
        for yes in ["localhost", "localhost:5000", "127.0.0.1", "127.1.2.3:80", "[::1]:5000"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["localhost.example.com", "127.0.0.1.example.com", "[::2]:80", "docker.io", "10.0.0.1:5000"] {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let registry = Registry::new().credential("user", "hunter2").token("s3cret");
        let text = format!("{registry:?} {:?}", Registry::new().credential("user", "hunter2"));
        assert!(!text.contains("hunter2") && !text.contains("s3cret"), "{text}");
    }
}
