//! Get and list: one object, or many in pages that all show the same moment.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::convert::to_served;
use crate::form::Form;
use crate::path::Target;
use crate::request::{Request, Response};
use crate::selector::Selector;
use crate::server::ApiServer;
use crate::status::Status;
use crate::store::Key;
use crate::time::Millis;

impl ApiServer {
    pub(crate) fn get_request(&self, now: Millis, target: &Target, request: &Request) -> Result<Response, Status> {
        let object = self.find(target)?;
        let served = to_served(target.resource, object);
        Ok(Response::json(200, Form::of(request).one(target.resource, &served, now)))
    }

    /// The stored object that a path names.
    pub(crate) fn find(&self, target: &Target) -> Result<&Arc<Value>, Status> {
        let key = Key::new(&target.namespace, &target.name);
        let found = self.store.get(target.resource.store, &key);
        found.ok_or_else(|| Status::not_found(target.resource, &target.name))
    }

    pub(crate) fn list_request(&self, now: Millis, target: &Target, request: &Request) -> Result<Response, Status> {
        let (page, metadata) = self.page(target, request)?;
        let served: Vec<_> = page.iter().map(|object| to_served(target.resource, object)).collect();
        let objects = served.iter().map(AsRef::as_ref);
        Ok(Response::json(200, Form::of(request).many(target.resource, objects, &metadata, now)))
    }

    /// The objects that a request selects, all of them.
    pub(crate) fn selected(&self, target: &Target, request: &Request) -> Result<Vec<Arc<Value>>, Status> {
        let selector =
            Selector::parse(target.resource, request.param("labelSelector"), request.param("fieldSelector"))?;
        let all = self.store.list(target.resource.store, &target.namespace);
        Ok(all.filter(|object| selector.matches(object)).cloned().collect())
    }

    fn page(&self, target: &Target, request: &Request) -> Result<(Vec<Arc<Value>>, Value), Status> {
        let selector =
            Selector::parse(target.resource, request.param("labelSelector"), request.param("fieldSelector"))?;
        let limit = request.number("limit").and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let resume = match request.param("continue") {
            "" => None,
            token => Some(read_token(token)?),
        };
        let (revision, after) = match resume {
            Some((revision, key)) => (revision, Some(key)),
            None => (self.wanted_revision(request)?, None),
        };
        let table = target.resource.store;
        let objects: Vec<Arc<Value>> = if revision == self.store.revision() {
            self.store.list(table, &target.namespace).cloned().collect()
        } else {
            self.store.list_at(table, &target.namespace, revision).ok_or_else(|| {
                Status::expired(
                    "The provided continue parameter is too old to display a consistent list result. \
                     You can start a new list without the continue parameter.",
                )
            })?
        };
        let mut rest = objects
            .into_iter()
            .filter(|object| after.as_ref().is_none_or(|key| Key::of(object) > *key) && selector.matches(object));
        let page: Vec<_> = rest.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
        let remaining = rest.count();
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".into(), revision.to_string().into());
        if remaining > 0
            && let Some(last) = page.last()
        {
            metadata.insert("continue".into(), write_token(revision, &Key::of(last)).into());
            if selector.is_empty() {
                metadata.insert("remainingItemCount".into(), remaining.into());
            }
        }
        Ok((page, Value::Object(metadata)))
    }

    /// The revision that a first page is to show.
    fn wanted_revision(&self, request: &Request) -> Result<u64, Status> {
        let version = request.param("resourceVersion");
        let matching = request.param("resourceVersionMatch");
        if version.is_empty() {
            return match matching {
                "" => Ok(self.store.revision()),
                _ => Err(Status::bad_request(
                    "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is \
                     provided",
                )),
            };
        }
        let wanted = revision_of(version)?;
        if wanted > self.store.revision() {
            return Err(Status::expired(format!(
                "Too large resource version: {wanted}, current: {}",
                self.store.revision()
            )));
        }
        Ok(if matching == "Exact" { wanted } else { self.store.revision() })
    }
}

/// A `resourceVersion` as a number.
pub(crate) fn revision_of(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| {
        Status::bad_request(format!(
            "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
        ))
    })
}

/// A continue token: revision, namespace and name of the last object, as hexadecimal JSON.
fn write_token(revision: u64, key: &Key) -> String {
    let text = json!([revision, key.namespace, key.name]).to_string();
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(token: &str) -> Result<(u64, Key), Status> {
    let bad = || Status::bad_request("continue key is not valid");
    let pairs = token.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    });
    let bytes: Vec<u8> = pairs.collect::<Option<_>>().ok_or_else(bad)?;
    let (revision, namespace, name): (u64, String, String) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    Ok((revision, Key { namespace, name }))
}
