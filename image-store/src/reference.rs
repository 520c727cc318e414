//! `Reference`: the name of an image, in the familiar form that people type and the complete form that registries use.
//!
//! `web:1.0` means `docker.io/library/web:1.0`. The first part of a name is a registry when it holds a dot or a colon
//! or is `localhost`. Pure; the grammar is the one that the distribution project publishes.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, Error, Result};

const DEFAULT_REGISTRY: &str = "docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const LONGEST_NAME: usize = 255;

/// A complete name: registry, repository, and a tag, a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses a familiar or complete name. A name with neither tag nor digest gets the tag `latest`.
    ///
    /// # Errors
    /// `InvalidReference` with the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |reason| Error::InvalidReference { text: text.chars().take(300).collect(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if name.is_empty() {
            return Err(invalid("the name is empty"));
        }
        if Digest::from_hex(name).is_some() {
            return Err(invalid("a name cannot be 64 hexadecimal digits"));
        }
        if let Some(tag) = tag {
            check_tag(tag).map_err(invalid)?;
        }
        let (registry, repository) = split_registry(name);
        check_registry(registry).map_err(invalid)?;
        check_repository(repository).map_err(invalid)?;
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        let repository = if registry == DEFAULT_REGISTRY && !repository.contains('/') {
            format!("{OFFICIAL}{repository}")
        } else {
            repository.to_owned()
        };
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(invalid("the name is longer than 255 bytes"));
        }
        let tag = match (tag, digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }

    /// Host and port of the registry, `docker.io` when none was given.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry, such as `library/web`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that the image must have.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The complete form, such as `docker.io/library/web:1.0`.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.with_suffix(format!("{}/{}", self.registry, self.repository))
    }

    /// The familiar name without tag and digest, such as `web` or `localhost:5000/web`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        match self.repository.strip_prefix(OFFICIAL) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// The same name with another tag and without digest.
    ///
    /// # Errors
    /// `InvalidReference` when `tag` is not one.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        check_tag(tag).map_err(|reason| Error::InvalidReference { text: tag.chars().take(300).collect(), reason })?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The name under which a store keeps it: with the tag, without the digest when there is a tag.
    pub(crate) fn without_digest(&self) -> Self {
        Self { digest: if self.tag.is_some() { None } else { self.digest }, ..self.clone() }
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

/// The familiar form, such as `web:1.0`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.familiar_name()))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn is_registry(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn check_tag(tag: &str) -> std::result::Result<(), &'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    match bytes.next() {
        Some(first) if word(first) && bytes.all(|byte| word(byte) || byte == b'.' || byte == b'-') => {}
        _ => return Err("a tag is letters, digits, _, . and -, and begins with none of the last two"),
    }
    if tag.len() > 128 { Err("a tag has at most 128 characters") } else { Ok(()) }
}

/// `host[:port]`, where the host is a name, an IPv4 address or an IPv6 address in brackets.
fn check_registry(registry: &str) -> std::result::Result<(), &'static str> {
    let (host, port) = if let Some(rest) = registry.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return Err("the registry's address has no closing bracket");
        };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("the registry is not an IPv6 address");
        }
        ("", rest.strip_prefix(':').or((!rest.is_empty()).then_some("")))
    } else {
        match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        }
    };
    if let Some(port) = port
        && (port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err("the registry's port is not a number");
    }
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if registry.starts_with('[') || host.split('.').all(label) {
        Ok(())
    } else {
        Err("the registry is not a host name")
    }
}

/// Lower-case words divided by `/`, inside which `.`, `_`, `__` and any number of `-` may stand between letters.
fn check_repository(repository: &str) -> std::result::Result<(), &'static str> {
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("a repository name must be lower case");
    }
    let ok = repository.split('/').all(|part| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = part.as_bytes();
        let edges = bytes.first().is_some_and(|byte| plain(*byte)) && bytes.last().is_some_and(|byte| plain(*byte));
        let separators = part.split(|symbol: char| symbol.is_ascii_lowercase() || symbol.is_ascii_digit());
        edges
            && separators.into_iter().all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
    });
    if ok { Ok(()) } else { Err("a repository name is lower-case words divided by one of . _ __ - and /") }
}

#[cfg(test)]
#[path = "reference/tests.rs"]
mod tests;
