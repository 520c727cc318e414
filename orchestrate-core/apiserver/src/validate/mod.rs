//! Rules that an object must keep, with the paths and words that Kubernetes uses.

mod meta;
mod pod;
mod service;
mod workload;

use serde_json::Value;

use crate::resource::Resource;
use crate::status::{Problem, Status};
use crate::value::text;

fn report(resource: &Resource, object: &Value, problems: &[Problem]) -> Result<(), Status> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(resource, text(object, &["metadata", "name"]), problems))
}

fn rules(resource: &Resource, object: &Value, out: &mut Vec<Problem>) {
    meta::check(resource, object, out);
    match resource.kind {
        "Pod" => pod::check_pod(object, out),
        "Deployment" => workload::deployment(object, out),
        "ReplicaSet" => workload::replica_set(object, out),
        "Service" => service::check(object, out),
        "EndpointSlice" => service::slice(object, out),
        "ConfigMap" | "Secret" => meta::data(resource, object, out),
        "Lease" => meta::lease(object, out),
        _ => {}
    }
}

/// May this object come into being?
pub(crate) fn create(resource: &Resource, object: &Value) -> Result<(), Status> {
    let mut problems = Vec::new();
    rules(resource, object, &mut problems);
    report(resource, object, &problems)
}

/// May `old` become `new`?
pub(crate) fn update(resource: &Resource, old: &Value, new: &Value, subresource: &str) -> Result<(), Status> {
    let mut problems = Vec::new();
    if subresource.is_empty() {
        rules(resource, new, &mut problems);
        match resource.kind {
            "Pod" => pod::check_update(old, new, &mut problems),
            "Deployment" | "ReplicaSet" => workload::update(old, new, &mut problems),
            "Service" => service::update(old, new, &mut problems),
            "ConfigMap" | "Secret" => meta::update_data(resource, old, new, &mut problems),
            "EndpointSlice" => meta::immutable(old, new, &["addressType"], &mut problems),
            _ => {}
        }
    }
    report(resource, new, &problems)
}
