//! `rollout`: follows a deployment until its update is done or given up, and goes back to an earlier revision.
//!
//! What a rollout's state is and what an undo comes to is decided by `apiserver::rollout`; here are requests and words.

use std::ops::ControlFlow;

use apiserver::rollout::{self, Progress};
use serde_json::Value;

use super::args::Rollout;
use super::kinds;
use crate::client::{Client, STRATEGIC_PATCH};
use crate::error::{Error, Result};
use crate::node::clock;

const JSON_PATCH: &str = "application/json-patch+json";

pub(super) fn rollout(client: &Client, namespace: &str, rollout: &Rollout) -> Result<()> {
    match rollout {
        Rollout::Status { what, timeout } => status(client, namespace, &deployment(what)?, *timeout),
        Rollout::Undo { what, to_revision } => {
            let name = deployment(what)?;
            undo_in(client, namespace, &name, *to_revision)?;
            say!("deployment.apps/{name} rolled back");
            Ok(())
        }
        Rollout::History { what } => {
            let (deployment, sets) = with_sets(client, namespace, &deployment(what)?)?;
            say!("{}", rollout::history(&deployment, &sets));
            Ok(())
        }
        Rollout::Restart { what } => {
            let name = deployment(what)?;
            client.patch(&path(namespace, &name)?, STRATEGIC_PATCH, &rollout::restart(clock::now().0))?;
            say!("deployment.apps/{name} restarted");
            Ok(())
        }
    }
}

fn deployment(what: &str) -> Result<String> {
    match kinds::one(what)? {
        kinds::Named { kind, name: Some(name) } if kind.kind == "Deployment" => Ok(name),
        kinds::Named { kind, .. } => Err(refused(format!("no rollout for {}: only deployments have one", kind.plural))),
    }
}

fn path(namespace: &str, name: &str) -> Result<String> {
    Ok(kinds::path(kinds::kind("deployments")?, namespace, name))
}

fn refused(problem: String) -> Error {
    Error::Input { subject: "error".to_owned(), problem }
}

/// A line to print, and whether it is the last one.
fn progress(deployment: &Value) -> Result<(String, bool)> {
    match rollout::progress(deployment) {
        Progress::Waiting(line) => Ok((line, false)),
        Progress::Done(line) => Ok((line, true)),
        Progress::Failed(line) => Err(refused(line)),
    }
}

fn status(client: &Client, namespace: &str, name: &str, timeout: Option<u64>) -> Result<()> {
    let object = client.get(&path(namespace, name)?)?;
    let (mut said, done) = progress(&object)?;
    say!("{said}");
    if done {
        return Ok(());
    }
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let limit = timeout.map(|seconds| format!("&timeoutSeconds={}", seconds.max(1))).unwrap_or_default();
    let collection = kinds::collection(kinds::kind("deployments")?, namespace);
    let path = format!("{collection}?watch=true&fieldSelector=metadata.name%3D{name}&resourceVersion={version}{limit}");
    let mut outcome = Ok(false);
    client.watch(&path, "application/json", |event| {
        outcome = progress(&event["object"]).map(|(line, done)| {
            if line != said {
                say!("{line}");
                said = line;
            }
            done
        });
        if matches!(outcome, Ok(false)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    match (outcome?, timeout) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(refused("timed out waiting for the condition".to_owned())),
        (false, None) => Err(Error::Half { problem: "ended the watch".to_owned() }),
    }
}

fn with_sets(client: &Client, namespace: &str, name: &str) -> Result<(Value, Value)> {
    let deployment = client.get(&path(namespace, name)?)?;
    let sets = client.get(&kinds::collection(kinds::kind("replicasets")?, namespace))?;
    Ok((deployment, sets))
}

/// Gives the deployment the template of an earlier revision.
pub(crate) fn undo_in(client: &Client, namespace: &str, name: &str, to: Option<u64>) -> Result<()> {
    let (deployment, sets) = with_sets(client, namespace, name)?;
    let patch = rollout::undo(&deployment, &sets, to).map_err(refused)?;
    client.patch(&path(namespace, name)?, JSON_PATCH, &patch).map(drop)
}
