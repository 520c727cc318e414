//! Subresources that write by their own rules: scale, binding, eviction, finalize.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Call;
use super::delete::Options;
use crate::patch;
use crate::path::Target;
use crate::request::{Method, PatchKind, Response};
use crate::resource::Resource;
use crate::selector;
use crate::server::ApiServer;
use crate::status::{Problem, Status};
use crate::store::Key;
use crate::time::rfc3339;
use crate::value::{at, int, list, set, text};
use crate::{decode, resource};

/// The `Scale` that stands for an object.
fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": { "replicas": int(object, &["spec", "replicas"]) },
        "status": {
            "replicas": int(object, &["status", "replicas"]),
            "selector": selector::to_query(at(object, &["spec", "selector"]).unwrap_or(&Value::Null)),
        },
    })
}

impl ApiServer {
    pub(crate) fn get_scale(&self, target: &Target) -> Result<Response, Status> {
        Ok(Response::json(200, scale_of(self.find(target)?)))
    }

    pub(crate) fn set_scale(&mut self, call: &mut Call<'_>) -> Result<Response, Status> {
        let old = Arc::clone(self.find(call.target)?);
        let tree = decode::tree(call.request)?;
        let wanted = if call.request.method == Method::Put {
            tree
        } else {
            let media = call.request.content_type.split(';').next().unwrap_or("").trim();
            let kind = PatchKind::of(media).ok_or_else(|| Status::unsupported_media(media, &[]))?;
            patch::apply(kind, "autoscaling.v1.Scale", &scale_of(&old), &tree)
                .map_err(|refusal| Status::bad_request(refusal.to_string()))?
        };
        let (resource, name) = (call.target.resource, call.target.name.as_str());
        let version = text(&wanted, &["metadata", "resourceVersion"]);
        if !version.is_empty() && version != text(&old, &["metadata", "resourceVersion"]) {
            return Err(Status::stale(resource, name));
        }
        let replicas = int(&wanted, &["spec", "replicas"]);
        if replicas < 0 {
            let value = replicas.into();
            let problem = Problem::invalid("spec.replicas", &value, "must be greater than or equal to 0");
            return Err(Status::invalid(resource, name, &[problem]));
        }
        let mut new = Value::clone(&old);
        set(&mut new, &["spec", "replicas"], replicas);
        let target = Target { subresource: String::new(), ..call.target.clone() };
        let mut inner = Call { target: &target, request: call.request, now: call.now, warnings: Vec::new() };
        let stored = self.update(&mut inner, &old, new)?;
        Ok(Response::json(200, scale_of(&stored)))
    }

    pub(crate) fn bind(&mut self, call: &Call<'_>) -> Result<Response, Status> {
        let binding = decode::tree(call.request)?;
        self.bind_to(call, &binding, &call.key())
    }

    /// A `Binding` posted to the collection of pods.
    pub(super) fn bind_named(&mut self, call: &Call<'_>, binding: &Value) -> Result<Response, Status> {
        let name = text(binding, &["metadata", "name"]);
        self.bind_to(call, binding, &Key::new(&call.target.namespace, name))
    }

    fn bind_to(&mut self, call: &Call<'_>, binding: &Value, key: &Key) -> Result<Response, Status> {
        let pods = resource::kind("Pod");
        let node = text(binding, &["target", "name"]);
        if node.is_empty() {
            let problem = Problem::required("target.name", "");
            return Err(Status::invalid(pods, &key.name, &[problem]));
        }
        let Some(old) = self.store.get(pods.store, key).cloned() else {
            return Err(Status::not_found(pods, &key.name));
        };
        let uid = text(binding, &["metadata", "uid"]);
        if !uid.is_empty() && uid != text(&old, &["metadata", "uid"]) {
            return Err(Status::conflict(pods, &key.name, "Precondition failed: UID in precondition does not match"));
        }
        if at(&old, &["metadata", "deletionTimestamp"]).is_some() {
            let why = format!("pod {} is being deleted, cannot be assigned to a host", key.name);
            return Err(Status::conflict(pods, &key.name, &why));
        }
        let bound = text(&old, &["spec", "nodeName"]);
        if !bound.is_empty() {
            let why = format!("pod {} is already assigned to node \"{bound}\"", key.name);
            return Err(Status::conflict(pods, &key.name, &why));
        }
        let mut new = Value::clone(&old);
        set(&mut new, &["spec", "nodeName"], node);
        mark_scheduled(&mut new, &rfc3339(call.now));
        if !call.request.dry_run() {
            self.store.put(pods.store, new);
        }
        Ok(Response::json(201, success(201)))
    }

    pub(crate) fn evict(&mut self, call: &Call<'_>) -> Result<Response, Status> {
        let body = decode::tree(call.request)?;
        let object = Arc::clone(self.find(call.target)?);
        let options = Options::from_parts(call, body.get("deleteOptions").unwrap_or(&Value::Null))?;
        if let Some(budget) = self.blocking_budget(&object) {
            let mut status = Status::conflict(call.target.resource, &call.target.name, "");
            status.code = 429;
            "TooManyRequests".clone_into(&mut status.reason);
            "Cannot evict pod as it would violate the pod's disruption budget.".clone_into(&mut status.message);
            status.details = Some(Box::new(json!({ "causes": [{ "reason": "DisruptionBudget",
                "message": format!("The disruption budget {budget} does not allow another eviction.") }] })));
            return Err(status);
        }
        self.delete_object(call, &object, &options)?;
        Ok(Response::json(201, success(201)))
    }

    /// A budget that covers the pod and allows no disruption now.
    fn blocking_budget(&self, pod: &Value) -> Option<String> {
        let budgets = resource::kind("PodDisruptionBudget");
        let namespace = text(pod, &["metadata", "namespace"]);
        let full = self.store.list(budgets.store, namespace).find(|budget| {
            let query = selector::to_query(at(budget, &["spec", "selector"]).unwrap_or(&Value::Null));
            let covers = selector::Selector::parse(budgets, &query, "").is_ok_and(|s| s.matches(pod));
            covers && int(budget, &["status", "disruptionsAllowed"]) <= 0
        })?;
        Some(text(full, &["metadata", "name"]).to_owned())
    }

    /// Replaces the finalizers in a namespace's spec.
    pub(crate) fn finalize(&mut self, call: &mut Call<'_>) -> Result<Response, Status> {
        let resource: &'static Resource = call.target.resource;
        let tree = decode::tree(call.request)?;
        let wanted = decode::object(tree, resource, call.request, &mut call.warnings)?;
        let old = Arc::clone(self.find(call.target)?);
        let mut new = Value::clone(&old);
        let finalizers = list(&wanted, &["spec", "finalizers"]).to_vec();
        set(&mut new, &["spec", "finalizers"], finalizers);
        if call.request.dry_run() || new == *old {
            return Ok(call.show(200, &Arc::new(new)));
        }
        let stored = self.store.put(call.table(), new);
        self.remove_if_done(call.table(), &stored);
        Ok(call.show(200, &stored))
    }
}

fn mark_scheduled(pod: &mut Value, now: &str) {
    let condition = json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": now });
    let conditions = crate::value::place(pod, &["status", "conditions"]);
    match conditions {
        Value::Array(all) => {
            all.retain(|c| c["type"] != "PodScheduled");
            all.push(condition);
        }
        other => *other = json!([condition]),
    }
}

fn success(code: u16) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code })
}
