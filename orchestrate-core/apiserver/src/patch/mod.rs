//! The four languages in which a client says what to change. Pure: a tree and a patch make a tree.

mod json_patch;
mod merge;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use strategic::three_way;

use crate::request::PatchKind;
use crate::schema::type_of;

/// Why a patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The patch itself makes no sense: 400.
    Malformed(String),
    /// The patch does not fit the object: 422.
    Mismatch(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(why) | Self::Mismatch(why) => f.write_str(why),
        }
    }
}

/// Applies `change` to `base`, an object of the type `schema`.
pub(crate) fn apply(kind: PatchKind, schema: &str, base: &Value, change: &Value) -> Result<Value, Refusal> {
    let mut out = base.clone();
    match kind {
        PatchKind::Json => json_patch::apply(&mut out, change)?,
        PatchKind::Merge => {
            object_only(change)?;
            merge::apply(&mut out, change);
        }
        PatchKind::Strategic => {
            object_only(change)?;
            strategic::apply(&mut out, change, type_of(schema))?;
        }
        PatchKind::Apply => {
            object_only(change)?;
            strategic::apply_configuration(&mut out, change, type_of(schema));
        }
    }
    Ok(out)
}

fn object_only(change: &Value) -> Result<(), Refusal> {
    if change.is_object() {
        return Ok(());
    }
    Err(Refusal::Malformed("error decoding patch: the patch must be a JSON object".to_owned()))
}
