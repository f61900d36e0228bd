//! Whom to ask next.

use axiomatic_placement::consistent_hash::{MAX_SHARDS, NumberedShards, ShardSet};
use proptest::prelude::*;

use super::{by_lot, hashes, jump, jump_back};

/// All of them, each once, the owner first.
#[track_caller]
fn are_complete(shards: &impl NumberedShards, numbers: &[u32], hash: u64) {
    let mut candidates: Vec<u32> = shards.candidates(hash).collect();
    assert_eq!(candidates[0], shards.owner(hash));
    assert_eq!(candidates.len(), shards.count() as usize);
    candidates.sort_unstable();
    assert_eq!(candidates, numbers);
}

#[test]
fn all_shards_are_candidates_once_and_the_owner_is_the_first() {
    for shards in (1..40).chain([63, 64, 100, 1000]) {
        let numbers: Vec<u32> = (0..shards).collect();
        for hash in hashes(31).take(50).chain([0, u64::MAX]) {
            are_complete(&jump_back(shards), &numbers, hash);
            are_complete(&jump(shards), &numbers, hash);
            are_complete(&ShardSet::full(shards).unwrap(), &numbers, hash);
        }
    }
}

#[test]
fn all_shards_of_a_set_with_holes_are_candidates_once_and_the_owner_is_the_first() {
    for (working, capacity) in [
        (1, 64),
        (1, 5000),
        (3, 4096),
        (40, 4096),
        (300, 301),
        (999, 2000),
    ] {
        let set = by_lot(working, capacity, 32);
        let numbers: Vec<u32> = set.shards().collect();
        for hash in hashes(33).take(50).chain([0, u64::MAX]) {
            are_complete(&set, &numbers, hash);
        }
    }
}

#[test]
fn candidates_are_found_as_they_are_asked_for() {
    // All of them would not end before the test does.
    for hash in hashes(34).take(100) {
        let of_jump_back: Vec<u32> = jump_back(MAX_SHARDS).candidates(hash).take(100).collect();
        let of_jump: Vec<u32> = jump(MAX_SHARDS).candidates(hash).take(100).collect();
        for candidates in [of_jump_back, of_jump] {
            assert_eq!(candidates.len(), 100);
            assert!(candidates.iter().all(|shard| *shard < MAX_SHARDS));
        }
    }
}

#[test]
fn candidates_that_have_ended_have_ended_for_good() {
    let set = by_lot(3, 4096, 35);
    for hash in hashes(36).take(20) {
        let (three, sets) = (jump_back(3), &set);
        let (mut one, mut other) = (three.candidates(hash), sets.candidates(hash));
        assert_eq!(one.by_ref().count(), 3);
        assert_eq!(other.by_ref().count(), 3);
        assert_eq!((one.next(), one.next()), (None, None));
        assert_eq!((other.next(), other.next()), (None, None));
    }
}

/// Each of the first three draws moves with a probability of 1/101, and
/// seldom a fourth is needed.
#[test]
fn a_new_shard_seldom_changes_the_first_candidates() {
    fn changed(before: &impl NumberedShards, after: &impl NumberedShards) -> usize {
        let changed = |hash: &u64| {
            let before = before.candidates(*hash).take(3);
            !before.eq(after.candidates(*hash).take(3))
        };
        hashes(37).take(20_000).filter(changed).count()
    }
    let expected = 20_000 * 3 / 101;
    for changed in [
        changed(&jump_back(100), &jump_back(101)),
        changed(&jump(100), &jump(101)),
    ] {
        // Its standard deviation is 24.
        assert!(changed.abs_diff(expected) < 100, "{changed} of {expected}");
    }
}

proptest! {
    #[test]
    fn without_a_shard_the_candidates_are_the_same_without_it(
        capacity in prop_oneof![2u32..40, 40u32..5000],
        working in 2u32..400,
        seed: u64,
        which: prop::sample::Index,
        hash: u64,
    ) {
        let set = by_lot(working.min(capacity), capacity, seed);
        let mut candidates: Vec<u32> = set.candidates(hash).collect();
        let gone = candidates.remove(which.index(candidates.len()));
        let rest: Vec<u32> = set.without(gone).unwrap().candidates(hash).collect();
        prop_assert_eq!(rest, candidates);
    }
}
