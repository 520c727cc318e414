//! RFC 6902: a list of operations on paths.

use serde_json::Value;

use super::Refusal;

/// Carries out every operation of `change` on `target`, or none that counts.
pub(super) fn apply(target: &mut Value, change: &Value) -> Result<(), Refusal> {
    let Value::Array(operations) = change else {
        return Err(Refusal::Malformed("error decoding patch: a JSON patch is a list of operations".to_owned()));
    };
    if operations.len() > 10_000 {
        return Err(Refusal::Malformed(format!(
            "The allowed maximum operations in a JSON patch is 10000, got {}",
            operations.len()
        )));
    }
    operations.iter().try_for_each(|operation| step(target, operation))
}

fn step(target: &mut Value, operation: &Value) -> Result<(), Refusal> {
    let member = |name: &str| operation.get(name);
    let pointer = |name: &str| {
        let text = member(name).and_then(Value::as_str);
        let text = text.ok_or_else(|| Refusal::Malformed(format!("error decoding patch: missing {name}")))?;
        parse(text).ok_or_else(|| Refusal::Malformed(format!("error decoding patch: bad path {text:?}")))
    };
    let value =
        || member("value").cloned().ok_or_else(|| Refusal::Malformed("error decoding patch: missing value".into()));
    match member("op").and_then(Value::as_str) {
        Some("add") => add(target, &pointer("path")?, value()?),
        Some("remove") => remove(target, &pointer("path")?).map(drop),
        Some("replace") => {
            let (path, value) = (pointer("path")?, value()?);
            *find(target, &path).ok_or_else(|| missing("replace", &path))? = value;
            Ok(())
        }
        Some("move") => {
            let (from, path) = (pointer("from")?, pointer("path")?);
            if path.len() > from.len() && path.starts_with(&from) {
                return Err(Refusal::Mismatch("jsonpatch move operation does not apply: into itself".into()));
            }
            let moved = remove(target, &from)?;
            add(target, &path, moved)
        }
        Some("copy") => {
            let from = pointer("from")?;
            let copied = find(target, &from).ok_or_else(|| missing("copy", &from))?.clone();
            add(target, &pointer("path")?, copied)
        }
        Some("test") => {
            let (path, wanted) = (pointer("path")?, value()?);
            match find(target, &path) {
                Some(found) if same(found, &wanted) => Ok(()),
                None if wanted.is_null() => Ok(()),
                _ => Err(Refusal::Mismatch(format!("testing value {} failed", shown(&path)))),
            }
        }
        op => Err(Refusal::Malformed(format!("error decoding patch: unknown operation {op:?}"))),
    }
}

/// JSON numbers are equal by value, whatever their form.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, value)| y.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

fn parse(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let steps = text.strip_prefix('/')?.split('/');
    Some(steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn shown(path: &[String]) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}

fn missing(op: &str, path: &[String]) -> Refusal {
    let text = shown(path);
    Refusal::Mismatch(format!("jsonpatch {op} operation does not apply: doc is missing path: {text}: missing value"))
}

/// An index without sign, blanks or leading zeros, below `bound`.
fn index(step: &str, bound: usize) -> Option<usize> {
    let plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| step.parse().ok()).flatten().filter(|index| *index < bound)
}

fn find<'v>(target: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(target, |here, step| match here {
        Value::Object(map) => map.get_mut(step),
        Value::Array(items) => {
            let length = items.len();
            items.get_mut(index(step, length)?)
        }
        _ => None,
    })
}

fn add(target: &mut Value, path: &[String], value: Value) -> Result<(), Refusal> {
    let Some((last, front)) = path.split_last() else {
        *target = value;
        return Ok(());
    };
    match find(target, front) {
        Some(Value::Object(map)) => drop(map.insert(last.clone(), value)),
        Some(Value::Array(items)) if last == "-" => items.push(value),
        Some(Value::Array(items)) => {
            let at = index(last, items.len() + 1).ok_or_else(|| missing("add", path))?;
            items.insert(at, value);
        }
        _ => return Err(missing("add", path)),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &[String]) -> Result<Value, Refusal> {
    let gone = || missing("remove", path);
    let (last, front) = path.split_last().ok_or_else(gone)?;
    match find(target, front) {
        Some(Value::Object(map)) => map.shift_remove(last).ok_or_else(gone),
        Some(Value::Array(items)) => {
            let at = index(last, items.len()).ok_or_else(gone)?;
            Ok(items.remove(at))
        }
        _ => Err(gone()),
    }
}
