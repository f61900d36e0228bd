//! What a change moves, and what it does not.

use axiomatic_placement::consistent_hash::{MAX_SHARDS, NumberedShards, ShardSet, ShardsError};
use proptest::prelude::*;

use super::{by_lot, hashes, jump, jump_back};

/// For each number of shards below 200, each of these keys stays or moves to
/// the new one.
fn grows_monotonously<S: NumberedShards>(shards: impl Fn(u32) -> S) {
    let keys: Vec<u64> = hashes(21).take(5_000).collect();
    let mut owners: Vec<u32> = keys.iter().map(|key| shards(1).owner(*key)).collect();
    assert!(owners.iter().all(|owner| *owner == 0));
    for new in 1..200 {
        let grown = shards(new + 1);
        let mut moved = 0;
        for (key, owner) in keys.iter().zip(&mut owners) {
            let now = grown.owner(*key);
            assert!(now == *owner || now == new, "{owner} to {now}, not {new}");
            moved += u32::from(now != *owner);
            *owner = now;
        }
        assert!(moved > 0, "shard {new} is given no key");
    }
}

#[test]
fn a_new_last_shard_of_jump_back_takes_keys_and_no_key_goes_elsewhere() {
    grows_monotonously(jump_back);
}

#[test]
fn a_new_last_shard_of_jump_takes_keys_and_no_key_goes_elsewhere() {
    grows_monotonously(jump);
}

/// As hash4j's tests do: the owner is the shard that the key was moved to
/// last, so with shards up to it, it is the owner, and without it, one before.
fn is_monotonous_when_large<S: NumberedShards>(shards: impl Fn(u32) -> S) {
    let powers = (27..31).map(|exponent| 1u32 << exponent);
    let sizes = powers.flat_map(|power| [power - 1, power, power + 1, power + power / 2]);
    for size in sizes.chain([MAX_SHARDS - 1, MAX_SHARDS]) {
        for hash in hashes(size.into()).take(2_000) {
            let owner = shards(size).owner(hash);
            assert!(owner < size);
            assert_eq!(shards(owner + 1).owner(hash), owner);
            if owner > 0 {
                assert!(shards(owner).owner(hash) < owner);
            }
        }
    }
}

#[test]
fn large_numbers_of_shards_are_as_monotonous_as_small_ones() {
    is_monotonous_when_large(jump_back);
    is_monotonous_when_large(jump);
}

#[test]
fn each_shard_of_a_set_may_leave_and_only_its_keys_move_and_come_back() {
    let keys: Vec<u64> = hashes(22).take(2_000).collect();
    for capacity in 2..40 {
        for working in [2, capacity / 2, capacity - 1, capacity] {
            let set = by_lot(working.max(2), capacity, 23);
            for gone in set.shards() {
                let rest = set.without(gone).unwrap();
                for key in &keys {
                    let (before, after) = (set.owner(*key), rest.owner(*key));
                    assert_ne!(after, gone);
                    assert!(before == gone || before == after);
                }
                assert_eq!(rest.with(gone).unwrap(), set);
            }
        }
    }
}

#[test]
fn a_set_that_is_there_already_is_what_it_was() {
    let set = ShardSet::of(100, [3, 70]).unwrap();
    assert_eq!(set.with(3).unwrap(), set);
    assert_eq!(set.without(4).unwrap(), set);
    assert_eq!(set.without(100).unwrap(), set);
    assert_eq!(set.count(), 2);
    assert_eq!(set.shards().collect::<Vec<_>>(), [3, 70]);
    assert!(set.contains(70) && !set.contains(71) && !set.contains(100));
    assert_eq!(
        format!("{set:?}"),
        "ShardSet { working: 2, capacity: 100, .. }"
    );
}

#[test]
fn a_set_is_never_empty_nor_beyond_its_capacity() {
    let beyond = |shard| {
        let capacity = 4;
        Err(ShardsError::BeyondCapacity { shard, capacity })
    };
    let many = MAX_SHARDS + 1;
    assert_eq!(ShardSet::of(4, []), Err(ShardsError::Empty));
    assert_eq!(ShardSet::of(4, [3, 4]), beyond(4));
    assert_eq!(ShardSet::of(0, []), Err(ShardsError::Empty));
    assert_eq!(ShardSet::full(0), Err(ShardsError::Empty));
    assert_eq!(ShardSet::full(many), Err(ShardsError::TooMany(many)));
    assert_eq!(ShardSet::of(many, [1]), Err(ShardsError::TooMany(many)));
    let last = ShardSet::of(4, [3]).unwrap();
    assert_eq!(last.with(4), beyond(4));
    assert_eq!(last.without(3), Err(ShardsError::Empty));
    for capacity in [1, 63, 64, 65, 128] {
        let full = ShardSet::full(capacity).unwrap();
        assert_eq!(full, ShardSet::of(capacity, 0..capacity).unwrap());
        assert_eq!(full.count(), capacity);
        assert_eq!(full.capacity(), capacity);
    }
}

proptest! {
    /// Both ways: the set without the shard, and the one with it again. The
    /// capacities have sets in which the draws mostly hit, and in which they
    /// mostly miss.
    #[test]
    fn only_keys_of_the_changed_shard_move(
        capacity in prop_oneof![2u32..40, 40u32..5000],
        working in 2u32..40,
        seed: u64,
        which: prop::sample::Index,
        hash: u64,
    ) {
        let set = by_lot(working.min(capacity), capacity, seed);
        let shards: Vec<u32> = set.shards().collect();
        let gone = *which.get(&shards);
        let rest = set.without(gone).unwrap();
        for hash in hashes(hash).take(200).chain([hash]) {
            let (more, fewer) = (set.owner(hash), rest.owner(hash));
            prop_assert!(set.contains(more));
            prop_assert!(rest.contains(fewer));
            prop_assert!(more == gone || more == fewer);
        }
    }

    /// The answer depends on which shards work, and not on how it came to be.
    #[test]
    fn the_order_of_departures_does_not_matter(
        order in Just((0u32..60).collect::<Vec<_>>()).prop_shuffle(),
        gone in 1usize..60,
        hash: u64,
    ) {
        let (gone, rest) = order.split_at(gone);
        let mut set = ShardSet::full(60).unwrap();
        for shard in gone {
            set = set.without(*shard).unwrap();
        }
        let made = ShardSet::of(60, rest.iter().copied()).unwrap();
        prop_assert_eq!(&set, &made);
        prop_assert_eq!(set.owner(hash), made.owner(hash));
    }
}
