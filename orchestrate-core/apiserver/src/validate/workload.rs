//! Deployments and ReplicaSets: selector, template, strategy.

use serde_json::Value;

use super::{meta, pod};
use crate::selector::{Selector, to_query};
use crate::status::Problem;
use crate::value::{at, int, list, map, text};

/// The rules of a Deployment.
pub(super) fn deployment(object: &Value, out: &mut Vec<Problem>) {
    common(object, out);
    strategy(object, out);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        not_negative(object, field, out);
    }
    let (deadline, ready) = (["spec", "progressDeadlineSeconds"], ["spec", "minReadySeconds"]);
    if let Some(value) = at(object, &deadline)
        && int(object, &deadline) <= int(object, &ready)
    {
        let why = "must be greater than minReadySeconds";
        out.push(Problem::invalid("spec.progressDeadlineSeconds", value, why));
    }
}

/// The rules of a ReplicaSet.
pub(super) fn replica_set(object: &Value, out: &mut Vec<Problem>) {
    common(object, out);
    not_negative(object, "minReadySeconds", out);
}

fn not_negative(object: &Value, field: &str, out: &mut Vec<Problem>) {
    if let Some(value) = at(object, &["spec", field])
        && int(object, &["spec", field]) < 0
    {
        out.push(Problem::invalid(format!("spec.{field}"), value, "must be greater than or equal to 0"));
    }
}

fn common(object: &Value, out: &mut Vec<Problem>) {
    not_negative(object, "replicas", out);
    let selector = at(object, &["spec", "selector"]);
    let empty = Value::Null;
    let query = to_query(selector.unwrap_or(&empty));
    match selector {
        None => out.push(Problem::required("spec.selector", "")),
        Some(selector) if query.is_empty() => {
            let why = "empty selector is invalid for deployment";
            out.push(Problem::invalid("spec.selector", selector, why));
        }
        Some(selector) => expressions(selector, out),
    }
    let template = &object["spec"]["template"];
    let labels = at(template, &["metadata", "labels"]);
    meta::labels(labels, "spec.template.metadata.labels", out);
    let resource = crate::resource::kind("Deployment");
    let matches = Selector::parse(resource, &query, "").is_ok_and(|selector| selector.matches(template));
    if selector.is_some() && !query.is_empty() && !matches {
        let shown = labels.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let why = "`selector` does not match template `labels`";
        out.push(Problem::invalid("spec.template.metadata.labels", &shown, why));
    }
    pod::check_spec(&template["spec"], "spec.template.spec", out);
    let policy = text(template, &["spec", "restartPolicy"]);
    if !policy.is_empty() && policy != "Always" {
        out.push(Problem::unsupported("spec.template.spec.restartPolicy", &policy.into(), &["Always"]));
    }
}

fn expressions(selector: &Value, out: &mut Vec<Problem>) {
    meta::labels(at(selector, &["matchLabels"]), "spec.selector.matchLabels", out);
    for (index, expression) in list(selector, &["matchExpressions"]).iter().enumerate() {
        let path = format!("spec.selector.matchExpressions[{index}]");
        let values = list(expression, &["values"]).len();
        match text(expression, &["operator"]) {
            "In" | "NotIn" if values == 0 => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                out.push(Problem::required(format!("{path}.values"), why));
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                out.push(Problem::forbidden(format!("{path}.values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                out.push(Problem::invalid(format!("{path}.operator"), &other.into(), "not a valid selector operator"));
            }
        }
    }
}

fn strategy(object: &Value, out: &mut Vec<Problem>) {
    let strategy = &object["spec"]["strategy"];
    match text(strategy, &["type"]) {
        "RollingUpdate" => rolling(&strategy["rollingUpdate"], out),
        "Recreate" => {
            if at(strategy, &["rollingUpdate"]).is_some() {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                out.push(Problem::forbidden("spec.strategy.rollingUpdate", why));
            }
        }
        other => {
            out.push(Problem::unsupported("spec.strategy.type", &other.into(), &["Recreate", "RollingUpdate"]));
        }
    }
}

/// A count or a percentage as a number, if it is one.
fn amount(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.strip_suffix('%')?.parse().ok(),
        other => other.as_i64(),
    }
}

fn rolling(update: &Value, out: &mut Vec<Problem>) {
    for field in ["maxUnavailable", "maxSurge"] {
        let path = format!("spec.strategy.rollingUpdate.{field}");
        let value = &update[field];
        match amount(value) {
            None => {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                    '93%', regex used for validation is '[0-9]+%')";
                out.push(Problem::invalid(path, value, why));
            }
            Some(number) if number < 0 => {
                out.push(Problem::invalid(path, value, "must be greater than or equal to 0"));
            }
            Some(number) if field == "maxUnavailable" && value.is_string() && number > 100 => {
                out.push(Problem::invalid(path, value, "must not be greater than 100%"));
            }
            Some(_) => {}
        }
    }
    if amount(&update["maxUnavailable"]) == Some(0) && amount(&update["maxSurge"]) == Some(0) {
        let (path, why) = ("spec.strategy.rollingUpdate.maxUnavailable", "may not be 0 when `maxSurge` is 0");
        out.push(Problem::invalid(path, &update["maxUnavailable"], why));
    }
}

/// A selector stays what it is.
pub(super) fn update(old: &Value, new: &Value, out: &mut Vec<Problem>) {
    if map(old, &["spec", "selector"]) != map(new, &["spec", "selector"]) {
        meta::immutable(old, new, &["spec", "selector"], out);
    }
}
