//! The engine itself: one store, one seed, `handle(now, request) -> reply`.
//!
//! Entry point of every request. Here is only what is common to all: state, start content, dispatch.
//! Reading, writing and watching have their own files.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::path::{Route, Target, route};
use crate::random::Random;
use crate::request::{Method, Reply, Request, Response};
use crate::resource::{Resource, kind};
use crate::status::Status;
use crate::store::{ChangeKind, Key, Store};
use crate::time::{Millis, rfc3339};
use crate::{discovery, write};

/// What a new server is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Source of every uid and generated name.
    pub seed: u64,
    /// The moment at which the cluster begins.
    pub start: Millis,
    /// Changes kept per resource for watches that start in the past.
    pub history: usize,
    /// First address of the Service range.
    pub service_base: std::net::Ipv4Addr,
    /// Length of the Service range's prefix.
    pub service_prefix: u8,
    /// First and last port handed out as node ports.
    pub node_ports: (u16, u16),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            start: 0,
            history: 4096,
            service_base: std::net::Ipv4Addr::new(10, 96, 0, 0),
            service_prefix: 16,
            node_ports: (30_000, 32_767),
        }
    }
}

/// A Kubernetes API server as a value.
#[derive(Debug)]
pub struct ApiServer {
    pub(crate) store: Store,
    pub(crate) random: Random,
    pub(crate) config: Config,
}

/// One entry of the change log, as [`ApiServer::changes_since`] gives it.
#[derive(Debug, Clone)]
pub struct Event {
    /// The revision that the change made.
    pub revision: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// To which resource.
    pub resource: &'static Resource,
    /// The object after it; the last state of a deleted one.
    pub object: Arc<Value>,
}

impl ApiServer {
    /// A server with the namespaces that every cluster has.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (store, start) = (Store::new(config.history), config.start);
        let mut server = Self { store, random: Random::new(config.seed), config };
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            let request = Request::post("/api/v1/namespaces", object);
            let made = server.handle(start, &request).into_result();
            debug_assert!(made.is_ok(), "a start namespace was refused: {made:?}");
        }
        server
    }

    /// Answers one request. `now` is what the caller's clock says.
    pub fn handle(&mut self, now: Millis, request: &Request) -> Reply {
        self.answer(now, request).unwrap_or_else(|status| Reply::Response(status.into()))
    }

    fn answer(&mut self, now: Millis, request: &Request) -> Result<Reply, Status> {
        let target = match route(&request.path)? {
            Route::Objects(target) => target,
            other if request.method == Method::Get => return discovery::answer(&other, request).map(Reply::Response),
            _ => return Err(Status::method_not_allowed()),
        };
        if matches!(target.subresource.as_str(), "log" | "exec" | "attach" | "portforward") {
            return self.pod_call(&target, request);
        }
        let named = !target.name.is_empty();
        match (request.method, named, target.subresource.as_str()) {
            (Method::Get, false, _) if request.is_set("watch") => self.watch(now, &target, request),
            (Method::Get, false, _) => self.list_request(now, &target, request).map(Reply::Response),
            (Method::Get, true, "scale") => self.get_scale(&target).map(Reply::Response),
            (Method::Get, true, "" | "status") => self.get_request(now, &target, request).map(Reply::Response),
            _ => self.write(now, &target, request).map(Reply::Response),
        }
    }

    fn write(&mut self, now: Millis, target: &Target, request: &Request) -> Result<Response, Status> {
        let mut call = write::Call { target, request, now, warnings: Vec::new() };
        let mut response = match (request.method, target.name.is_empty(), target.subresource.as_str()) {
            (Method::Post, true, _) => self.create(&mut call),
            (Method::Post, false, "binding") => self.bind(&call),
            (Method::Post, false, "eviction") => self.evict(&call),
            (Method::Put, false, "finalize") => self.finalize(&mut call),
            (Method::Put | Method::Patch, false, "scale") => self.set_scale(&mut call),
            (Method::Put, false, "" | "status") => self.replace(&mut call),
            (Method::Patch, false, "" | "status") => self.patch(&mut call),
            (Method::Delete, false, "") => self.delete(&call),
            (Method::Delete, true, _) => self.delete_collection(&call),
            _ => Err(Status::method_not_allowed()),
        }?;
        response.warnings.append(&mut call.warnings);
        Ok(response)
    }

    /// One object, without a request.
    #[must_use]
    pub fn object(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.store.get(resource.store, &Key::new(namespace, name)).cloned()
    }

    /// The objects of a namespace (of all when empty), without a request.
    #[must_use]
    pub fn objects(&self, resource: &Resource, namespace: &str) -> Vec<Arc<Value>> {
        self.store.list(resource.store, namespace).cloned().collect()
    }

    /// The revision of the newest change.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// Every change after `revision` in order; `None` when some are forgotten and the caller must
    /// start over from [`ApiServer::objects`].
    #[must_use]
    pub fn changes_since(&self, revision: u64) -> Option<Vec<Event>> {
        let mut out = Vec::new();
        for (table, resource) in crate::resource::RESOURCES.iter().enumerate().filter(|(i, r)| r.store == *i) {
            let changes = self.store.since(table, revision)?;
            out.extend(changes.map(|change| Event {
                revision: change.revision,
                kind: change.kind,
                resource,
                object: Arc::clone(&change.object),
            }));
        }
        out.sort_by_key(|event: &Event| event.revision);
        Some(out)
    }

    /// Whether the namespace is there and takes new objects.
    pub(crate) fn check_namespace(&self, target: &Target, name: &str) -> Result<(), Status> {
        if !target.resource.namespaced {
            return Ok(());
        }
        let namespaces = kind("Namespace");
        let namespace = &target.namespace;
        let Some(object) = self.store.get(namespaces.store, &Key::new("", namespace)) else {
            return Err(Status::not_found(namespaces, namespace));
        };
        if object["metadata"].get("deletionTimestamp").is_some() {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            return Err(Status::forbidden(target.resource, name, &why));
        }
        Ok(())
    }

    /// The metadata of something new.
    pub(crate) fn stamp(&mut self, object: &mut Value, now: Millis) {
        crate::value::set(object, &["metadata", "uid"], self.random.uid());
        crate::value::set(object, &["metadata", "creationTimestamp"], rfc3339(now));
    }
}
