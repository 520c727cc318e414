//! `ImageConfig`: what an image says about the program in it. Own types, because Docker's additions (health check,
//! ONBUILD, SHELL) and members nobody knows yet must survive a change and a push.
//!
//! Pure data. Nothing here is acted upon: labels, volumes and environment of an untrusted image are only values.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Digest, Error, Platform, Result};

/// The configuration of an image: how to run it, what it is made of, and how it came to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// The processor architecture.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// The variant of the architecture.
    pub variant: Option<String>,
    /// `user[:group]` to run as, by name or number; empty means root.
    pub user: String,
    /// Ports the program listens on, such as `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// The program, with its fixed arguments.
    pub entrypoint: Option<Vec<String>>,
    /// The default arguments, or the program when there is no entrypoint.
    pub cmd: Option<Vec<String>>,
    /// Folders that hold data of their own.
    pub volumes: Vec<String>,
    /// The folder to start in.
    pub working_dir: String,
    /// Free data.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to stop, such as `SIGQUIT`.
    pub stop_signal: Option<String>,
    /// How to see that the program is well.
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for an image built on this one.
    pub on_build: Vec<String>,
    /// The shell that later shell-form instructions use.
    pub shell: Option<Vec<String>>,
    /// The digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
    /// How the image came to be, one entry per step.
    pub history: Vec<History>,
    /// Members of the document that this crate does not know.
    pub other: Map<String, Value>,
    /// Members of its `config` that this crate does not know.
    pub other_config: Map<String, Value>,
}

/// How to see that the program is well. Times are nanoseconds; zero means the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", command]`; empty means inherited.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub test: Vec<String>,
    /// Time between two checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: u64,
    /// Time after which a check has failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: u64,
    /// Time in which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: u64,
    /// Time between two checks during the start period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: u64,
    /// Failures in a row that make the container unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u64,
}

/// One step in the making of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The step made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// The document as it is written.
#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    architecture: String,
    os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    config: Process,
    rootfs: RootFs,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    history: Vec<History>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct RootFs {
    r#type: String,
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<Digest>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Process {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<String, Value>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<Vec<String>>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    volumes: BTreeMap<String, Value>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    working_dir: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    on_build: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<Vec<String>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl ImageConfig {
    /// Reads the document of an image configuration.
    ///
    /// # Errors
    /// `Invalid` with the place where the document breaks its format.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let invalid = |reason: String| Error::Invalid {
            what: "image configuration",
            subject: Digest::of(bytes).to_string(),
            reason,
        };
        let document: Document = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        if document.rootfs.r#type != "layers" {
            return Err(invalid("the type of its rootfs is not `layers`".to_owned()));
        }
        Ok(Self::from_document(document))
    }

    /// Writes the document. The same value gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // A tree of strings, numbers and maps with string keys cannot fail to serialise.
        serde_json::to_vec(&self.to_document()).unwrap_or_default()
    }

    /// The platform of the image.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform { architecture: self.architecture.clone(), os: self.os.clone(), variant: self.variant.clone() }
    }

    /// The complete command line: entrypoint, then cmd.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.cmd).flatten().cloned().collect()
    }

    fn from_document(document: Document) -> Self {
        let process = document.config;
        Self {
            created: document.created,
            author: document.author,
            architecture: document.architecture,
            os: document.os,
            variant: document.variant.filter(|variant| !variant.is_empty()),
            user: process.user,
            exposed_ports: process.exposed_ports.into_keys().collect(),
            env: process.env,
            entrypoint: process.entrypoint,
            cmd: process.cmd,
            volumes: process.volumes.into_keys().collect(),
            working_dir: process.working_dir,
            labels: process.labels,
            stop_signal: process.stop_signal.filter(|signal| !signal.is_empty()),
            healthcheck: process.healthcheck,
            on_build: process.on_build,
            shell: process.shell,
            diff_ids: document.rootfs.diff_ids,
            history: document.history,
            other: document.other,
            other_config: process.other,
        }
    }

    fn to_document(&self) -> Document {
        let set = |keys: &[String]| keys.iter().map(|key| (key.clone(), Value::Object(Map::new()))).collect();
        Document {
            created: self.created.clone(),
            author: self.author.clone(),
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
            config: Process {
                user: self.user.clone(),
                exposed_ports: set(&self.exposed_ports),
                env: self.env.clone(),
                entrypoint: self.entrypoint.clone(),
                cmd: self.cmd.clone(),
                volumes: set(&self.volumes),
                working_dir: self.working_dir.clone(),
                labels: self.labels.clone(),
                stop_signal: self.stop_signal.clone(),
                healthcheck: self.healthcheck.clone(),
                on_build: self.on_build.clone(),
                shell: self.shell.clone(),
                other: self.other_config.clone(),
            },
            rootfs: RootFs { r#type: "layers".to_owned(), diff_ids: self.diff_ids.clone() },
            history: self.history.clone(),
            other: self.other.clone(),
        }
    }
}

/// Go writes `null` for an empty list or map.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = r#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","container":"abc",
        "config":{"Hostname":"h","User":"1000:0","Env":["A=b"],"Cmd":["sh"],"Volumes":null,"ExposedPorts":{"80/tcp":{}},
        "Healthcheck":{"Test":["CMD","true"],"Interval":5000000000},"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"],
        "Labels":null,"StopSignal":"SIGQUIT","Entrypoint":["/e"]},
        "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
        "history":[{"created_by":"x","empty_layer":true}]}"#;

    #[test]
    fn keeps_what_docker_added_and_what_it_does_not_know() {
        let config = ImageConfig::from_json(DOCKER.as_bytes()).unwrap();
        assert_eq!(config.command(), ["/e", "sh"]);
        assert_eq!(config.exposed_ports, ["80/tcp"]);
        assert_eq!(config.healthcheck.as_ref().unwrap().interval, 5_000_000_000);
        assert_eq!(config.other["container"], "abc");
        assert_eq!(config.other_config["Hostname"], "h");
        let again = ImageConfig::from_json(&config.to_json()).unwrap();
        assert_eq!(again, config);
        assert_eq!(again.to_json(), config.to_json());
    }

    #[test]
    fn agrees_with_the_specification_crate() {
        let config = ImageConfig::from_json(DOCKER.as_bytes()).unwrap();
        let oracle = oci_spec::image::ImageConfiguration::from_reader(&config.to_json()[..]).unwrap();
        assert_eq!(oracle.config().as_ref().unwrap().user().as_deref(), Some("1000:0"));
        assert_eq!(oracle.rootfs().diff_ids().len(), 1);
    }

    #[test]
    fn names_the_place_of_a_mistake() {
        let error = ImageConfig::from_json(br#"{"architecture": 7}"#).unwrap_err().to_string();
        assert!(error.contains("line 1 column"), "{error}");
    }
}
