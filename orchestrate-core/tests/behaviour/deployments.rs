//! Deployments and ReplicaSets.

use orchestrate_core::objects::*;
use orchestrate_core::sim::Store;
use orchestrate_core::{Action, Kind};
use serde_json::json;

use crate::lab::{Lab, deployment};

fn running(lab: &Lab, image: &str) -> usize {
    lab.pods().iter().filter(|p| p.spec.containers[0].image == image && p.is_ready()).count()
}

#[test]
fn a_deployment_becomes_pods() {
    let mut lab = Lab::new();
    lab.create(deployment("web", 3));
    lab.settle();
    assert_eq!(lab.sizes(), [("1".into(), 3)]);
    let d = lab.deployment("web");
    let s = &d.status;
    assert_eq!(
        (s.replicas, s.updated_replicas, s.ready_replicas, s.available_replicas, s.unavailable_replicas),
        (3, 3, 3, 3, 0)
    );
    assert_eq!(s.observed_generation, d.metadata.generation);
    assert_eq!(d.metadata.annotations["deployment.kubernetes.io/revision"], "1");
    assert_eq!(lab.condition("web", "Available"), (ConditionStatus::True, "MinimumReplicasAvailable".into()));
    assert_eq!(lab.condition("web", "Progressing"), (ConditionStatus::True, "NewReplicaSetAvailable".into()));
    for pod in lab.pods() {
        assert!(pod.metadata.labels.contains_key("pod-template-hash"));
        assert!(pod.metadata.name.starts_with("web-"));
    }
    let messages: Vec<&str> = lab.store.world.events.iter().map(|e| e.message.as_str()).collect();
    assert!(messages.iter().any(|m| m.starts_with("Scaled up replica set web-") && m.ends_with("from 0 to 3")));
    assert_eq!(messages.iter().filter(|m| m.starts_with("Created pod: web-")).count(), 3);
}

/// Wanted 10, surge 3, unavailable 2: the bounds hold after every pass.
fn bounds(store: &Store) {
    let total: i32 = store.world.replica_sets.iter().map(ReplicaSet::replicas).sum();
    assert!(total <= 13, "{total} pods are too many");
    let settled = store.world.deployments.iter().all(|d| d.metadata.annotations.contains_key("settled"));
    let available = store.world.pods.iter().filter(|p| p.is_ready() && p.is_active()).count();
    assert!(!settled || available >= 8, "only {available} pods are available");
}

fn big(lab: &mut Lab) -> Key {
    let mut d = deployment("web", 10);
    let rolling =
        RollingUpdate { max_surge: Some(3.into()), max_unavailable: Some(2.into()), ..RollingUpdate::default() };
    d.spec.strategy = DeploymentStrategy { rolling_update: Some(rolling), ..DeploymentStrategy::default() };
    lab.check = bounds;
    let key = lab.create(d);
    lab.settle();
    lab.patch(&key, json!({"metadata": {"annotations": {"settled": "yes"}}}));
    key
}

