//! Delete: at once, after a grace period, or when the finalizers are gone.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Call;
use crate::request::Response;
use crate::resource::Resource;
use crate::server::ApiServer;
use crate::status::Status;
use crate::store::Key;
use crate::time::rfc3339;
use crate::value::{at, int, list, place, set, text};
use crate::{decode, resource};

/// What a delete asks for, from query and body.
#[derive(Debug, Default)]
pub(super) struct Options {
    grace: Option<i64>,
    propagation: String,
    uid: String,
    version: String,
    dry_run: bool,
}

impl Options {
    /// Reads `DeleteOptions`; what the body says goes before the query.
    pub(super) fn read(call: &Call<'_>) -> Result<Self, Status> {
        let body = if call.request.body.is_empty() { Value::Null } else { decode::tree(call.request)? };
        Self::from_parts(call, &body)
    }

    pub(super) fn from_parts(call: &Call<'_>, body: &Value) -> Result<Self, Status> {
        let request = call.request;
        let propagation = match text(body, &["propagationPolicy"]) {
            "" => request.param("propagationPolicy"),
            given => given,
        };
        let orphan = crate::value::flag(body, &["orphanDependents"]);
        let propagation = if propagation.is_empty() && orphan { "Orphan" } else { propagation };
        if !matches!(propagation, "" | "Foreground" | "Background" | "Orphan") {
            return Err(Status::bad_request(format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"{propagation}\": \
                 supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            )));
        }
        let dry_run = request.dry_run() || list(body, &["dryRun"]).iter().any(|d| d == "All");
        Ok(Self {
            grace: at(body, &["gracePeriodSeconds"])
                .and_then(Value::as_i64)
                .or_else(|| request.number("gracePeriodSeconds")),
            propagation: propagation.to_owned(),
            uid: text(body, &["preconditions", "uid"]).to_owned(),
            version: text(body, &["preconditions", "resourceVersion"]).to_owned(),
            dry_run,
        })
    }

    fn check(&self, resource: &Resource, name: &str, object: &Value) -> Result<(), Status> {
        let (uid, version) = (text(object, &["metadata", "uid"]), text(object, &["metadata", "resourceVersion"]));
        let differs = |what: &str, wanted: &str, found: &str| {
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
            Status::conflict(resource, name, &why)
        };
        if !self.uid.is_empty() && self.uid != uid {
            return Err(differs("UID", &self.uid, uid));
        }
        if !self.version.is_empty() && self.version != version {
            return Err(differs("ResourceVersion", &self.version, version));
        }
        Ok(())
    }
}

impl ApiServer {
    pub(crate) fn delete(&mut self, call: &Call<'_>) -> Result<Response, Status> {
        let options = Options::read(call)?;
        let object = Arc::clone(self.find(call.target)?);
        let (object, gone) = self.delete_object(call, &object, &options)?;
        let resource = call.target.resource;
        if !gone || resource.is("Pod") || resource.is("ServiceAccount") {
            return Ok(call.show(200, &object));
        }
        let mut details =
            json!({ "name": call.target.name, "kind": resource.plural, "uid": object["metadata"]["uid"] });
        if !resource.group.is_empty() {
            details["group"] = resource.group.into();
        }
        let status =
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
        Ok(Response::json(200, status))
    }

    /// Deletes, or begins to; tells whether the object is gone.
    pub(super) fn delete_object(
        &mut self,
        call: &Call<'_>,
        object: &Arc<Value>,
        options: &Options,
    ) -> Result<(Arc<Value>, bool), Status> {
        let resource = call.target.resource;
        let key = Key::of(object);
        options.check(resource, &key.name, object)?;
        if resource.is("Namespace") && ["default", "kube-system", "kube-public"].contains(&key.name.as_str()) {
            return Err(Status::forbidden(resource, &key.name, "this namespace may not be deleted"));
        }
        let grace = grace_period(resource, object, options.grace);
        let mut marked = Value::clone(object);
        add_finalizer(&mut marked, &options.propagation);
        let held = grace > 0
            || !list(&marked, &["metadata", "finalizers"]).is_empty()
            || (resource.is("Namespace") && !list(&marked, &["spec", "finalizers"]).is_empty());
        if options.dry_run {
            return Ok((Arc::clone(object), !held));
        }
        if !held {
            let last = self.store.remove(call.table(), &key).unwrap_or_else(|| Arc::clone(object));
            return Ok((last, true));
        }
        mark(call, object, &mut marked, grace);
        if marked == **object {
            return Ok((Arc::clone(object), false));
        }
        Ok((self.store.put(call.table(), marked), false))
    }

    pub(crate) fn delete_collection(&mut self, call: &Call<'_>) -> Result<Response, Status> {
        let target = call.target;
        let known = target.resource.namespaced && !target.namespace.is_empty() || target.resource.is("Node");
        if !known {
            return Err(Status::method_not_allowed());
        }
        let options = Options::read(call)?;
        let mut deleted = Vec::new();
        for object in self.selected(target, call.request)? {
            let (last, _gone) = self.delete_object(call, &object, &options)?;
            deleted.push(last);
        }
        let metadata = json!({ "resourceVersion": self.store.revision().to_string() });
        let served: Vec<_> = deleted.iter().map(|o| crate::convert::to_served(target.resource, o)).collect();
        let objects = served.iter().map(AsRef::as_ref);
        let form = crate::form::Form::of(call.request);
        Ok(Response::json(200, form.many(target.resource, objects, &metadata, call.now)))
    }
}

/// Only pods that run somewhere get time to end.
fn grace_period(resource: &Resource, object: &Value, asked: Option<i64>) -> i64 {
    if !resource.is("Pod") {
        return 0;
    }
    let unplaced = text(object, &["spec", "nodeName"]).is_empty();
    let over = matches!(text(object, &["status", "phase"]), "Succeeded" | "Failed");
    let own = at(object, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(30);
    let wanted = asked.unwrap_or(own);
    let wanted = if wanted < 0 { 1 } else { wanted };
    if unplaced || over { 0 } else { wanted }
}

fn add_finalizer(object: &mut Value, propagation: &str) {
    let finalizer = match propagation {
        "Foreground" => "foregroundDeletion",
        "Orphan" => "orphan",
        _ => return,
    };
    let finalizers = place(object, &["metadata", "finalizers"]);
    match finalizers {
        Value::Array(names) if names.iter().any(|name| name == finalizer) => {}
        Value::Array(names) => names.push(finalizer.into()),
        other => *other = json!([finalizer]),
    }
}

/// Writes the moment of deletion, or brings an earlier one forward.
fn mark(call: &Call<'_>, old: &Value, marked: &mut Value, grace: i64) {
    let before = at(old, &["metadata", "deletionTimestamp"]).is_some();
    let left = int(old, &["metadata", "deletionGracePeriodSeconds"]);
    if before && grace >= left {
        return;
    }
    set(marked, &["metadata", "deletionTimestamp"], rfc3339(call.now + grace * 1000));
    set(marked, &["metadata", "deletionGracePeriodSeconds"], grace);
    let generation = int(old, &["metadata", "generation"]);
    if generation > 0 && !before {
        set(marked, &["metadata", "generation"], generation + 1);
    }
    if call.target.resource.is(resource::kind("Namespace").kind) {
        set(marked, &["status", "phase"], "Terminating");
    }
}
