//! The sequential filter.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sketch::bloom::{
    BloomFilter, BloomView, BuildError, Mismatch, Shape, ShapeError, Verify,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{filter, hasher, hashes, is_within};

/// 2 M probes at fixed seeds: within three standard deviations of the exact
/// rate, and no more than a twentieth above it.
#[test]
fn the_rate_is_that_of_the_table() {
    for (rate, seed) in [(0.1, 1), (0.01, 2), (0.001, 3)] {
        let mut filter = filter(200_000, rate);
        hashes(seed).take(200_000).for_each(|hash| {
            filter.insert_hash(hash);
        });
        let probes = 2_000_000;
        let absent = hashes(seed + 100).take(probes);
        let hits = absent.filter(|hash| filter.may_contain_hash(*hash)).count() as u64;
        let exact = filter.shape().false_positives();
        assert!(is_within(3.0, hits, probes as u64, exact), "{rate}: {hits}");
        assert!(
            hits as f64 <= 1.05 * exact * probes as f64,
            "{rate}: {hits}"
        );
        let counted = filter.snapshot().false_positives();
        assert!(
            is_within(3.0, hits, probes as u64, counted),
            "{rate}: {hits}"
        );
    }
}

proptest! {
    #[test]
    fn no_key_is_ever_denied(
        keys in vec(any::<u64>(), 0..300),
        others in vec(any::<u64>(), 0..300),
        blocks in 1_u32..60,
        rate in 0.001..0.9,
    ) {
        let shape = Shape::for_items(100).blocks(blocks).unwrap();
        let mut filter = BloomFilter::new(shape, hasher()).unwrap();
        let mut other = filter.clone();
        for hash in &keys {
            filter.insert_hash(*hash);
        }
        other.insert_hashes(&others);
        let holds = |filter: &BloomFilter, hashes: &[u64]| {
            let mut answers = Vec::new();
            filter.may_contain_hashes(hashes, &mut answers);
            answers.len() == hashes.len()
                && answers.iter().all(|answer| *answer)
                && hashes.iter().all(|hash| filter.may_contain_hash(*hash))
        };
        prop_assert!(holds(&filter, &keys) && holds(&other, &others));

        filter.union(&other).unwrap();
        let all = [&keys[..], &others].concat();
        prop_assert!(holds(&filter, &all));

        let bytes = filter.to_bytes();
        let read = BloomFilter::from_bytes(&bytes).unwrap();
        prop_assert!(holds(&read, &all) && read.to_bytes() == bytes);
        let view = BloomView::new(&bytes, Verify::All).unwrap();
        prop_assert!(all.iter().all(|hash| view.may_contain_hash(*hash)));

        let folded = filter.clone().fold_to(rate).unwrap();
        prop_assert!(holds(&folded, &all));
        prop_assert!(folded.shape().blocks() == blocks || folded.snapshot().false_positives() <= rate);
    }

    #[test]
    fn a_union_and_a_fold_are_what_would_have_been_built(
        keys in vec(any::<u64>(), 0..100),
        others in vec(any::<u64>(), 0..100),
        folded in 1_u32..12,
        factor in 1_u32..8,
    ) {
        let built = |blocks, keys: &[u64]| {
            let shape = Shape::for_items(100).blocks(blocks).unwrap();
            let mut filter = BloomFilter::new(shape, hasher()).unwrap();
            filter.insert_hashes(keys);
            filter
        };
        let mut filter = built(folded * factor, &keys);
        filter.union(&built(folded * factor, &others)).unwrap();
        let all = [&keys[..], &others].concat();
        prop_assert_eq!(filter.to_bytes(), built(folded * factor, &all).to_bytes());

        // As small as it gets: nearly any rate will do.
        let filter = filter.fold_to(0.9).unwrap();
        let blocks = filter.shape().blocks();
        prop_assert_eq!(filter.to_bytes(), built(blocks, &all).to_bytes());
    }

    #[test]
    fn what_an_insertion_says_is_what_was_asked_before(
        keys in vec(any::<u64>(), 1..200),
        blocks in 1_u32..9,
    ) {
        let shape = Shape::for_items(1).blocks(blocks).unwrap();
        let mut filter = BloomFilter::new(shape, hasher()).unwrap();
        for hash in keys {
            let was_there = filter.may_contain_hash(hash);
            prop_assert_eq!(filter.insert_hash(hash), !was_there);
            prop_assert!(!filter.insert_hash(hash));
        }
        filter.clear();
        prop_assert!(filter.is_empty());
    }
}

