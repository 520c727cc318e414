//! Whose is this? Adoption of matching objects that nobody manages, release of those that no longer match.

use serde_json::json;

use super::{exact, json as to_json};
use crate::action::Action;
use crate::objects::{LabelSelector, Resource};

/// Decides what an owner does with a candidate: `true` means it manages the candidate (now or after `actions`).
pub(super) fn claim<O: Resource, T: Resource>(
    owner: &O,
    selector: &LabelSelector,
    candidate: &T,
    actions: &mut Vec<Action>,
) -> bool {
    let meta = candidate.meta();
    let matches = selector.matches(&meta.labels);
    match meta.controller() {
        Some(controller) if controller.uid == owner.meta().uid => {
            if matches {
                return true;
            }
            if !owner.meta().is_deleting() {
                let rest: Vec<_> = meta.owner_references.iter().filter(|o| o.uid != owner.meta().uid).collect();
                actions.push(patch_owners(candidate, &to_json(&rest)));
            }
            false
        }
        Some(_) => false,
        None => {
            let adopt = matches && !selector.is_empty() && !owner.meta().is_deleting() && !meta.is_deleting();
            if adopt {
                let mut owners = meta.owner_references.clone();
                owners.push(owner.owner_reference());
                actions.push(patch_owners(candidate, &to_json(&owners)));
            }
            adopt
        }
    }
}

fn patch_owners<T: Resource>(object: &T, owners: &serde_json::Value) -> Action {
    Action::Patch { on: exact(object), patch: json!({"metadata": {"ownerReferences": owners}}) }
}