#[test]
fn an_update_stays_within_its_bounds_and_an_undo_reuses_the_old_set() {
    let mut lab = Lab::new();
    let key = big(&mut lab);
    lab.set_image(&key, "app:2");
    lab.settle();
    assert_eq!(lab.sizes(), [("1".into(), 0), ("2".into(), 10)]);
    assert_eq!(running(&lab, "app:2"), 10);
    lab.set_image(&key, "app:1");
    lab.settle();
    assert_eq!(lab.sizes(), [("2".into(), 0), ("3".into(), 10)]);
    let set = lab.store.world.replica_sets.iter().find(|s| s.replicas() == 10).unwrap();
    assert_eq!(set.metadata.annotations["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(lab.deployment("web").metadata.annotations["deployment.kubernetes.io/revision"], "3");
}

#[test]
fn a_broken_image_stalls_and_times_out_while_the_old_pods_serve() {
    let mut lab = Lab::new();
    let key = big(&mut lab);
    lab.patch(&key, json!({"spec": {"progressDeadlineSeconds": 5}}));
    lab.set_image(&key, "broken");
    lab.settle();
    assert_eq!(lab.sizes(), [("1".into(), 8), ("2".into(), 5)]);
    assert_eq!(lab.condition("web", "Progressing").0, ConditionStatus::True);
    lab.pass(6);
    assert_eq!(lab.condition("web", "Progressing"), (ConditionStatus::False, "ProgressDeadlineExceeded".into()));
    assert_eq!(running(&lab, "app:1"), 8);
    lab.set_image(&key, "app:1");
    lab.settle();
    assert_eq!(lab.condition("web", "Progressing"), (ConditionStatus::True, "NewReplicaSetAvailable".into()));
    assert_eq!(running(&lab, "app:1"), 10);
}

#[test]
fn scaling_in_the_middle_of_a_rollout_is_shared_in_proportion() {
    let mut lab = Lab::new();
    let key = big(&mut lab);
    lab.set_image(&key, "broken");
    lab.settle();
    assert_eq!(lab.sizes(), [("1".into(), 8), ("2".into(), 5)]);
    lab.check = |_| {};
    lab.patch(&key, json!({"spec": {"replicas": 15}}));
    lab.settle();
    // Upstream's documented example.
    assert_eq!(lab.sizes(), [("1".into(), 11), ("2".into(), 7)]);
}

#[test]
fn recreate_never_mixes_versions() {
    let mut lab = Lab::new();
    let mut d = deployment("web", 3);
    d.spec.strategy.kind = Some(StrategyKind::Recreate);
    lab.check = |store| {
        let images: std::collections::BTreeSet<&str> =
            store.world.pods.iter().map(|p| p.spec.containers[0].image.as_str()).collect();
        assert!(images.len() <= 1, "{images:?}");
    };
    let key = lab.create(d);
    lab.settle();
    lab.set_image(&key, "app:2");
    lab.settle();
    assert_eq!(running(&lab, "app:2"), 3);
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut lab = Lab::new();
    let key = lab.create(deployment("web", 2));
    lab.settle();
    lab.patch(&key, json!({"spec": {"paused": true}}));
    lab.set_image(&key, "app:2");
    lab.patch(&key, json!({"spec": {"replicas": 4}}));
    lab.settle();
    assert_eq!(lab.sizes(), [("1".into(), 4)]);
    assert_eq!(lab.condition("web", "Progressing"), (ConditionStatus::Unknown, "DeploymentPaused".into()));
    lab.patch(&key, json!({"spec": {"paused": false}}));
    lab.settle();
    assert_eq!(lab.sizes(), [("1".into(), 0), ("2".into(), 4)]);
}

#[test]
fn old_revisions_are_forgotten() {
    let mut lab = Lab::new();
    let mut d = deployment("web", 1);
    d.spec.revision_history_limit = Some(2);
    let key = lab.create(d);
    for n in 1..=6 {
        lab.set_image(&key, &format!("app:{n}"));
        lab.pass(1);
    }
    assert_eq!(lab.sizes(), [("4".into(), 0), ("5".into(), 0), ("6".into(), 1)]);
}

#[test]
fn min_ready_seconds_delay_availability() {
    let mut lab = Lab::new();
    let mut d = deployment("web", 2);
    d.spec.min_ready_seconds = 10;
    lab.create(d);
    lab.settle();
    assert_eq!((lab.deployment("web").status.ready_replicas, lab.deployment("web").status.available_replicas), (2, 0));
    lab.pass(9);
    assert_eq!(lab.deployment("web").status.available_replicas, 0);
    lab.pass(1);
    assert_eq!(lab.deployment("web").status.available_replicas, 2);
}

#[test]
fn scale_down_to_zero_and_up_again() {
    let mut lab = Lab::new();
    let key = lab.create(deployment("web", 3));
    lab.settle();
    lab.patch(&key, json!({"spec": {"replicas": 0}}));
    lab.settle();
    assert_eq!((lab.pods().len(), lab.deployment("web").status.replicas), (0, 0));
    lab.patch(&key, json!({"spec": {"replicas": 5}}));
    lab.settle();
    assert_eq!(lab.pods().len(), 5);
}

#[test]
fn a_deleted_pod_is_replaced_even_while_it_is_still_terminating() {
    let mut lab = Lab::new();
    lab.create(deployment("web", 3));
    lab.settle();
    let victim = Key::new(Kind::Pod, "default", &lab.pods()[0].metadata.name.clone());
    lab.kubelet = false;
    lab.delete(&victim, orchestrate_core::action::Propagation::Background);
    lab.settle();
    assert_eq!(lab.pods().len(), 4);
    let set = lab.store.world.replica_sets.iter().next().unwrap();
    assert_eq!((set.status.replicas, set.status.terminating_replicas), (3, Some(1)));
}

#[test]
fn matching_orphans_are_adopted_and_strays_released() {
    let mut lab = Lab::new();
    lab.create(deployment("web", 2));
    lab.settle();
    let stray = lab.pods()[0].clone();
    let key = Key::new(Kind::Pod, "default", &stray.metadata.name);
    lab.patch(&key, json!({"metadata": {"labels": {"app": "other"}}}));
    lab.settle();
    // Released and replaced.
    assert_eq!(lab.pods().len(), 3);
    assert!(lab.store.world.meta(&key).unwrap().owner_references.is_empty());
    lab.patch(&key, json!({"metadata": {"labels": {"app": "web"}}}));
    lab.settle();
    // Adopted; one too many was deleted.
    assert_eq!(lab.pods().len(), 2);
    assert!(lab.pods().iter().all(|p| p.metadata.controller().is_some()));
}

#[test]
fn an_empty_selector_is_refused_with_an_event() {
    let mut lab = Lab::new();
    let mut d = deployment("web", 2);
    d.spec.selector = LabelSelector::default();
    lab.create(d);
    let plan = orchestrate_core::controllers::reconcile(&lab.store.world, &lab.policy, lab.now);
    assert!(matches!(&plan.actions[..], [Action::Event(note)] if note.reason == "SelectingAll"), "{:?}", plan.actions);
}

#[test]
fn a_taken_name_counts_as_a_hash_collision() {
    let mut lab = Lab::new();
    let d = deployment("web", 2);
    let hash = orchestrate_core::controllers::template_hash(&d.spec.template, None);
    let mut foreign =
        ReplicaSet { metadata: ObjectMeta::named("default", &format!("web-{hash}")), ..Default::default() };
    foreign.spec.replicas = Some(0);
    foreign.spec.selector.match_labels.insert("app".into(), "foreign".into());
    lab.create(foreign);
    lab.create(d);
    lab.settle();
    assert_eq!(lab.deployment("web").status.collision_count, Some(1));
    assert_eq!((lab.pods().len(), lab.store.world.replica_sets.len()), (2, 2));
}