#[test]
fn a_filter_folds_to_the_smallest_that_keeps_the_rate() {
    // Ten times the memory it takes, in a number with many divisors.
    let shape = Shape::for_items(10_000).blocks(4_200).unwrap();
    let mut filter = BloomFilter::new(shape, hasher()).unwrap();
    filter.insert_hashes(&hashes(7).take(10_000).collect::<Vec<_>>());
    let folded = filter.clone().fold_to(0.01).unwrap();
    assert_eq!(folded.shape().blocks(), 420);
    assert!(folded.snapshot().false_positives() <= 0.01);
    // What is too full already stays as it is.
    let same = folded.clone().fold_to(1e-6).unwrap();
    assert_eq!(same.shape().blocks(), 420);
    assert_eq!(folded.fold_to(2.0).unwrap_err(), ShapeError::Rate);
    let prime = Shape::for_items(9).blocks(101).unwrap();
    let divisible = prime.divisible_by(64.try_into().unwrap()).unwrap();
    assert_eq!(divisible.blocks(), 128);
}

#[test]
fn filters_that_differ_in_size_or_hash_are_not_united() {
    let shape = |blocks| Shape::for_items(10).blocks(blocks).unwrap();
    let of = |blocks, hasher| BloomFilter::new(shape(blocks), hasher).unwrap();
    let xxh3 = |seed| Hasher::new(Algorithm::Xxh3, seed);
    let mut filter = of(3, xxh3(Seed::fixed(1)));
    let refused = [
        (of(4, xxh3(Seed::fixed(1))), Mismatch::Shape),
        (of(3, xxh3(Seed::fixed(2))), Mismatch::Hasher),
        (of(3, xxh3(Seed::key([1; 16]))), Mismatch::Hasher),
        (
            of(3, Hasher::new(Algorithm::Xxh64, Seed::fixed(1))),
            Mismatch::Hasher,
        ),
    ];
    for (mut other, why) in refused {
        other.insert(b"a");
        assert_eq!(filter.union(&other), Err(why));
        assert!(filter.is_empty());
    }
}

#[test]
fn the_estimate_of_keys_is_within_its_error() {
    for items in [1, 10, 1_000, 50_000, 100_000, 250_000] {
        let mut filter = filter(100_000, 0.01);
        filter.insert_hashes(&hashes(items).take(items as usize).collect::<Vec<_>>());
        let snapshot = filter.snapshot();
        assert!(snapshot.len().is_about(items), "{snapshot}");
        assert_eq!(snapshot.is_overfull(), items > 110_000, "{snapshot}");
        // A bound that says something.
        let error = snapshot.len().standard_error();
        assert!(error < 0.02 * items as f64 + 2.0, "{snapshot}");
    }
}

#[test]
fn a_snapshot_prints_for_people() {
    let mut filter = filter(1000, 0.01);
    assert!(filter.snapshot().is_empty());
    (0..1200_u64).for_each(|key| {
        filter.insert(&key.to_le_bytes());
    });
    assert_eq!(
        filter.snapshot().to_string(),
        "1210 \u{b1} 27 of 1000 items, 59.347 % full at 1.3 KiB: 2.415 % false positives, OVERFULL"
    );
}

#[test]
fn a_hash_of_fewer_bits_is_refused() {
    let shape = Shape::for_items(1).blocks(1).unwrap();
    let narrow = Hasher::new(Algorithm::Crc32, Seed::fixed(0));
    let refused = BloomFilter::new(shape, narrow).unwrap_err();
    assert_eq!(refused, BuildError::NarrowHash(Algorithm::Crc32));
}
