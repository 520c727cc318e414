//! `kubectl rollout` as pure functions: how far an update is, its history, and the way back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::time::{Millis, rfc3339};
use crate::value::{at, int, list, remove, text};

/// Annotation with a ReplicaSet's revision.
const REVISION: &str = "deployment.kubernetes.io/revision";
const CAUSE: &str = "kubernetes.io/change-cause";
const HASH: &str = "pod-template-hash";

/// How far a rollout is; the text is what `kubectl rollout status` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Waiting(String),
    /// It is done.
    Done(String),
    /// It has been given up.
    Failed(String),
}

/// How far the rollout of a Deployment is.
#[must_use]
pub fn progress(deployment: &Value) -> Progress {
    let name = text(deployment, &["metadata", "name"]);
    let status = |field: &str| int(deployment, &["status", field]);
    if int(deployment, &["metadata", "generation"]) > status("observedGeneration") {
        return Progress::Waiting("Waiting for deployment spec update to be observed...".to_owned());
    }
    let mut conditions = list(deployment, &["status", "conditions"]).iter();
    let late = |c: &Value| c["type"] == "Progressing" && c["reason"] == "ProgressDeadlineExceeded";
    if conditions.any(late) {
        return Progress::Failed(format!("deployment \"{name}\" exceeded its progress deadline"));
    }
    let wanted = int(deployment, &["spec", "replicas"]);
    let (updated, all, available) = (status("updatedReplicas"), status("replicas"), status("availableReplicas"));
    let waiting =
        |what: String| Progress::Waiting(format!("Waiting for deployment \"{name}\" rollout to finish: {what}..."));
    if updated < wanted {
        waiting(format!("{updated} out of {wanted} new replicas have been updated"))
    } else if all > updated {
        waiting(format!("{} old replicas are pending termination", all - updated))
    } else if available < updated {
        waiting(format!("{available} of {updated} updated replicas are available"))
    } else {
        Progress::Done(format!("deployment \"{name}\" successfully rolled out"))
    }
}

fn template_without_hash(set: &Value) -> Value {
    let mut template = at(set, &["spec", "template"]).cloned().unwrap_or_default();
    remove(&mut template, &["metadata", "labels", HASH]);
    template
}

/// The ReplicaSets of a Deployment out of a list: the one with its present template, and others
/// that still hold pods.
pub(crate) fn sets_of<'v>(deployment: &Value, sets: &'v Value) -> (Option<&'v Value>, Vec<&'v Value>) {
    let own = owned(deployment, sets);
    let wanted = at(deployment, &["spec", "template"]);
    let new = own.iter().copied().find(|set| Some(&template_without_hash(set)) == wanted);
    let is_new = |set: &Value| new.is_some_and(|new| new["metadata"]["uid"] == set["metadata"]["uid"]);
    let old = own.into_iter().filter(|set| !is_new(set)).collect();
    (new, old)
}

fn owned<'v>(deployment: &Value, sets: &'v Value) -> Vec<&'v Value> {
    let uid = &deployment["metadata"]["uid"];
    let by = |set: &&Value| list(set, &["metadata", "ownerReferences"]).iter().any(|owner| owner["uid"] == *uid);
    list(sets, &["items"]).iter().filter(by).collect()
}

/// The ReplicaSets of a Deployment out of a list, by revision.
#[must_use]
pub fn revisions<'v>(deployment: &Value, sets: &'v Value) -> BTreeMap<u64, &'v Value> {
    let numbered = owned(deployment, sets).into_iter().filter_map(|set| {
        let revision = text(set, &["metadata", "annotations", REVISION]).parse().ok()?;
        Some((revision, set))
    });
    numbered.collect()
}

