//! From an action to the request that carries it out.

use orchestrate_core::action::Target;
use orchestrate_core::{Action, Kind};
use serde_json::{Value, json};

use super::ControlPlane;
use crate::resource::{Resource, of_kind};
use crate::time::Millis;
use crate::value::{set, text};
use crate::{ApiServer, PatchKind, Request, Status};

impl ControlPlane {
    /// Carries out one action by an ordinary request; also for node agents.
    ///
    /// # Errors
    /// The server's refusal, such as a conflict when the decision was stale.
    pub fn act(&mut self, api: &mut ApiServer, now: Millis, action: &Action) -> Result<(), Status> {
        let request = match action {
            Action::Create { object } => {
                let json = object.to_json();
                let resource = resource(object.kind())?;
                Request::post(resource.collection(text(&json, &["metadata", "namespace"])), json)
            }
            Action::Patch { on, patch } => patch_request(on, patch)?,
            Action::UpdateStatus { on, status } => status_request(api, on, status)?,
            Action::Delete { on, grace, propagation } => {
                let mut options = json!({
                    "kind": "DeleteOptions", "apiVersion": "v1",
                    "propagationPolicy": propagation.as_str(), "preconditions": { "uid": on.uid },
                });
                if let Some(version) = &on.resource_version {
                    options["preconditions"]["resourceVersion"] = version.as_str().into();
                }
                if let Some(grace) = grace {
                    options["gracePeriodSeconds"] = (*grace).into();
                }
                Request::delete(path(on)?).body(options)
            }
            Action::Bind { on, node } => {
                let binding = json!({
                    "apiVersion": "v1", "kind": "Binding",
                    "metadata": { "name": on.key.name.name, "namespace": on.key.name.namespace, "uid": on.uid },
                    "target": { "apiVersion": "v1", "kind": "Node", "name": node },
                });
                Request::post(format!("{}/binding", path(on)?), binding)
            }
            Action::Event(note) => return self.events.record(api, now, note),
        };
        api.handle(now, &request).into_result().map(drop)
    }
}

fn resource(kind: Kind) -> Result<&'static Resource, Status> {
    of_kind(kind.api_version(), kind.as_str()).ok_or_else(Status::no_such_path)
}

fn path(on: &Target) -> Result<String, Status> {
    Ok(resource(on.key.kind)?.object(&on.key.name.namespace, &on.key.name.name))
}

fn patch_request(on: &Target, patch: &Value) -> Result<Request, Status> {
    let mut body = patch.clone();
    identify(on, &mut body);
    // A namespace's finalizers have a path of their own.
    if on.key.kind == Kind::Namespace && body.get("spec").is_some_and(|spec| spec.get("finalizers").is_some()) {
        set(&mut body, &["metadata", "name"], on.key.name.name.as_str());
        return Ok(Request::put(format!("{}/finalize", path(on)?), body));
    }
    Ok(Request::patch(path(on)?, PatchKind::Merge, body))
}

fn status_request(api: &ApiServer, on: &Target, status: &Value) -> Result<Request, Status> {
    let resource = resource(on.key.kind)?;
    let name = &on.key.name;
    let current = api.object(resource, &name.namespace, &name.name);
    let mut body = Value::clone(&*current.ok_or_else(|| Status::not_found(resource, &name.name))?);
    identify(on, &mut body);
    set(&mut body, &["status"], status.clone());
    Ok(Request::put(format!("{}/status", path(on)?), body))
}

/// Makes the request fail when the object is not the one that was decided upon.
fn identify(on: &Target, body: &mut Value) {
    set(body, &["metadata", "uid"], on.uid.as_str());
    if let Some(version) = &on.resource_version {
        set(body, &["metadata", "resourceVersion"], version.as_str());
    }
}
