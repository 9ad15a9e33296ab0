//! The decision: a pure function of what is there.

use super::{Inventory, RetentionPolicy, SegmentListing, SegmentPolicy};
use crate::format::Lsn;
use crate::segment::{FIRST_NUMBER, segment_name, spare_name};
use crate::snapshot::snapshot_name;

/// One step. The steps of a plan are done in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Copy the file of this name to the archive, durably.
    Archive(String),
    /// Remove the file of this name.
    Remove(String),
    /// Make the segment of this number a spare.
    Recycle(u64),
}

/// What may go, and in which order: see the [module](super)'s rules. `now_ms` is ms
/// since the epoch.
pub fn plan(inventory: &Inventory, policy: &RetentionPolicy, now_ms: u64) -> Vec<Action> {
    let mut actions = Vec::new();
    let spares = plan_spares(inventory, policy, &mut actions);
    let readable = inventory.snapshots.iter().filter(|snapshot| snapshot.head.is_some()).count();
    let kept = kept_snapshots(inventory, policy, now_ms);
    let Some(&oldest) = kept.first() else { return actions };
    let is_archived = matches!(policy.segments, SegmentPolicy::Archive(_));
    for snapshot in &inventory.snapshots {
        let is_readable_or_old = snapshot.head.is_some() || snapshot.lsn < oldest;
        if snapshot.lsn > Lsn(0) && !kept.contains(&snapshot.lsn) && is_readable_or_old {
            actions.push(Action::Remove(snapshot.name.clone()));
        }
    }
    let mut left = inventory.segments.as_slice();
    if readable >= policy.keep_snapshots.max(1) && policy.segments != SegmentPolicy::Keep {
        let going = going_segments(inventory, policy, oldest, now_ms);
        left = &inventory.segments[going.len()..];
        plan_segments(going, policy, spares, &mut actions);
    }
    let first_stays = left.first().is_some_and(|segment| segment.number == FIRST_NUMBER);
    let begins = inventory.snapshots.first().is_some_and(|snapshot| snapshot.lsn == Lsn(0));
    if begins && oldest > Lsn(0) && !first_stays && !left.is_empty() {
        let name = snapshot_name(Lsn(0));
        if is_archived {
            actions.push(Action::Archive(name.clone()));
        }
        actions.push(Action::Remove(name));
    }
    actions
}

/// The records of the snapshots that the policy keeps, oldest first. One whose header cannot be read
/// does not count.
fn kept_snapshots(inventory: &Inventory, policy: &RetentionPolicy, now_ms: u64) -> Vec<Lsn> {
    let heads: Vec<_> = inventory.snapshots.iter().filter_map(|found| found.head).collect();
    let newest = heads.len().saturating_sub(policy.keep_snapshots.max(1));
    let is_young = |created_ms: u64| now_ms.saturating_sub(created_ms) < policy.keep_snapshots_ms;
    let kept = heads.iter().enumerate();
    let kept = kept.filter(|(index, head)| *index >= newest || is_young(head.created_ms));
    kept.map(|(_, head)| head.lsn).collect()
}

/// The segments that may go: a prefix.
fn going_segments<'a>(
    inventory: &'a Inventory,
    policy: &RetentionPolicy,
    oldest: Lsn,
    now_ms: u64,
) -> &'a [SegmentListing] {
    let segments = inventory.segments.as_slice();
    // Strictly: the next segment's first record must itself be in the snapshot, see the rules.
    let is_covered = |pair: &&[SegmentListing]| pair[1].first.is_some_and(|(lsn, _)| lsn <= oldest);
    let covered = segments.windows(2).take_while(is_covered).count();
    // A segment's last record is no younger than the first of the next.
    let is_old = |pair: &&[SegmentListing]| {
        let ended_ms = pair[1].first.map_or(now_ms, |(_, time_ms)| time_ms);
        now_ms.saturating_sub(ended_ms) >= policy.keep_segments_ms
    };
    let old = segments.windows(2).take_while(is_old).count();
    &segments[..old.min(covered.saturating_sub(policy.keep_segments))]
}

/// Spares that are too many, or of another length, go. Returns how many there are then.
fn plan_spares(
    inventory: &Inventory,
    policy: &RetentionPolicy,
    actions: &mut Vec<Action>,
) -> usize {
    let mut spares = 0;
    for spare in &inventory.spares {
        if spare.length_bytes == policy.segment_bytes && spares < policy.spares {
            spares += 1;
        } else {
            actions.push(Action::Remove(spare_name(spare.number)));
        }
    }
    spares
}

fn plan_segments(
    going: &[SegmentListing],
    policy: &RetentionPolicy,
    mut spares: usize,
    actions: &mut Vec<Action>,
) {
    for segment in going {
        if matches!(policy.segments, SegmentPolicy::Archive(_)) {
            actions.push(Action::Archive(segment_name(segment.number)));
        }
        if segment.length_bytes == policy.segment_bytes && spares < policy.spares {
            spares += 1;
            actions.push(Action::Recycle(segment.number));
        } else {
            actions.push(Action::Remove(segment_name(segment.number)));
        }
    }
}
