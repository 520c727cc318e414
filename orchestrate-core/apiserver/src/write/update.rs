//! Replace and patch: one object changes, by one path for all kinds.

use std::sync::Arc;

use serde_json::Value;

use super::Call;
use crate::convert::{to_served, to_stored};
use crate::patch;
use crate::request::{PatchKind, Response};
use crate::resource::Resource;
use crate::server::ApiServer;
use crate::status::{Problem, Status};
use crate::value::{at, carry, int, list, set, text};
use crate::{decode, defaults, validate};

/// Metadata that only the server writes.
const KEPT: [&str; 8] = [
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
    "namespace",
    "generateName",
];

impl ApiServer {
    pub(crate) fn replace(&mut self, call: &mut Call<'_>) -> Result<Response, Status> {
        let tree = decode::tree(call.request)?;
        let old = Arc::clone(self.find(call.target)?);
        let object = self.update(call, &old, tree)?;
        Ok(call.show(200, &object))
    }

    pub(crate) fn patch(&mut self, call: &mut Call<'_>) -> Result<Response, Status> {
        let media = call.request.content_type.split(';').next().unwrap_or("").trim();
        let Some(kind) = PatchKind::of(media) else {
            let known = [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic, PatchKind::Apply];
            return Err(Status::unsupported_media(media, &known.map(PatchKind::media_type)));
        };
        let change = decode::tree(call.request)?;
        let resource = call.target.resource;
        if kind == PatchKind::Apply && call.request.param("fieldManager").is_empty() {
            return Err(Status::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: \
                is required for apply patch",
            ));
        }
        let old = match self.find(call.target) {
            Ok(old) => Arc::clone(old),
            Err(_) if kind == PatchKind::Apply && call.target.subresource.is_empty() => {
                let object = self.create_object(call, named(change, call))?;
                return Ok(call.show(201, &object));
            }
            Err(missing) => return Err(missing),
        };
        let base = to_served(resource, &old);
        let patched = patch::apply(kind, resource.schema, &base, &change).map_err(|refusal| match refusal {
            patch::Refusal::Malformed(why) => Status::bad_request(why),
            patch::Refusal::Mismatch(why) => {
                let mut status = Status::invalid(resource, &call.target.name, &[]);
                status.message = why;
                status
            }
        })?;
        let object = self.update(call, &old, patched)?;
        Ok(call.show(200, &object))
    }

    /// Turns `old` into what `tree` asks for, as far as the rules let it.
    pub(super) fn update(&mut self, call: &mut Call<'_>, old: &Arc<Value>, tree: Value) -> Result<Arc<Value>, Status> {
        let resource = call.target.resource;
        let object = decode::object(tree, resource, call.request, &mut call.warnings)?;
        let mut new = to_stored(resource, object);
        check_identity(call, old, &new)?;
        for field in KEPT {
            carry(old, &mut new, &["metadata", field]);
        }
        isolate(call, old, &mut new);
        if resource.is("Namespace") {
            // These have a path of their own, `finalize`.
            carry(old, &mut new, &["spec", "finalizers"]);
        }
        defaults::apply(resource, &mut new);
        if call.target.subresource.is_empty() {
            self.allocate(call.target, &mut new, Some(old))?;
        }
        check_finalizers(resource, old, &new)?;
        validate::update(resource, old, &new, &call.target.subresource)?;
        if resource.generation && spec_differs(resource, old, &new) {
            set(&mut new, &["metadata", "generation"], int(old, &["metadata", "generation"]) + 1);
        }
        if call.request.dry_run() {
            return Ok(Arc::new(new));
        }
        if same(old, &new) {
            return Ok(Arc::clone(old));
        }
        let stored = self.store.put(call.table(), new);
        self.remove_if_done(call.table(), &stored);
        Ok(stored)
    }

    /// An object that was only kept by finalizers or a grace period goes once they are over.
    pub(super) fn remove_if_done(&mut self, table: usize, object: &Value) {
        let deleted = at(object, &["metadata", "deletionTimestamp"]).is_some();
        let held = !list(object, &["metadata", "finalizers"]).is_empty()
            || !list(object, &["spec", "finalizers"]).is_empty()
            || int(object, &["metadata", "deletionGracePeriodSeconds"]) > 0;
        if deleted && !held {
            self.store.remove(table, &crate::store::Key::of(object));
        }
    }
}

/// An apply body need not repeat what the path says.
fn named(mut tree: Value, call: &Call<'_>) -> Value {
    if text(&tree, &["metadata", "name"]).is_empty() {
        set(&mut tree, &["metadata", "name"], call.target.name.as_str());
    }
    tree
}

fn same(old: &Value, new: &Value) -> bool {
    old == new
}

fn check_identity(call: &Call<'_>, old: &Value, new: &Value) -> Result<(), Status> {
    let (resource, target) = (call.target.resource, call.target);
    let name = text(new, &["metadata", "name"]);
    if name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    let namespace = text(new, &["metadata", "namespace"]);
    if resource.namespaced && !namespace.is_empty() && namespace != target.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let (uid, known) = (text(new, &["metadata", "uid"]), text(old, &["metadata", "uid"]));
    if !uid.is_empty() && uid != known {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {known}");
        return Err(Status::conflict(resource, name, &why));
    }
    let version = text(new, &["metadata", "resourceVersion"]);
    if !version.is_empty() && version != text(old, &["metadata", "resourceVersion"]) {
        return Err(Status::stale(resource, name));
    }
    Ok(())
}

/// The main resource does not write the status, the status subresource writes nothing else.
fn isolate(call: &Call<'_>, old: &Value, new: &mut Value) {
    let resource = call.target.resource;
    if !resource.has("status") {
        return;
    }
    if call.target.subresource.is_empty() {
        carry(old, new, &["status"]);
        return;
    }
    let status = new.get("status").cloned();
    let annotations = at(new, &["metadata", "annotations"]).cloned();
    *new = old.clone();
    if let Some(status) = status {
        set(new, &["status"], status);
    }
    if let Some(annotations) = annotations {
        set(new, &["metadata", "annotations"], annotations);
    }
}

fn check_finalizers(resource: &Resource, old: &Value, new: &Value) -> Result<(), Status> {
    if at(old, &["metadata", "deletionTimestamp"]).is_none() {
        return Ok(());
    }
    let before = list(old, &["metadata", "finalizers"]);
    let added: Vec<_> = list(new, &["metadata", "finalizers"]).iter().filter(|f| !before.contains(f)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = added.iter().map(ToString::to_string).collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        names.join(", ")
    );
    let problem = Problem::forbidden("metadata.finalizers", &why);
    Err(Status::invalid(resource, text(old, &["metadata", "name"]), &[problem]))
}

/// Everything but metadata and status counts as the spec.
fn spec_differs(resource: &Resource, old: &Value, new: &Value) -> bool {
    if at(old, &["spec"]).is_some() || resource.has("status") {
        return old.get("spec") != new.get("spec");
    }
    let content = |value: &Value| {
        let mut value = value.clone();
        crate::value::remove(&mut value, &["metadata"]);
        value
    };
    content(old) != content(new)
}
