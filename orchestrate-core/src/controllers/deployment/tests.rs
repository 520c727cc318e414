//! Upstream's cases for proportional scaling, rolling steps and clean-up, as numbers.

use super::*;
use crate::objects::{DeploymentStrategy, ObjectMeta, RollingUpdate};

fn deployment(replicas: i32, surge: i32, unavailable: i32) -> Deployment {
    let mut d = Deployment { metadata: ObjectMeta::named("d", "foo"), ..Deployment::default() };
    d.spec.replicas = Some(replicas);
    let (max_surge, max_unavailable) = (Some(surge.into()), Some(unavailable.into()));
    let rolling = RollingUpdate { max_surge, max_unavailable, ..RollingUpdate::default() };
    d.spec.strategy = DeploymentStrategy { rolling_update: Some(rolling), ..DeploymentStrategy::default() };
    d
}

/// A set of a size with so many pods available; the version is its age too.
fn set(version: i64, size: i32, available: i32) -> ReplicaSet {
    let mut set = ReplicaSet { metadata: ObjectMeta::named("d", &format!("foo-v{version}")), ..ReplicaSet::default() };
    set.metadata.creation_timestamp = Some(Time::from_secs(version));
    set.spec.replicas = Some(size);
    set.status.available_replicas = available;
    set
}

/// Notes on a set what its size was made for.
fn sized_for(mut set: ReplicaSet, desired: i32, surge: i32) -> ReplicaSet {
    set.metadata.annotations.insert(DESIRED.into(), desired.to_string());
    set.metadata.annotations.insert(MAX.into(), (desired + surge).to_string());
    set
}

fn rollout(world: &World, deployment: Deployment, new: Option<ReplicaSet>, old: Vec<ReplicaSet>) -> Rollout<'_> {
    Rollout { world, now: Time(0), deployment, new, old, plan: Plan::default() }
}

/// Sizes from the oldest set to the newest; the last of `before` is the new one if `has_new`.
fn scaled(before: &[i32], has_new: bool, from: (i32, i32), to: (i32, i32)) -> Vec<i32> {
    let world = World::default();
    let mut sets: Vec<ReplicaSet> =
        (1..).zip(before).map(|(version, size)| sized_for(set(version, *size, 0), from.0, from.1)).collect();
    let new = if has_new { sets.pop() } else { None };
    let mut rollout = rollout(&world, deployment(to.0, to.1, 0), new, sets);
    rollout.scale();
    rollout.all().map(ReplicaSet::replicas).collect()
}

#[test]
fn proportional_scaling() {
    for (before, has_new, from, to, want) in [
        (vec![10], true, (10, 0), (12, 0), vec![12]),
        (vec![10], true, (10, 0), (5, 0), vec![5]),
        (vec![3, 2], true, (5, 0), (10, 0), vec![6, 4]),
        (vec![3, 2], true, (5, 0), (3, 0), vec![2, 1]),
        (vec![1, 8], true, (9, 0), (4, 0), vec![0, 4]),
        (vec![2, 3, 2], true, (7, 0), (10, 0), vec![3, 4, 3]),
        (vec![3, 8, 2], true, (13, 0), (8, 0), vec![2, 5, 1]),
        // What is left over goes to the newest when growing and comes from the oldest when shrinking.
        (vec![1, 1, 1], true, (3, 0), (4, 0), vec![1, 1, 2]),
        (vec![1, 1, 1], true, (3, 0), (2, 0), vec![0, 1, 1]),
        (vec![2, 2], false, (4, 0), (5, 0), vec![2, 3]),
        (vec![1, 2, 3], true, (6, 0), (0, 0), vec![0, 0, 0]),
        (vec![0, 0, 0], true, (6, 0), (6, 0), vec![0, 0, 6]),
        (vec![6, 6], true, (10, 2), (20, 2), vec![11, 11]),
        (vec![8, 5], true, (10, 3), (50, 6), vec![34, 22]),
        (vec![3, 7], false, (10, 0), (14, 0), vec![4, 10]),
        // A broken new set does not cost old pods.
        (vec![1, 2], true, (2, 1), (2, 1), vec![1, 2]),
    ] {
        assert_eq!(scaled(&before, has_new, from, to), want, "{before:?} {from:?} -> {to:?}");
    }
}

