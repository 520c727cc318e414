//! `get`: the server's tables in kubectl's columns, or whole objects as JSON or YAML; with `-w` every change.

use std::io::Write;
use std::ops::ControlFlow;

use apiserver::print::{Style, TablePrinter};
use serde_json::Value;

use super::args::{Get, Output};
use super::kinds::{self, Kind, Named};
use crate::client::Client;
use crate::error::{Error, Result};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

pub(super) fn get(client: &Client, namespace: &str, get: &Get) -> Result<()> {
    let wanted = kinds::parse(&get.what)?;
    let namespace = if get.all_namespaces { "" } else { namespace };
    match get.output {
        Some(Output::Json | Output::Yaml) => whole(client, namespace, get, &wanted),
        _ => tables(client, namespace, get, &wanted),
    }
}

fn tables(client: &Client, namespace: &str, get: &Get, wanted: &[Named]) -> Result<()> {
    let mixed = wanted.iter().any(|named| named.kind.kind != wanted[0].kind.kind);
    let mut printed = false;
    let mut printer: Option<TablePrinter> = None;
    for (index, named) in wanted.iter().enumerate() {
        let table = client.get_as(&path(namespace, get, named), TABLE)?;
        if rows(&table).is_empty() {
            continue;
        }
        if get.output == Some(Output::Name) {
            for row in rows(&table) {
                let name = row.pointer("/object/metadata/name").and_then(Value::as_str).unwrap_or_default();
                say!("{}", kinds::label(named.kind, name));
            }
            printed = true;
            continue;
        }
        let next_of_kind = index > 0 && wanted[index - 1].kind.kind == named.kind.kind;
        if !next_of_kind || printer.is_none() {
            if printed {
                say!("");
            }
            printer = Some(TablePrinter::new(style(get, mixed.then_some(named.kind))));
        }
        if let Some(printer) = &mut printer {
            say_raw!("{}", printer.print(&table));
        }
        printed = true;
    }
    if !printed && !get.watch {
        let place = if namespace.is_empty() { "No resources found".to_owned() } else { none_in(namespace, wanted) };
        eprintln!("{place}");
    }
    match (get.watch, wanted) {
        (true, [one]) => follow(client, namespace, get, one, printer),
        (true, _) => Err(Error::Input { subject: "error".into(), problem: "you may only watch one kind".into() }),
        _ => Ok(()),
    }
}

fn style(get: &Get, with_kind: Option<Kind>) -> Style {
    let wide = get.output == Some(Output::Wide);
    Style { wide, with_namespace: get.all_namespaces, with_kind, ..Style::default() }
}

fn rows(table: &Value) -> &[Value] {
    table.get("rows").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn none_in(namespace: &str, wanted: &[Named]) -> String {
    match wanted.iter().any(|named| named.kind.namespaced) {
        true => format!("No resources found in {namespace} namespace."),
        false => "No resources found".to_owned(),
    }
}

fn follow(client: &Client, namespace: &str, get: &Get, named: &Named, printer: Option<TablePrinter>) -> Result<()> {
    let mut printer = printer.unwrap_or_else(|| TablePrinter::new(style(get, None)));
    let list = client.get(&path(namespace, get, named))?;
    let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    let mut path = kinds::collection(named.kind, namespace);
    path.push_str(&format!("?watch=true&resourceVersion={version}"));
    if let Some(name) = &named.name {
        path.push_str(&format!("&fieldSelector=metadata.name%3D{name}"));
    }
    if let Some(selector) = &get.selector {
        path.push_str(&format!("&labelSelector={}", apiserver::encode(selector)));
    }
    client.watch(&path, TABLE, |event| {
        say_raw!("{}", printer.print(&event["object"]));
        match std::io::stdout().flush() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })
}

fn whole(client: &Client, namespace: &str, get: &Get, wanted: &[Named]) -> Result<()> {
    let mut objects = Vec::new();
    for named in wanted {
        objects.push(client.get(&path(namespace, get, named))?);
    }
    let value = if objects.len() == 1 { objects.remove(0) } else { merged(objects) };
    let text = match get.output {
        Some(Output::Yaml) => apiserver::yaml::to_text(&value),
        _ => serde_json::to_string_pretty(&value).map_err(|error| Error::library("print JSON", error))? + "\n",
    };
    say_raw!("{text}");
    Ok(())
}

/// Several answers as one list.
fn merged(answers: Vec<Value>) -> Value {
    let items: Vec<Value> = answers
        .into_iter()
        .flat_map(|mut answer| match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => vec![answer],
        })
        .collect();
    serde_json::json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

fn path(namespace: &str, get: &Get, named: &Named) -> String {
    match (&named.name, &get.selector) {
        (Some(name), _) => kinds::path(named.kind, namespace, name),
        (None, Some(selector)) => {
            let selector = apiserver::encode(selector);
            format!("{}?labelSelector={selector}", kinds::collection(named.kind, namespace))
        }
        (None, None) => kinds::collection(named.kind, namespace),
    }
}
