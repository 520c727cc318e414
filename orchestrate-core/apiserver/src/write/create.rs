//! Create: a new object gets its name, identity, defaults and addresses.

use std::sync::Arc;

use serde_json::Value;

use super::Call;
use crate::convert::to_stored;
use crate::request::Response;
use crate::server::ApiServer;
use crate::status::Status;
use crate::store::Key;
use crate::value::{remove, set, text};
use crate::{decode, defaults, validate};

/// What a client may send and the server decides.
const SERVER_OWNED: [&str; 7] = [
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

impl ApiServer {
    pub(crate) fn create(&mut self, call: &mut Call<'_>) -> Result<Response, Status> {
        let tree = decode::tree(call.request)?;
        if call.target.resource.is("Pod") && text(&tree, &["kind"]) == "Binding" {
            return self.bind_named(call, &tree);
        }
        let object = self.create_object(call, tree)?;
        Ok(call.show(201, &object))
    }

    /// Creates the object in `tree`; the apply path comes here too.
    pub(super) fn create_object(&mut self, call: &mut Call<'_>, tree: Value) -> Result<Arc<Value>, Status> {
        let resource = call.target.resource;
        let object = decode::object(tree, resource, call.request, &mut call.warnings)?;
        let mut object = to_stored(resource, object);
        self.place_in_namespace(call, &mut object)?;
        let given_version = !text(&object, &["metadata", "resourceVersion"]).is_empty();
        if given_version {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        for field in SERVER_OWNED {
            remove(&mut object, &["metadata", field]);
        }
        self.name(&mut object);
        let name = text(&object, &["metadata", "name"]).to_owned();
        self.check_namespace(call.target, &name)?;
        self.stamp(&mut object, call.now);
        if resource.generation {
            set(&mut object, &["metadata", "generation"], 1);
        }
        if resource.has("status") && !resource.is("Node") {
            remove(&mut object, &["status"]);
        }
        defaults::apply(resource, &mut object);
        defaults::on_create(resource, &mut object);
        self.allocate(call.target, &mut object, None)?;
        validate::create(resource, &object)?;
        let key = Key::of(&object);
        if self.store.get(call.table(), &key).is_some() {
            return Err(Status::already_exists(resource, &name));
        }
        if call.request.dry_run() {
            return Ok(Arc::new(object));
        }
        Ok(self.store.put(call.table(), object))
    }

    fn place_in_namespace(&self, call: &Call<'_>, object: &mut Value) -> Result<(), Status> {
        let target = call.target;
        let given = text(object, &["metadata", "namespace"]).to_owned();
        if !target.resource.namespaced {
            remove(object, &["metadata", "namespace"]);
            return Ok(());
        }
        if target.namespace.is_empty() {
            return Err(Status::method_not_allowed());
        }
        if !given.is_empty() && given != target.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        set(object, &["metadata", "namespace"], target.namespace.as_str());
        Ok(())
    }

    fn name(&mut self, object: &mut Value) {
        let prefix = text(object, &["metadata", "generateName"]).to_owned();
        if text(object, &["metadata", "name"]).is_empty() && !prefix.is_empty() {
            // Upstream cuts the prefix so that the whole fits a label.
            let cut: String = prefix.chars().take(58).collect();
            let name = format!("{cut}{}", self.random.suffix());
            set(object, &["metadata", "name"], name);
        }
    }
}