/// What `kubectl rollout history` prints.
#[must_use]
pub fn history(deployment: &Value, sets: &Value) -> String {
    let mut out = format!("deployment.apps/{} \nREVISION  CHANGE-CAUSE\n", text(deployment, &["metadata", "name"]));
    for (revision, set) in revisions(deployment, sets) {
        let cause = crate::table::or_none(text(set, &["metadata", "annotations", CAUSE]));
        out.push_str(&format!("{revision:<9} {cause}\n"));
    }
    out
}

/// The JSON patch that gives a Deployment the template of an earlier revision: of `to`, or of the
/// one before the present.
///
/// # Errors
/// The sentence that kubectl prints when there is no such revision.
pub fn undo(deployment: &Value, sets: &Value, to: Option<u64>) -> Result<Value, String> {
    let revisions = revisions(deployment, sets);
    let name = text(deployment, &["metadata", "name"]);
    let set = match to {
        Some(revision) => {
            let missing = || format!("unable to find specified revision {revision} in history");
            revisions.get(&revision).ok_or_else(missing)?
        }
        None => revisions
            .values()
            .rev()
            .nth(1)
            .ok_or_else(|| format!("no rollout history found for deployment \"{name}\""))?,
    };
    Ok(json!([{ "op": "replace", "path": "/spec/template", "value": template_without_hash(set) }]))
}

/// The strategic patch of `kubectl rollout restart`.
#[must_use]
pub fn restart(now: Millis) -> Value {
    json!({ "spec": { "template": { "metadata": { "annotations": {
        "kubectl.kubernetes.io/restartedAt": rfc3339(now) } } } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_sentence() {
        let deployment = |observed: i64, updated: i64, all: i64, available: i64| {
            json!({ "metadata": { "name": "web", "generation": 2 }, "spec": { "replicas": 3 }, "status": {
                "observedGeneration": observed, "updatedReplicas": updated, "replicas": all,
                "availableReplicas": available } })
        };
        let said = |observed, updated, all, available| match progress(&deployment(observed, updated, all, available)) {
            Progress::Waiting(text) | Progress::Done(text) | Progress::Failed(text) => text,
        };
        assert_eq!(said(1, 3, 3, 3), "Waiting for deployment spec update to be observed...");
        assert!(said(2, 1, 4, 3).ends_with("1 out of 3 new replicas have been updated..."));
        assert!(said(2, 3, 4, 3).ends_with("1 old replicas are pending termination..."));
        assert!(said(2, 3, 3, 2).ends_with("2 of 3 updated replicas are available..."));
        assert_eq!(said(2, 3, 3, 3), "deployment \"web\" successfully rolled out");
        let mut late = deployment(2, 1, 4, 3);
        late["status"]["conditions"] = json!([{ "type": "Progressing", "reason": "ProgressDeadlineExceeded" }]);
        assert!(matches!(progress(&late), Progress::Failed(_)));
    }

    #[test]
    fn the_way_back_is_the_template_before() {
        let set = |revision: &str, image: &str| {
            json!({ "metadata": { "uid": revision, "annotations": { REVISION: revision },
                "ownerReferences": [{ "uid": "d" }] }, "spec": { "template": {
                "metadata": { "labels": { "app": "web", HASH: "x" } }, "spec": { "image": image } } } })
        };
        let deployment = json!({ "metadata": { "name": "web", "uid": "d" }, "spec": { "template": {
            "metadata": { "labels": { "app": "web" } }, "spec": { "image": "2" } } } });
        let sets = json!({ "items": [set("2", "2"), set("1", "1")] });
        let patch = undo(&deployment, &sets, None).expect("a way back");
        let template = json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "image": "1" } });
        assert_eq!(patch[0]["value"], template);
        assert_eq!(undo(&deployment, &sets, Some(7)).unwrap_err(), "unable to find specified revision 7 in history");
        assert_eq!(sets_of(&deployment, &sets).0.map(|set| &set["metadata"]["uid"]), Some(&json!("2")));
        assert_eq!(
            history(&deployment, &sets),
            "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n"
        );
    }
}
