//! A refused request, as Kubernetes says it: code, reason, message and details.
//!
//! Clients decide by `reason` and `details`, people read `message`; all three are upstream's words.

use serde_json::{Map, Value, json};

use crate::resource::Resource;

/// Why a request was refused: the `Status` object of the Kubernetes API.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
    /// Name, group, kind and causes, where known.
    pub details: Option<Box<Value>>,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, such as `spec.containers[0].name`.
    pub field: String,
    /// `FieldValueRequired` and its like.
    pub reason: &'static str,
    /// What is wrong, without the path.
    pub message: String,
}

impl Problem {
    /// The field must have a value.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }

    /// The field's value is not acceptable.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {}: {detail}", shown(value));
        Self { field: field.into(), reason: "FieldValueInvalid", message }
    }

    /// The field's value is none of those allowed.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, allowed: &[&str]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(|a| format!("\"{a}\"")).collect();
        let message = format!("Unsupported value: {}: supported values: {}", shown(value), allowed.join(", "));
        Self { field: field.into(), reason: "FieldValueNotSupported", message }
    }

    /// The field's value appears twice where it must be unique.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        let message = format!("Duplicate value: {}", shown(value));
        Self { field: field.into(), reason: "FieldValueDuplicate", message }
    }

    /// The field may not be set, or not be changed.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: format!("Forbidden: {detail}") }
    }

    /// The field names something that does not exist.
    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self { field: field.into(), reason: "FieldValueNotFound", message: format!("Not found: {}", shown(value)) }
    }

    /// The field's text is longer than allowed.
    pub(crate) fn too_long(field: impl Into<String>, max: usize) -> Self {
        let message = format!("Too long: may not be more than {max} bytes");
        Self { field: field.into(), reason: "FieldValueTooLong", message }
    }
}

fn shown(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl Status {
    fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.to_owned(), message: message.into(), details: None }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = Map::new();
        if !name.is_empty() {
            details.insert("name".into(), name.into());
        }
        if !resource.group.is_empty() {
            details.insert("group".into(), resource.group.into());
        }
        details.insert("kind".into(), resource.plural.into());
        self.details = Some(Box::new(Value::Object(details)));
        self
    }

    /// 404: no such object.
    #[must_use]
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified())).about(resource, name)
    }

    /// 404: no such path.
    #[must_use]
    pub fn no_such_path() -> Self {
        let mut status = Self::new(404, "NotFound", "the server could not find the requested resource");
        status.details = Some(Box::new(json!({})));
        status
    }

    /// 405: the path exists, the method does not apply to it.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let mut status =
            Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        status.details = Some(Box::new(json!({})));
        status
    }

    /// 409: an object of that name is there already.
    #[must_use]
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// 409: the object is not what the request assumes.
    #[must_use]
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409: a stale `resourceVersion`.
    #[must_use]
    pub fn stale(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 403: understood and refused.
    #[must_use]
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// 401: no or a wrong credential.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 413: the body is larger than accepted.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
    }

    /// 415: no decoder for this body.
    #[must_use]
    pub fn unsupported_media(kind: &str, accepted: &[&str]) -> Self {
        let message = format!("the body of the request was in an unknown format - accepted media types include: {}", {
            accepted.join(", ")
        });
        let mut status = Self::new(415, "UnsupportedMediaType", message);
        status.details = Some(Box::new(json!({ "causes": [{ "message": kind, "field": "Content-Type" }] })));
        status
    }

    /// 410: the version asked for is no longer kept.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 501: known to Kubernetes, not to this server; says so instead of guessing.
    #[must_use]
    pub fn not_implemented(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("{what} is not implemented by this server"))
    }

    /// 500: the embedder failed to do what was delegated to it.
    #[must_use]
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// 422: the object breaks rules of its kind.
    #[must_use]
    pub fn invalid(resource: &Resource, name: &str, problems: &[Problem]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        let mut causes = Vec::new();
        for problem in problems {
            let text = format!("{}: {}", problem.field, problem.message);
            if !texts.contains(&text) {
                texts.push(text);
            }
            causes.push(json!({ "reason": problem.reason, "message": problem.message, "field": problem.field }));
        }
        let list = if texts.len() == 1 { texts.remove(0) } else { format!("[{}]", texts.join(", ")) };
        let kind = match resource.group {
            "" => resource.kind.to_owned(),
            group => format!("{}.{group}", resource.kind),
        };
        let mut status = Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {list}"));
        let mut details = Map::new();
        details.insert("name".into(), name.into());
        if !resource.group.is_empty() {
            details.insert("group".into(), resource.group.into());
        }
        details.insert("kind".into(), resource.kind.into());
        details.insert("causes".into(), Value::Array(causes));
        status.details = Some(Box::new(Value::Object(details)));
        status
    }

    /// The object that goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let (Some(details), Value::Object(map)) = (&self.details, &mut value) {
            map.shift_insert(6, "details".into(), Value::clone(details));
        }
        value
    }

    /// Reads what came over the wire, if it is a refusal.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        if value.get("kind")? != "Status" || value.get("status")? == "Success" {
            return None;
        }
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let code = value.get("code").and_then(Value::as_u64).unwrap_or(500);
        let details = value.get("details").cloned().map(Box::new);
        Some(Self {
            code: u16::try_from(code).unwrap_or(500),
            reason: text("reason"),
            message: text("message"),
            details,
        })
    }
}
