//! Manifests as people write them: YAML with several documents, or JSON, to JSON trees.

use serde_json::Value;

use crate::error::Error;

/// Every document of `text`; empty ones are left out and a `List` stays one document.
///
/// # Errors
/// [`Error::Yaml`] with the line and column where reading stopped.
pub fn documents(text: &str) -> Result<Vec<Value>, Error> {
    if text.trim_start().starts_with('{') {
        return json_documents(text);
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|cause| {
        let location = cause.location().unwrap_or(serde_saphyr::Location::UNKNOWN);
        Error::Yaml { line: location.line(), column: location.column(), problem: first_line(&cause) }
    })?;
    Ok(documents.into_iter().filter(|value| !value.is_null()).collect())
}

fn json_documents(text: &str) -> Result<Vec<Value>, Error> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().collect::<Result<_, _>>().map_err(|cause| {
        Error::Yaml { line: cause.line() as u64, column: cause.column() as u64, problem: cause.to_string() }
    })
}

/// The objects of `text`: its documents, with every `List` taken apart.
///
/// # Errors
/// As [`documents`].
pub fn objects(text: &str) -> Result<Vec<Value>, Error> {
    let mut out = Vec::new();
    for mut document in documents(text)? {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if document["kind"] == "List" => out.extend(items),
            Some(items) => {
                document["items"] = items;
                out.push(document);
            }
            None => out.push(document),
        }
    }
    Ok(out)
}

fn first_line(cause: &serde_saphyr::Error) -> String {
    let text = cause.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    text.lines().next().unwrap_or("malformed").trim_start_matches("error: ").to_owned()
}

/// `value` as YAML, keys in the order of the tree.
#[must_use]
pub fn to_text(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}
