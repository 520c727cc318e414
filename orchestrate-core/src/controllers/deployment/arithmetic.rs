//! How many pods a Deployment may have, must have, and gives to each of its ReplicaSets. Numbers only.

use crate::objects::{Deployment, IntOrString, ReplicaSet, StrategyKind};

/// Resolves surge (rounded up) and unavailability (rounded down) against the wanted number; never both zero.
/// What cannot be read counts as zero.
pub fn resolve_fenceposts(surge: &IntOrString, unavailable: &IntOrString, desired: i32) -> (i32, i32) {
    let surge = surge.scaled(desired, true).unwrap_or_default().max(0);
    let unavailable = unavailable.scaled(desired, false).unwrap_or_default().max(0);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

pub(super) fn is_rolling(d: &Deployment) -> bool {
    d.spec.strategy.kind != Some(StrategyKind::Recreate)
}

fn fenceposts(d: &Deployment) -> (i32, i32) {
    let quarter = || IntOrString::from("25%");
    let rolling = d.spec.strategy.rolling_update.clone().unwrap_or_default();
    let surge = rolling.max_surge.unwrap_or_else(quarter);
    let unavailable = rolling.max_unavailable.unwrap_or_else(quarter);
    resolve_fenceposts(&surge, &unavailable, d.replicas())
}

pub(super) fn max_surge(d: &Deployment) -> i32 {
    if is_rolling(d) { fenceposts(d).0 } else { 0 }
}

pub(super) fn max_unavailable(d: &Deployment) -> i32 {
    if is_rolling(d) && d.replicas() > 0 { fenceposts(d).1.min(d.replicas()) } else { 0 }
}

/// The size that the new ReplicaSet may grow to now, given all current sizes.
pub(super) fn new_set_size(d: &Deployment, current_total: i32, new_set: i32) -> i32 {
    if !is_rolling(d) {
        return d.replicas();
    }
    let limit = d.replicas().saturating_add(max_surge(d));
    if current_total >= limit {
        return new_set;
    }
    new_set + (limit - current_total).min(d.replicas() - new_set)
}

/// The part of `to_add` (may be negative) that one set takes when a Deployment is scaled in the middle of a rollout.
/// `max_before` is the largest total size before scaling.
pub(super) fn proportion(set: &ReplicaSet, d: &Deployment, max_before: i32, to_add: i32, added: i32) -> i32 {
    if set.replicas() == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(set, d, max_before);
    let allowed = to_add - added;
    if to_add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
}

fn fraction(set: &ReplicaSet, d: &Deployment, max_before: i32) -> i32 {
    if d.replicas() == 0 || max_before <= 0 {
        return -set.replicas();
    }
    let max_now = i64::from(d.replicas()) + i64::from(max_surge(d));
    let before = i64::from(max_before);
    let rounded = (2 * i64::from(set.replicas()) * max_now + before) / (2 * before);
    i32::try_from(rounded).unwrap_or(i32::MAX) - set.replicas()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fencepost_rounding() {
        for (surge, unavailable, desired, want) in [
            ("25%", "25%", 1, (1, 0)),
            ("25%", "25%", 2, (1, 0)),
            ("25%", "25%", 4, (1, 1)),
            ("25%", "25%", 10, (3, 2)),
            ("0%", "0%", 10, (0, 1)),
            ("0%", "10%", 5, (0, 1)),
            ("100%", "0%", 3, (3, 0)),
            ("nonsense", "50%", 4, (0, 2)),
        ] {
            assert_eq!(
                resolve_fenceposts(&surge.into(), &unavailable.into(), desired),
                want,
                "{surge} {unavailable} of {desired}"
            );
        }
        assert_eq!(resolve_fenceposts(&1.into(), &0.into(), 0), (1, 0));
    }
}
