//! `describe`: an object and what belongs to it, as `apiserver::print::describe` words it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::kinds::{self, Kind};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::node::clock;

pub(super) fn describe(client: &Client, namespace: &str, what: &[String]) -> Result<()> {
    let mut first = true;
    for named in kinds::parse(what)? {
        let objects = match &named.name {
            Some(name) => vec![client.get(&kinds::path(named.kind, namespace, name))?],
            None => items(client.get(&kinds::collection(named.kind, namespace))?),
        };
        for mut object in objects {
            // The items of a list do not say what they are.
            object["kind"] = named.kind.kind.into();
            object["apiVersion"] = named.kind.api_version().into();
            if !std::mem::take(&mut first) {
                say!("\n");
            }
            say_raw!("{}", text(client, named.kind, &object)?);
        }
    }
    if first {
        eprintln!("No resources found in {namespace} namespace.");
    }
    Ok(())
}

fn text(client: &Client, kind: Kind, object: &Value) -> Result<String> {
    let mut found = BTreeMap::new();
    for (related, path) in apiserver::print::describe::lookups(kind, object) {
        match client.get(&path) {
            Ok(answer) => drop(found.insert(related, answer)),
            // What is not there is not shown.
            Err(Error::Api { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(apiserver::print::describe::describe(kind, object, &found, clock::now().0))
}

fn items(mut list: Value) -> Vec<Value> {
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
