//! Owner references, propagation policies, namespaces.

use orchestrate_core::action::Propagation;
use orchestrate_core::objects::*;
use orchestrate_core::{Kind, Resource};
use serde_json::json;

use crate::lab::{Lab, deployment};

#[test]
fn background_deletion_takes_the_dependents_along() {
    let mut lab = Lab::new();
    let key = lab.create(deployment("web", 3));
    lab.settle();
    lab.delete(&key, Propagation::Background);
    assert!(!lab.exists(&key));
    lab.settle();
    assert_eq!((lab.count(Kind::ReplicaSet), lab.count(Kind::Pod)), (0, 0));
}

#[test]
fn foreground_deletion_takes_the_dependents_first() {
    let mut lab = Lab::new();
    let key = lab.create(deployment("web", 3));
    lab.settle();
    lab.delete(&key, Propagation::Foreground);
    assert!(lab.exists(&key));
    lab.check = |store| {
        let (d, p) = (store.world.deployments.len(), store.world.pods.len());
        assert!(d == 1 || p == 0, "the owner went before {p} pods");
    };
    lab.settle();
    assert!(!lab.exists(&key));
    assert_eq!((lab.count(Kind::ReplicaSet), lab.count(Kind::Pod)), (0, 0));
}

#[test]
fn orphaning_leaves_the_dependents() {
    let mut lab = Lab::new();
    let key = lab.create(deployment("web", 3));
    lab.settle();
    lab.delete(&key, Propagation::Orphan);
    lab.settle();
    assert!(!lab.exists(&key));
    assert_eq!((lab.count(Kind::ReplicaSet), lab.count(Kind::Pod)), (1, 3));
    assert!(lab.store.world.replica_sets.iter().all(|s| s.metadata.owner_references.is_empty()));
}

fn map(name: &str, owners: &[OwnerReference]) -> ConfigMap {
    let mut map = ConfigMap { metadata: ObjectMeta::named("default", name), ..ConfigMap::default() };
    map.metadata.owner_references = owners.to_vec();
    map
}

#[test]
fn only_provable_absence_counts() {
    let mut lab = Lab::new();
    let owner = lab.create(map("owner", &[]));
    let real = lab.store.world.config_maps.get("default", "owner").unwrap().owner_reference();
    let changed = |change: fn(&mut OwnerReference)| {
        let mut reference = real.clone();
        change(&mut reference);
        reference
    };
    let unknown_kind = changed(|r| r.kind = "Widget".into());
    let wrong_uid = changed(|r| r.uid = "gone".into());
    let wrong_name = changed(|r| r.name = "other".into());
    let cases = [
        ("held", vec![real.clone()], true),
        ("held-by-unknown-kind", vec![unknown_kind], true),
        ("wrong-uid", vec![wrong_uid.clone()], false),
        ("wrong-name", vec![wrong_name], false),
        ("one-of-two", vec![wrong_uid, real], true),
    ];
    for (name, owners, _) in &cases {
        lab.create(map(name, owners));
    }
    lab.settle();
    for (name, _, stays) in &cases {
        assert_eq!(lab.exists(&Key::new(Kind::ConfigMap, "default", name)), *stays, "{name}");
    }
    // The reference to the absent one of two owners is gone.
    assert_eq!(lab.store.world.config_maps.get("default", "one-of-two").unwrap().metadata.owner_references.len(), 1);
    assert!(lab.exists(&owner));
}

#[test]
fn a_circle_of_blocking_owners_is_not_forever() {
    let mut lab = Lab::new();
    let (a, b) = (lab.create(map("a", &[])), lab.create(map("b", &[])));
    let reference = |lab: &Lab, name: &str| {
        serde_json::to_value(lab.store.world.config_maps.get("default", name).unwrap().owner_reference()).unwrap()
    };
    let (to_a, to_b) = (reference(&lab, "a"), reference(&lab, "b"));
    lab.patch(&a, json!({"metadata": {"ownerReferences": [to_b]}}));
    lab.patch(&b, json!({"metadata": {"ownerReferences": [to_a]}}));
    lab.settle();
    lab.delete(&a, Propagation::Foreground);
    lab.settle();
    assert!(!lab.exists(&a) && !lab.exists(&b));
}

#[test]
fn a_namespace_is_emptied_before_it_goes() {
    let mut lab = Lab::new();
    let mut namespace = Namespace { metadata: ObjectMeta::named("", "default"), ..Namespace::default() };
    namespace.spec.finalizers = vec!["kubernetes".into()];
    let key = lab.create(namespace);
    lab.create(deployment("web", 2));
    lab.create(map("m", &[]));
    lab.settle();
    lab.delete(&key, Propagation::Background);
    assert_eq!(lab.store.world.namespaces.get("", "default").unwrap().status.phase, "Terminating");
    lab.settle();
    assert!(!lab.exists(&key));
    assert!(lab.store.world.keys_in("default").is_empty());
}