#[test]
fn a_set_that_missed_its_update_catches_up() {
    let world = World::default();
    let old = vec![sized_for(set(1, 1, 0), 5, 0), sized_for(set(2, 1, 0), 3, 0)];
    let mut rollout = rollout(&world, deployment(5, 0, 0), Some(sized_for(set(3, 2, 0), 5, 0)), old);
    rollout.scale();
    assert_eq!(rollout.all().map(ReplicaSet::replicas).collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn growing_the_new_set() {
    let world = World::default();
    for (surge, old, new, want) in [(0, 10, 0, 0), (2, 10, 0, 2), (2, 5, 0, 7), (2, 10, 2, 2), (2, 2, 11, 10)] {
        let mut rollout = rollout(&world, deployment(10, surge, 0), Some(set(2, new, 0)), vec![set(1, old, old)]);
        // Upstream's fencepost: surge and unavailability are never both zero.
        assert_eq!(rollout.grow_new(), want != new);
        assert_eq!(rollout.new.unwrap().replicas(), want, "surge {surge}, {old} old, {new} new");
    }
}

#[test]
fn shrinking_the_old_sets() {
    let world = World::default();
    for (unavailable, (old, old_ready), (new, new_ready), want) in [
        (0, (10, 10), (0, 0), 9),
        (2, (10, 10), (0, 0), 8),
        (2, (10, 8), (0, 0), 8),
        (2, (10, 9), (0, 0), 8),
        (2, (8, 8), (2, 0), 8),
        (2, (0, 0), (10, 10), 0),
    ] {
        let (old_set, new_set) = (set(1, old, old_ready), set(2, new, new_ready));
        let mut rollout = rollout(&world, deployment(10, 0, unavailable), Some(new_set), vec![old_set]);
        assert_eq!(rollout.shrink_old(), want != old);
        assert_eq!(rollout.old[0].replicas(), want, "{unavailable}: {old}/{old_ready} old, {new}/{new_ready} new");
    }
}

#[test]
fn unhealthy_pods_go_first_but_not_more_than_allowed() {
    let world = World::default();
    for (available, most, want) in [(8, 1, 9), (8, 3, 8), (8, 0, 10), (10, 3, 10)] {
        let mut rollout = rollout(&world, deployment(10, 2, 2), None, vec![set(1, 10, available)]);
        rollout.shrink_each(most, |s| (s.replicas() - s.status.available_replicas).max(0));
        assert_eq!(rollout.old[0].replicas(), want, "{available} available, at most {most}");
    }
}

#[test]
fn clean_up_deletes_only_settled_empty_sets() {
    let world = World::default();
    for (sizes, limit, want) in [
        (vec![(0, 0), (0, 0), (0, 0)], 1, 2),
        (vec![(0, 0), (0, 1), (1, 0), (1, 1)], 0, 1),
        (vec![(0, 0), (0, 0)], 0, 2),
        (vec![(1, 1), (1, 1)], 0, 0),
        (vec![(0, 0), (0, 0), (0, 0)], i32::MAX, 0),
    ] {
        let sets = (1..).zip(&sizes).map(|(version, (spec, status))| {
            let mut set = set(version, *spec, 0);
            set.status.replicas = *status;
            set
        });
        let mut d = deployment(1, 0, 0);
        d.spec.revision_history_limit = Some(limit);
        let mut rollout = rollout(&world, d, None, sets.collect());
        rollout.clean_up();
        assert_eq!(rollout.plan.actions.len(), want, "{sizes:?} with limit {limit}");
    }
}
