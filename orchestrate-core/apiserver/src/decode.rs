//! From a request's body to a pruned object of the right kind, with the warnings that it earned.

use serde_json::Value;

use crate::request::{Body, Request};
use crate::resource::Resource;
use crate::schema::{prune, type_of};
use crate::status::Status;
use crate::value::{object as object_of, text};

/// The body as a tree: JSON, or YAML when the content type says so.
pub(crate) fn tree(request: &Request) -> Result<Value, Status> {
    let bytes = match &request.body {
        Body::Json(value) => return Ok(value.clone()),
        Body::Bytes(bytes) => bytes,
    };
    let media = request.content_type.split(';').next().unwrap_or("").trim();
    match media {
        "application/yaml" | "application/apply-patch+yaml" => yaml(bytes),
        "application/vnd.kubernetes.protobuf" => crate::protobuf::decode(bytes).map_err(|_| {
            Status::bad_request("the object provided is unrecognized (must be of type protobuf of a served kind)")
        }),
        _ => serde_json::from_slice(bytes).map_err(|cause| {
            Status::bad_request(format!("the object provided is unrecognized (must be of type JSON): {cause}"))
        }),
    }
}

fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(bytes).map_err(|cause| Status::bad_request(format!("invalid YAML: {cause}")))?;
    let mut documents = crate::yaml::documents(text).map_err(|cause| Status::bad_request(cause.to_string()))?;
    match documents.len() {
        1 => Ok(documents.remove(0)),
        found => Err(Status::bad_request(format!("one YAML document expected, found {found}"))),
    }
}

/// What to do about fields that the kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Ignore,
    Warn,
    Refuse,
}

fn policy(request: &Request) -> Result<Unknown, Status> {
    match request.param("fieldValidation") {
        "Ignore" => Ok(Unknown::Ignore),
        "" | "Warn" => Ok(Unknown::Warn),
        "Strict" => Ok(Unknown::Refuse),
        other => Err(Status::bad_request(format!(
            "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
        ))),
    }
}

/// An object of `resource` out of `value`: kind checked, fields pruned, texts canonical.
pub(crate) fn object(
    mut value: Value,
    resource: &'static Resource,
    request: &Request,
    warnings: &mut Vec<String>,
) -> Result<Value, Status> {
    check_kind(&mut value, resource)?;
    let policy = policy(request)?;
    let Some(ty) = type_of(resource.schema) else { return Ok(value) };
    let found = prune(&mut value, ty);
    let refuse = |why: &str| {
        let (kind, version) = (resource.kind, resource.version);
        Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
    };
    if let Some(mismatch) = found.mismatch {
        return Err(refuse(&mismatch));
    }
    let unknown: Vec<_> = found.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    match policy {
        Unknown::Ignore => {}
        Unknown::Warn => warnings.extend(unknown),
        Unknown::Refuse if unknown.is_empty() => {}
        Unknown::Refuse => return Err(refuse(&format!("strict decoding error: {}", unknown.join(", ")))),
    }
    Ok(value)
}

fn check_kind(value: &mut Value, resource: &Resource) -> Result<(), Status> {
    if !value.is_object() {
        return Err(Status::bad_request("the object provided is unrecognized (must be of type JSON): not an object"));
    }
    let (version, kind) = (resource.api_version(), resource.kind);
    let (has_version, has_kind) = (text(value, &["apiVersion"]), text(value, &["kind"]));
    if !has_version.is_empty() && has_version != version {
        return Err(Status::bad_request(format!(
            "the API version in the data ({has_version}) does not match the expected API version ({version})"
        )));
    }
    if !has_kind.is_empty() && has_kind != kind {
        return Err(Status::bad_request(format!(
            "{has_kind} in version \"{}\" cannot be handled as a {kind}: the kind in the data does not match",
            resource.version
        )));
    }
    let map = object_of(value);
    map.shift_insert(0, "apiVersion".to_owned(), version.into());
    map.shift_insert(1, "kind".to_owned(), kind.into());
    Ok(())
}
