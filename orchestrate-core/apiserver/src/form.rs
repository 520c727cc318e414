//! The forms of an answer: whole objects, their metadata only, or a table for people.

use serde_json::{Value, json};

use crate::request::Request;
use crate::resource::Resource;
use crate::table;
use crate::time::Millis;
use crate::value::text;

/// How objects are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`, with so much of each object in its row.
    Table(Include),
}

/// What a table row carries of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Form {
    /// The first form of the `Accept` header that this server has; JSON when it names none.
    pub(crate) fn of(request: &Request) -> Self {
        for choice in request.accept.split(',') {
            let mut params = choice.split(';').map(str::trim);
            let media = params.next().unwrap_or("");
            if media != "application/json" {
                continue;
            }
            let param = |name: &str| {
                choice.split(';').filter_map(|p| p.trim().split_once('=')).find(|(k, _)| *k == name).map(|(_, v)| v)
            };
            match (param("as"), param("v")) {
                (None, _) => return Self::Whole,
                (Some("Table"), Some("v1")) => return Self::Table(include(request)),
                (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1")) => return Self::Metadata,
                _ => {}
            }
        }
        Self::Whole
    }

    /// One object in this form.
    pub(crate) fn one(self, resource: &Resource, object: &Value, now: Millis) -> Value {
        match self {
            Self::Whole => object.clone(),
            Self::Metadata => metadata_only(object),
            Self::Table(include) => {
                let version = object["metadata"].get("resourceVersion").cloned().unwrap_or_default();
                let rows = vec![row(resource, object, include, now)];
                table_of(resource, &rows, &json!({ "resourceVersion": version }))
            }
        }
    }

    /// A list of objects in this form.
    pub(crate) fn many<'o>(
        self,
        resource: &Resource,
        objects: impl Iterator<Item = &'o Value>,
        metadata: &Value,
        now: Millis,
    ) -> Value {
        match self {
            Self::Whole => json!({
                "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
                "metadata": metadata, "items": objects.cloned().collect::<Vec<_>>(),
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata, "items": objects.map(metadata_only).collect::<Vec<_>>(),
            }),
            Self::Table(include) => {
                let rows: Vec<_> = objects.map(|object| row(resource, object, include, now)).collect();
                table_of(resource, &rows, metadata)
            }
        }
    }
}

fn include(request: &Request) -> Include {
    match request.param("includeObject") {
        "None" => Include::Nothing,
        "Object" => Include::Object,
        _ => Include::Metadata,
    }
}

fn metadata_only(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}

fn table_of(resource: &Resource, rows: &[Value], metadata: &Value) -> Value {
    let columns: Vec<_> = table::columns(resource.kind)
        .iter()
        .map(|column| {
            json!({ "name": column.name, "type": column.kind, "format": if column.name == "Name" { "name" } else { "" },
                "description": "", "priority": column.priority })
        })
        .collect();
    json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": columns, "rows": rows })
}

fn row(resource: &Resource, object: &Value, include: Include, now: Millis) -> Value {
    let cells = table::cells(resource.kind, object, now);
    let mut row = json!({ "cells": cells });
    match include {
        Include::Nothing => {}
        Include::Metadata => row["object"] = metadata_only(object),
        Include::Object => row["object"] = object.clone(),
    }
    if resource.is("Pod") {
        let (phase, condition) = (text(object, &["status", "phase"]), "Completed");
        if phase == "Succeeded" || phase == "Failed" {
            row["conditions"] = json!([{ "type": condition, "status": "True", "reason": phase,
                "message": "The pod has terminated." }]);
        }
    }
    row
}
