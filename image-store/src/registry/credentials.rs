//! The file that `docker login` writes: credentials by registry. Helper programs that it may name are not run.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Credential;
use crate::error::At as _;
use crate::{Error, Result};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Login {
    auth: String,
    username: String,
    password: String,
    registrytoken: String,
}

pub(super) fn read(path: &Path) -> Result<Vec<(String, Credential)>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at("read", path),
    };
    let file: File = serde_json::from_slice(&bytes).map_err(|error| Error::Invalid {
        what: "docker configuration",
        subject: path.display().to_string(),
        reason: error.to_string(),
    })?;
    Ok(file.auths.into_iter().filter_map(|(host, login)| Some((host_of(&host), login.credential()?))).collect())
}

/// Docker's own registry stands there under the address that its first version had.
fn host_of(key: &str) -> String {
    let host = key.trim_start_matches("https://").trim_start_matches("http://").split('/').next().unwrap_or_default();
    if host == "index.docker.io" { "docker.io".to_owned() } else { host.to_owned() }
}

impl Login {
    fn credential(self) -> Option<Credential> {
        if !self.registrytoken.is_empty() {
            return Some(Credential::Bearer(self.registrytoken));
        }
        let decoded = STANDARD.decode(self.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
        let (user, password) = match decoded.split_once(':') {
            Some((user, password)) => (user.to_owned(), password.trim_end_matches('\0').to_owned()),
            None => (self.username, self.password),
        };
        (!user.is_empty()).then_some(Credential::Basic { user, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_login_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYTpzcw=="},"r.io:5000":{"username":"a","password":"b"},
            "t.io":{"registrytoken":"t"},"none.io":{}},"credsStore":"desktop"}"#;
        std::fs::write(&path, text).unwrap();
        let found: BTreeMap<_, _> = read(&path).unwrap().into_iter().collect();
        let basic = |user: &str, password: &str| Credential::Basic { user: user.into(), password: password.into() };
        assert_eq!(found["docker.io"], basic("user", "pa:ss"));
        assert_eq!(found["r.io:5000"], basic("a", "b"));
        assert_eq!(found["t.io"], Credential::Bearer("t".into()));
        assert_eq!(found.len(), 3);
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
        std::fs::write(&path, "{").unwrap();
        assert!(read(&path).is_err());
    }
}
