//! `delete`, `scale` and `set image`: small changes, said in kubectl's words.

use std::time::{Duration, Instant};

use serde_json::json;

use super::args::{Delete, Scale};
use super::kinds::Kind;
use super::{apply, kinds};
use crate::client::{Client, MERGE_PATCH, STRATEGIC_PATCH};
use crate::error::{Error, Result};

/// How long `delete` waits for what it deleted to be gone.
const GONE: Duration = Duration::from_secs(120);

pub(super) fn delete(client: &Client, namespace: &str, delete: &Delete) -> Result<()> {
    let mut doomed = Vec::new();
    for file in &delete.filename {
        let (source, text) = apply::read(file)?;
        for object in apply::objects(&source, &text)? {
            doomed.push(apply::identify(&object, namespace)?);
        }
    }
    for named in kinds::parse(&delete.what)? {
        let Some(name) = named.name else {
            let problem = "resource(s) were provided, but no name was specified".to_owned();
            return Err(Error::Input { subject: "error".to_owned(), problem });
        };
        doomed.push((named.kind, namespace.to_owned(), name));
    }
    let options = delete.grace_period.map(|seconds| json!({"gracePeriodSeconds": seconds}));
    let mut refused = None;
    for (kind, namespace, name) in &doomed {
        match client.delete(&kinds::path(kind, namespace, name), options.as_ref()) {
            Ok(_) => say!("{} deleted", quoted(kind, name)),
            Err(error @ Error::Api { .. }) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    if delete.wait {
        for (kind, namespace, name) in &doomed {
            wait_until_gone(client, &kinds::path(kind, namespace, name))?;
        }
    }
    refused.map_or(Ok(()), Err)
}

fn quoted(kind: Kind, name: &str) -> String {
    let label = kinds::label(kind, "");
    format!("{} {name:?}", label.trim_end_matches('/'))
}

fn wait_until_gone(client: &Client, path: &str) -> Result<()> {
    let uid = match client.get(path) {
        Ok(object) => object["metadata"]["uid"].clone(),
        Err(Error::Api { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let deadline = Instant::now() + GONE;
    while Instant::now() < deadline {
        match client.get(path) {
            Ok(object) if object["metadata"]["uid"] == uid => std::thread::sleep(Duration::from_millis(50)),
            Ok(_) | Err(Error::Api { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(Error::Input { subject: "error".to_owned(), problem: format!("timed out waiting for {path} to be gone") })
}

pub(super) fn scale(client: &Client, namespace: &str, scale: &Scale) -> Result<()> {
    for named in kinds::parse(&scale.what)? {
        let name = named.name.unwrap_or_default();
        let path = format!("{}/scale", kinds::path(named.kind, namespace, &name));
        client.patch(&path, MERGE_PATCH, &json!({"spec": {"replicas": scale.replicas}}))?;
        say!("{} scaled", kinds::label(named.kind, &name));
    }
    Ok(())
}

pub(super) fn set_image(client: &Client, namespace: &str, what: &str, images: &[String]) -> Result<()> {
    let named = kinds::one(what)?;
    let name = named.name.unwrap_or_default();
    let path = kinds::path(named.kind, namespace, &name);
    let object = client.get(&path)?;
    let template = if named.kind.kind == "Pod" { "/spec" } else { "/spec/template/spec" };
    let known = object.pointer(&format!("{template}/containers")).and_then(|list| list.as_array().cloned());
    let mut containers = Vec::new();
    for pair in images {
        let (container, image) = pair.split_once('=').ok_or_else(|| Error::Input {
            subject: "error".to_owned(),
            problem: format!("{pair:?} must be given as container=image"),
        })?;
        if !known.iter().flatten().any(|spec| spec["name"] == container) {
            let problem = format!("unable to find container named {container:?}");
            return Err(Error::Input { subject: "error".to_owned(), problem });
        }
        containers.push(json!({"name": container, "image": image}));
    }
    let spec = json!({"spec": {"containers": containers}});
    let patch = if named.kind.kind == "Pod" { spec } else { json!({"spec": {"template": spec}}) };
    let answer = client.patch(&path, STRATEGIC_PATCH, &patch)?;
    if answer.body["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
        say!("{} image updated", kinds::label(named.kind, &name));
    }
    Ok(())
}
