//! Balance is exact: what differs from it is chance, by Pearson's chi-square.

use axiomatic_placement::consistent_hash::{NumberedShards, ShardSet};

use super::{by_lot, hashes, jump, jump_back};

const KEYS_A_SHARD: u64 = 20_000;

/// About powers of two, where the algorithms that are biased are so most.
const SIZES: [u32; 11] = [3, 5, 9, 17, 33, 65, 129, 257, 1000, 1023, 1025];

/// By how many standard deviations the chi-square of the shards' keys is
/// above what it is by chance. A bias has it grow with the number of keys.
fn deviation(shards: &[u32], seed: u64, owner: impl Fn(u64) -> Option<u32>) -> f64 {
    let keys = KEYS_A_SHARD * shards.len() as u64;
    let numbers = shards.iter().max().map_or(0, |last| *last as usize + 1);
    let mut counts = vec![0u64; numbers];
    let owned = hashes(seed).filter_map(owner).take(keys as usize);
    owned.for_each(|shard| counts[shard as usize] += 1);

    let counts: Vec<u64> = shards.iter().map(|shard| counts[*shard as usize]).collect();
    let kept: u64 = counts.iter().sum();
    assert_eq!(kept, keys, "a key is owned by a shard that there is not");
    crate::support::deviation(&counts, |_| KEYS_A_SHARD as f64)
}

#[track_caller]
fn is_balanced(shards: &impl NumberedShards, numbers: &[u32], seed: u64) {
    let z = deviation(numbers, seed, |hash| Some(shards.owner(hash)));
    assert!(z.abs() < 4.0, "z = {z} at {} shards", numbers.len());
}

#[test]
fn jump_back_is_balanced_as_by_chance() {
    for shards in SIZES {
        let numbers: Vec<u32> = (0..shards).collect();
        is_balanced(&jump_back(shards), &numbers, 1);
    }
}

#[test]
fn jump_is_balanced_as_by_chance() {
    for shards in SIZES {
        let numbers: Vec<u32> = (0..shards).collect();
        is_balanced(&jump(shards), &numbers, 2);
    }
}

#[test]
fn a_set_is_balanced_as_by_chance_when_every_second_shard_is_out() {
    for shards in SIZES {
        let numbers: Vec<u32> = (0..shards).map(|shard| 2 * shard).collect();
        let set = ShardSet::of(2 * shards, numbers.iter().copied()).unwrap();
        is_balanced(&set, &numbers, 3);
    }
}

#[test]
fn a_set_is_balanced_as_by_chance_when_shards_are_out_by_lot() {
    for shards in SIZES {
        let set = by_lot(shards, 2 * shards, 4);
        let numbers: Vec<u32> = set.shards().collect();
        is_balanced(&set, &numbers, 5);
    }
}

#[test]
fn a_set_is_balanced_as_by_chance_when_all_work_or_the_second_half_is_out() {
    for shards in [3, 9, 65, 1025] {
        let numbers: Vec<u32> = (0..shards).collect();
        is_balanced(&ShardSet::full(shards).unwrap(), &numbers, 6);
        let half = ShardSet::of(2 * shards, 0..shards).unwrap();
        is_balanced(&half, &numbers, 7);
    }
}

#[test]
fn a_set_is_balanced_as_by_chance_where_most_draws_miss() {
    // At 3 of 4096 the draws all miss for five keys in six, at 17 for one in
    // three.
    for shards in [3, 17] {
        let set = by_lot(shards, 4096, 8);
        let numbers: Vec<u32> = set.shards().collect();
        is_balanced(&set, &numbers, 9);
    }
}

#[test]
fn the_keys_of_a_shard_that_leaves_are_spread_evenly_over_the_others() {
    let set = by_lot(17, 34, 10);
    let gone = set.shards().nth(8).unwrap();
    let rest = set.without(gone).unwrap();
    let numbers: Vec<u32> = rest.shards().collect();
    let z = deviation(&numbers, 11, |hash| {
        (set.owner(hash) == gone).then(|| rest.owner(hash))
    });
    assert!(z.abs() < 4.0, "z = {z}");
}

#[test]
fn the_second_candidates_of_a_shards_keys_are_spread_evenly_over_the_others() {
    let others: Vec<u32> = (0..17).filter(|shard| *shard != 5).collect();
    fn second_after_five(shards: &impl NumberedShards, hash: u64) -> Option<u32> {
        let mut candidates = shards.candidates(hash);
        (candidates.next() == Some(5)).then(|| candidates.next())?
    }
    let z = deviation(&others, 12, |hash| second_after_five(&jump_back(17), hash));
    assert!(z.abs() < 4.0, "z = {z}");
    let z = deviation(&others, 13, |hash| second_after_five(&jump(17), hash));
    assert!(z.abs() < 4.0, "z = {z}");
    let set = ShardSet::full(17).unwrap();
    let z = deviation(&others, 14, |hash| second_after_five(&set, hash));
    assert!(z.abs() < 4.0, "z = {z}");
}

#[test]
fn the_highest_bit_of_a_hash_does_not_just_turn_its_draws_around() {
    // They would be turned by 8, from one of these to the other.
    let set = ShardSet::of(16, [0, 8]).unwrap();
    let differ = |hash: &u64| set.owner(*hash) != set.owner(hash ^ (1 << 63));
    let differing = hashes(17).take(10_000).filter(differ).count();
    // Half of them, with a standard deviation of 50.
    assert!(differing.abs_diff(5000) < 250, "{differing}");
}

#[test]
fn a_modulo_of_too_few_bits_is_found_out() {
    let numbers: Vec<u32> = (0..1000).collect();
    let z = deviation(&numbers, 15, |hash| Some((hash >> 48) as u32 % 1000));
    assert!(z > 4.0, "z = {z}");
}

#[test]
fn a_cap_of_four_tries_is_found_out_above_a_power_of_two() {
    // As published code of BinomialHash does: draw below the next power of
    // two, four times at most, then below the one before.
    let capped = |hash: u64| {
        let tries = (0..4).map(|at| (hash >> (8 * at)) as u32 & 7);
        let found = tries.clone().find(|drawn| *drawn < 5);
        found.unwrap_or((hash >> 32) as u32 & 3)
    };
    let numbers: Vec<u32> = (0..5).collect();
    let z = deviation(&numbers, 16, |hash| Some(capped(hash)));
    assert!(z > 4.0, "z = {z}");
}
