//! Watches: a cursor into the change log that its owner asks for what is new.
//!
//! The server keeps no list of watchers: a forgotten [`Watch`] costs nothing, and a slow one falls
//! off the log and is told so (410), as upstream does.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::convert::to_served;
use crate::form::Form;
use crate::path::Target;
use crate::read::revision_of;
use crate::request::{Reply, Request};
use crate::resource::Resource;
use crate::selector::Selector;
use crate::server::ApiServer;
use crate::status::Status;
use crate::store::{Change, ChangeKind};
use crate::time::Millis;

/// Milliseconds between two bookmarks.
const BOOKMARK_EVERY: Millis = 60_000;

/// A stream of changes, held by whoever reads it.
#[derive(Debug)]
pub struct Watch {
    resource: &'static Resource,
    namespace: String,
    selector: Selector,
    form: Form,
    /// Changes up to this revision have been delivered.
    cursor: u64,
    initial: VecDeque<Arc<Value>>,
    /// A closing bookmark is due after the initial objects.
    initial_end: bool,
    bookmarks: bool,
    next_bookmark: Millis,
    deadline: Option<Millis>,
    closed: bool,
}

/// One event of a watch.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchEvent {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub kind: &'static str,
    /// The object, in the form that was asked for.
    pub object: Arc<Value>,
}

impl WatchEvent {
    /// The event as its line on the wire.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = format!("{{\"type\":\"{}\",\"object\":", self.kind).into_bytes();
        line.extend(serde_json::to_vec(&*self.object).unwrap_or_default());
        line.extend(b"}\n");
        line
    }
}

/// What is new for a watch.
#[derive(Debug, Default)]
pub struct Polled {
    /// Events in order.
    pub events: Vec<WatchEvent>,
    /// Nothing will follow.
    pub closed: bool,
    /// Poll again at this moment even if nothing changes.
    pub wake: Option<Millis>,
}

impl ApiServer {
    pub(crate) fn watch(&self, now: Millis, target: &Target, request: &Request) -> Result<Reply, Status> {
        let version = request.param("resourceVersion");
        let bookmarks = request.is_set("allowWatchBookmarks");
        let initial_events = request.is_set("sendInitialEvents");
        if initial_events && (request.param("resourceVersionMatch") != "NotOlderThan" || !bookmarks) {
            return Err(Status::bad_request(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan and allowWatchBookmarks",
            ));
        }
        let selector =
            Selector::parse(target.resource, request.param("labelSelector"), request.param("fieldSelector"))?;
        let start = if version.is_empty() { 0 } else { revision_of(version)? };
        let replay = initial_events || (start == 0 && request.param("sendInitialEvents").is_empty());
        let initial = if replay {
            let all = self.store.list(target.resource.store, &target.namespace);
            all.filter(|object| selector.matches(object)).cloned().collect()
        } else {
            VecDeque::new()
        };
        Ok(Reply::Watch(Box::new(Watch {
            resource: target.resource,
            namespace: target.namespace.clone(),
            selector,
            form: Form::of(request),
            cursor: if replay || start == 0 { self.store.revision() } else { start },
            initial,
            initial_end: initial_events,
            bookmarks,
            next_bookmark: now + BOOKMARK_EVERY,
            deadline: request.number("timeoutSeconds").filter(|s| *s > 0).map(|s| now + s * 1000),
            closed: false,
        })))
    }

    /// Takes what is new for `watch`.
    #[must_use]
    pub fn poll(&self, now: Millis, watch: &mut Watch) -> Polled {
        let mut out = Polled::default();
        if !watch.closed {
            self.fill(now, watch, &mut out);
        }
        out.closed = watch.closed;
        if !watch.closed {
            let bookmark = watch.bookmarks.then_some(watch.next_bookmark);
            out.wake = bookmark.into_iter().chain(watch.deadline).min();
        }
        out
    }

    fn fill(&self, now: Millis, watch: &mut Watch, out: &mut Polled) {
        for object in std::mem::take(&mut watch.initial) {
            out.events.push(watch.event("ADDED", &object, now));
        }
        if std::mem::take(&mut watch.initial_end) {
            out.events.push(watch.bookmark(self.store.revision(), true));
        }
        let changes = self.store.since(watch.resource.store, watch.cursor);
        let Some(changes) = changes.filter(|_| watch.cursor <= self.store.revision()) else {
            let oldest = self.store.oldest(watch.resource.store);
            let text = format!("too old resource version: {} ({oldest})", watch.cursor);
            out.events.push(WatchEvent { kind: "ERROR", object: Arc::new(Status::expired(text).to_json()) });
            watch.closed = true;
            return;
        };
        for change in changes {
            out.events.extend(watch.see(change, now));
        }
        watch.cursor = self.store.revision();
        if watch.bookmarks && now >= watch.next_bookmark {
            watch.next_bookmark = now + BOOKMARK_EVERY;
            out.events.push(watch.bookmark(watch.cursor, false));
        }
        watch.closed = watch.deadline.is_some_and(|deadline| now >= deadline);
    }
}

impl Watch {
    /// The resource that is watched.
    #[must_use]
    pub const fn resource(&self) -> &'static Resource {
        self.resource
    }

    /// What a change means to this watch, if anything.
    fn see(&self, change: &Change, now: Millis) -> Option<WatchEvent> {
        if !self.namespace.is_empty() && change.key.namespace != self.namespace {
            return None;
        }
        let before = change.previous.as_ref().is_some_and(|object| self.selector.matches(object));
        let after = change.kind != ChangeKind::Deleted && self.selector.matches(&change.object);
        let kind = match (before, after) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        Some(self.event(kind, &change.object, now))
    }

    fn event(&self, kind: &'static str, object: &Arc<Value>, now: Millis) -> WatchEvent {
        let served = to_served(self.resource, object);
        let object = match self.form {
            Form::Whole => served,
            form => Arc::new(form.one(self.resource, &served, now)),
        };
        WatchEvent { kind, object }
    }

    fn bookmark(&self, revision: u64, initial_end: bool) -> WatchEvent {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (kind, version) = match self.form {
            Form::Whole => (self.resource.kind, self.resource.api_version()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::Table(_) => ("Table", "meta.k8s.io/v1".to_owned()),
        };
        let object = json!({ "kind": kind, "apiVersion": version, "metadata": metadata });
        WatchEvent { kind: "BOOKMARK", object: Arc::new(object) }
    }
}
