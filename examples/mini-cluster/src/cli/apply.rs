//! `apply`: manifests in YAML or JSON, several documents, become objects; what changed is said per object.
//!
//! What an apply comes to is decided by `apiserver::apply`; here are files, requests and words.

use std::io::Read;
use std::path::Path;

use apiserver::apply::Applied;
use serde_json::Value;

use super::kinds::{self, Kind};
use crate::client::{Client, STRATEGIC_PATCH};
use crate::error::{Error, PathContext, Result};

/// Reads a manifest from a file or, for `-`, from standard input.
pub(crate) fn read(path: &Path) -> Result<(String, String)> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).at("read", path)?;
        return Ok(("standard input".to_owned(), text));
    }
    Ok((path.display().to_string(), std::fs::read_to_string(path).at("read", path)?))
}

/// The objects of a manifest, lists taken apart.
pub(crate) fn objects(source: &str, text: &str) -> Result<Vec<Value>> {
    let objects = apiserver::yaml::objects(text)
        .map_err(|error| Error::Input { subject: source.to_owned(), problem: crate::error::chain(&error) })?;
    if objects.is_empty() {
        return Err(Error::Input { subject: source.to_owned(), problem: "no objects passed to apply".to_owned() });
    }
    Ok(objects)
}

/// Applies every object of a manifest; one line each.
pub(crate) fn apply_text(client: &Client, source: &str, text: &str) -> Result<Vec<String>> {
    apply_in(client, "default", source, text)
}

/// Applies every object of a manifest in a namespace; one line each.
pub(crate) fn apply_in(client: &Client, namespace: &str, source: &str, text: &str) -> Result<Vec<String>> {
    objects(source, text)?.iter().map(|object| apply(client, namespace, object)).collect()
}

/// Kind, namespace and name of an object of a manifest.
pub(crate) fn identify(object: &Value, namespace: &str) -> Result<(Kind, String, String)> {
    let kind = kinds::kind_of(object)?;
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let namespace = text("/metadata/namespace").unwrap_or(namespace).to_owned();
    let name = text("/metadata/name").map(str::to_owned).ok_or_else(|| Error::Input {
        subject: "error".to_owned(),
        problem: format!("resource name may not be empty ({})", kind.kind),
    })?;
    Ok((kind, namespace, name))
}

fn apply(client: &Client, namespace: &str, object: &Value) -> Result<String> {
    let (kind, namespace, name) = identify(object, namespace)?;
    let path = kinds::path(kind, &namespace, &name);
    let label = kinds::label(kind, &name);
    let live = match client.get(&path) {
        Ok(live) => Some(live),
        Err(Error::Api { reason, .. }) if reason == "NotFound" => None,
        Err(error) => return Err(error),
    };
    match apiserver::apply::plan(kind, object, live.as_ref()) {
        Applied::Create(object) => {
            let path = format!("{}?fieldValidation=Warn", kinds::collection(kind, &namespace));
            let answer = client.create(&path, &object)?;
            Ok(with_warnings(&answer.warnings, format!("{label} created")))
        }
        Applied::Patch(patch) => {
            let answer = client.patch(&format!("{path}?fieldValidation=Warn"), STRATEGIC_PATCH, &patch)?;
            Ok(with_warnings(&answer.warnings, format!("{label} configured")))
        }
        Applied::Unchanged => Ok(format!("{label} unchanged")),
    }
}

fn with_warnings(warnings: &[String], line: String) -> String {
    for warning in warnings {
        eprintln!("Warning: {warning}");
    }
    line
}
