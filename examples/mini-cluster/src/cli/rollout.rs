//! `rollout`: follows a deployment until its update is done or given up, and goes back to an earlier revision.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args::Rollout;
use super::kinds;
use crate::client::{Client, STRATEGIC_PATCH};
use crate::error::{Error, Result};

const REVISION: &str = "deployment.kubernetes.io/revision";
const CAUSE: &str = "kubernetes.io/change-cause";
const JSON_PATCH: &str = "application/json-patch+json";

pub(super) fn rollout(client: &Client, namespace: &str, rollout: &Rollout) -> Result<()> {
    match rollout {
        Rollout::Status { what, timeout } => status(client, namespace, &deployment(what)?, *timeout),
        Rollout::Undo { what, to_revision } => {
            let name = deployment(what)?;
            undo_in(client, namespace, &name, *to_revision)?;
            println!("deployment.apps/{name} rolled back");
            Ok(())
        }
        Rollout::History { what } => history(client, namespace, &deployment(what)?),
        Rollout::Restart { what } => restart(client, namespace, &deployment(what)?),
    }
}

fn deployment(what: &str) -> Result<String> {
    match kinds::one(what)? {
        kinds::Named { kind, name: Some(name) } if kind.kind == "Deployment" => Ok(name),
        kinds::Named { kind, .. } => Err(Error::Input {
            subject: "error".to_owned(),
            problem: format!("no rollout for {}: only deployments have one here", kind.plural),
        }),
    }
}

fn path(namespace: &str, name: &str) -> Result<String> {
    Ok(kinds::path(kinds::kind("deployments")?, namespace, name))
}

/// What `rollout status` says about a deployment: a line, and whether it is the last one.
fn progress(deployment: &Value) -> Result<(String, bool)> {
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let number = |path: &str| deployment.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    if number("/metadata/generation") > number("/status/observedGeneration") {
        return Ok(("Waiting for deployment spec update to be observed...".to_owned(), false));
    }
    let conditions = deployment.pointer("/status/conditions").and_then(Value::as_array);
    let progressing = conditions.into_iter().flatten().find(|condition| condition["type"] == "Progressing");
    if progressing.is_some_and(|condition| condition["reason"] == "ProgressDeadlineExceeded") {
        let problem = format!("deployment {name:?} exceeded its progress deadline");
        return Err(Error::Input { subject: "error".to_owned(), problem });
    }
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let updated = number("/status/updatedReplicas");
    let (all, available) = (number("/status/replicas"), number("/status/availableReplicas"));
    let waiting = format!("Waiting for deployment {name:?} rollout to finish: ");
    Ok(if updated < wanted {
        (format!("{waiting}{updated} out of {wanted} new replicas have been updated..."), false)
    } else if all > updated {
        (format!("{waiting}{} old replicas are pending termination...", all - updated), false)
    } else if available < updated {
        (format!("{waiting}{available} of {updated} updated replicas are available..."), false)
    } else {
        (format!("deployment {name:?} successfully rolled out"), true)
    })
}

fn status(client: &Client, namespace: &str, name: &str, timeout: Option<u64>) -> Result<()> {
    let object = client.get(&path(namespace, name)?)?;
    let (mut said, done) = progress(&object)?;
    println!("{said}");
    if done {
        return Ok(());
    }
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let deadline = timeout.map(|seconds| (Instant::now() + Duration::from_secs(seconds), seconds));
    let limit = timeout.map(|seconds| format!("&timeoutSeconds={}", seconds.max(1))).unwrap_or_default();
    let collection = kinds::collection(kinds::kind("deployments")?, namespace);
    let path = format!("{collection}?watch=true&fieldSelector=metadata.name%3D{name}&resourceVersion={version}{limit}");
    let mut outcome = Ok(false);
    client.watch(&path, "application/json", |event| {
        outcome = progress(&event["object"]).map(|(line, done)| {
            if line != said {
                println!("{line}");
                said = line;
            }
            done
        });
        if matches!(outcome, Ok(false)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    match (outcome?, deadline) {
        (true, _) => Ok(()),
        (false, Some((_, seconds))) => Err(Error::Input {
            subject: "error".to_owned(),
            problem: format!("timed out after {seconds} s waiting for the rollout of {name:?}"),
        }),
        (false, None) => Err(Error::Half { problem: "ended the watch".to_owned() }),
    }
}

/// The templates of a deployment's replica sets by revision.
fn revisions(client: &Client, namespace: &str, name: &str) -> Result<BTreeMap<u64, Value>> {
    let owner = client.get(&path(namespace, name)?)?;
    let sets = client.get(&kinds::collection(kinds::kind("replicasets")?, namespace))?;
    let owned = sets["items"].as_array().into_iter().flatten().filter(|set| {
        let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.into_iter().flatten().any(|reference| reference["uid"] == owner["metadata"]["uid"])
    });
    let numbered = owned.filter_map(|set| {
        let revision = set["metadata"]["annotations"].get(REVISION)?.as_str()?.parse().ok()?;
        Some((revision, set.clone()))
    });
    Ok(numbered.collect())
}

/// Gives the deployment the template of an earlier revision.
pub(crate) fn undo_in(client: &Client, namespace: &str, name: &str, to: Option<u64>) -> Result<()> {
    let mut revisions = revisions(client, namespace, name)?;
    let refused = |problem: String| Error::Input { subject: "error".to_owned(), problem };
    let revision = match to {
        Some(revision) => revision,
        None => revisions
            .keys()
            .rev()
            .nth(1)
            .copied()
            .ok_or_else(|| refused(format!("no rollout history found for deployment {name:?}")))?,
    };
    let Some(mut set) = revisions.remove(&revision) else {
        return Err(refused(format!("unable to find specified revision {revision} in history")));
    };
    let mut template = set["spec"]["template"].take();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove("pod-template-hash");
    }
    let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
    client.patch(&path(namespace, name)?, JSON_PATCH, &patch).map(drop)
}

fn history(client: &Client, namespace: &str, name: &str) -> Result<()> {
    println!("deployment.apps/{name}\nREVISION  CHANGE-CAUSE");
    for (revision, set) in revisions(client, namespace, name)? {
        let cause = set["metadata"]["annotations"].get(CAUSE).and_then(Value::as_str).unwrap_or("<none>");
        println!("{revision:<9} {cause}");
    }
    Ok(())
}

fn restart(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = orchestrate_core::Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).to_string();
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    client.patch(&path(namespace, name)?, STRATEGIC_PATCH, &patch)?;
    println!("deployment.apps/{name} restarted");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_kubectl_says() {
        let mut deployment = json!({
            "metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 3}, "status": {"observedGeneration": 1},
        });
        assert!(progress(&deployment).unwrap().0.contains("spec update to be observed"));
        deployment["status"] =
            json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3});
        assert!(progress(&deployment).unwrap().0.ends_with("1 old replicas are pending termination..."));
        deployment["status"]["replicas"] = json!(3);
        assert_eq!(progress(&deployment).unwrap(), ("deployment \"web\" successfully rolled out".to_owned(), true));
        deployment["status"]["conditions"] = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
        assert!(progress(&deployment).is_err());
    }
}
