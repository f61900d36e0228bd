//! The filters that threads insert into at the same time.

use std::sync::Barrier;

use axiomatic_sketch::bloom::{AtomicBloomFilter, AtomicWordFilter, BloomFilter, WordShape};

use crate::support::{filter, hasher, hashes, is_within};

const THREADS: usize = 4;

fn shared(items: u64, rate: f64) -> AtomicBloomFilter {
    filter(items, rate).thaw()
}

fn words(items: u64, rate: f64) -> AtomicWordFilter {
    let shape = WordShape::for_items(items).false_positives(rate).unwrap();
    AtomicWordFilter::new(shape, hasher()).unwrap()
}

/// What each of some threads answers, which begin together.
fn together<T: Send>(of: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let all = Barrier::new(THREADS);
    let of = |thread| {
        all.wait();
        of(thread)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || of(thread)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

#[test]
fn no_key_that_threads_insert_together_is_lost() {
    let keys: Vec<u64> = hashes(1).take(20_000).collect();
    let (blocks, words) = (shared(20_000, 0.01), words(20_000, 0.01));
    // Each begins elsewhere, so that they meet in words but not at keys.
    together(|thread| {
        let (before, from) = keys.split_at(thread * keys.len() / THREADS);
        for hash in from.iter().chain(before) {
            blocks.insert_hash(*hash);
            words.insert_hash(*hash);
            // Their own they find at once.
            assert!(blocks.may_contain_hash(*hash) && words.may_contain_hash(*hash));
        }
    });
    let mut answers = Vec::new();
    blocks.may_contain_hashes(&keys, &mut answers);
    assert!(answers.iter().all(|found| *found) && answers.len() == keys.len());
    words.may_contain_hashes(&keys, &mut answers);
    assert!(answers.iter().all(|found| *found) && answers.len() == keys.len());
    // Nor is there a bit too many.
    let mut alone = filter(20_000, 0.01);
    alone.insert_hashes(&keys);
    assert_eq!(blocks.snapshot().fill(), alone.snapshot().fill());
}

/// All threads insert the same keys in the same order. Answers by key, how
/// many of them were told "new".
fn winners(keys: &[u64], insert: impl Fn(u64) -> bool + Sync) -> Vec<usize> {
    let told = together(|_| keys.iter().map(|hash| insert(*hash)).collect::<Vec<_>>());
    let of = |key: usize| told.iter().filter(|told| told[key]).count();
    (0..keys.len()).map(of).collect()
}

#[test]
fn of_threads_that_insert_a_fresh_key_into_a_word_exactly_one_wins() {
    let mut lost = 0;
    for seed in 0..20 {
        let keys: Vec<u64> = hashes(seed).take(10_000).collect();
        let filter = words(10_000, 0.01);
        let winners = winners(&keys, |hash| filter.insert_hash(hash));
        for (key, winners) in winners.iter().enumerate() {
            assert!(*winners <= 1, "{winners} winners of {}", keys[key]);
            if *winners == 0 {
                // Then the bits of the others have all of its own.
                lost += 1;
                let others = AtomicWordFilter::new(filter.shape(), hasher()).unwrap();
                keys.iter()
                    .filter(|hash| **hash != keys[key])
                    .for_each(|hash| {
                        others.insert_hash(*hash);
                    });
                assert!(others.may_contain_hash(keys[key]));
            }
        }
    }
    // The mean rate while it fills is a fifth of the last one.
    assert!((100..1000).contains(&lost), "{lost} of 200000");
}

#[test]
fn of_threads_that_insert_a_fresh_key_into_a_block_one_at_least_is_told_new() {
    for seed in 0..20 {
        let keys: Vec<u64> = hashes(seed).take(10_000).collect();
        let filter = shared(10_000, 0.01);
        let winners = winners(&keys, |hash| filter.insert_hash(hash));
        for (key, _) in winners.iter().enumerate().filter(|(_, all)| **all == 0) {
            let mut others = BloomFilter::new(filter.shape(), hasher()).unwrap();
            keys.iter()
                .filter(|hash| **hash != keys[key])
                .for_each(|hash| {
                    others.insert_hash(*hash);
                });
            assert!(others.may_contain_hash(keys[key]));
        }
    }
}

/// 2 M probes at fixed seeds: within three standard deviations of the exact
/// rate, and no more than a tenth above it.
#[test]
fn the_rate_of_single_words_is_the_exact_one() {
    for (bits, bits_per_key, seed) in [(7.0, 4, 1), (12.0, 5, 2), (16.0, 6, 3), (20.0, 7, 4)] {
        let shape = WordShape::for_items(200_000).bits_per_item(bits).unwrap();
        assert_eq!(shape.bits_per_key(), bits_per_key);
        let filter = AtomicWordFilter::new(shape, hasher()).unwrap();
        hashes(seed).take(200_000).for_each(|hash| {
            filter.insert_hash(hash);
        });
        let probes = 2_000_000;
        let absent = hashes(seed + 100).take(probes);
        let hits = absent.filter(|hash| filter.may_contain_hash(*hash)).count() as u64;
        let exact = shape.false_positives();
        assert!(is_within(3.0, hits, probes as u64, exact), "{bits}: {hits}");
        assert!(hits as f64 <= 1.1 * exact * probes as f64, "{bits}: {hits}");
        let counted = filter.snapshot().false_positives();
        assert!(
            is_within(3.0, hits, probes as u64, counted),
            "{bits}: {hits}"
        );
    }
}

/// Its error is that which it says: over many filters the squares of the
/// deviations, in standard errors, have a mean of 1.
#[test]
fn how_many_keys_there_are_in_words_is_estimated_with_its_error() {
    for items in [500_u64, 5_000, 20_000] {
        let (mut sum, mut squares, rounds) = (0.0, 0.0, 400);
        let shape = words(5_000, 0.01).shape();
        for seed in 0..rounds {
            let filter = AtomicWordFilter::new(shape, hasher()).unwrap();
            hashes(seed).take(items as usize).for_each(|hash| {
                filter.insert_hash(hash);
            });
            let len = filter.snapshot().len();
            let deviation = (len.value() - items as f64) / len.standard_error();
            sum += deviation;
            squares += deviation * deviation;
        }
        let (mean, square) = (sum / rounds as f64, squares / rounds as f64);
        assert!(mean.abs() < 0.25, "{items}: {mean}");
        assert!((0.75..1.25).contains(&square), "{items}: {square}");
    }
}

#[test]
fn a_snapshot_of_words_says_how_full_they_are() {
    let filter = words(1_000, 0.01);
    let snapshot = filter.snapshot();
    assert!(snapshot.is_empty() && snapshot.len().is_about(0));
    assert!(snapshot.to_string().starts_with("0 \u{b1} 0 of 1000 items"));
    assert_eq!(snapshot.bytes(), filter.shape().bytes());
    hashes(1).take(2_000).for_each(|hash| {
        filter.insert_hash(hash);
    });
    let snapshot = filter.snapshot();
    assert!(!snapshot.is_empty() && snapshot.is_overfull());
    assert_eq!(snapshot.items(), 1_000);
    assert!(snapshot.to_string().ends_with("false positives, OVERFULL"));
    let exact = filter.shape().false_positives_at(2_000);
    let counted = snapshot.false_positives();
    assert!((0.7..1.4).contains(&(counted / exact)), "{snapshot}");
}

#[test]
fn a_filter_whose_bits_are_all_set_may_hold_any_number_of_keys() {
    let (mut blocks, words) = (filter(10, 0.1), words(10, 0.5));
    hashes(1).take(100_000).for_each(|hash| {
        blocks.insert_hash(hash);
        words.insert_hash(hash);
    });
    for full in [blocks.snapshot(), words.snapshot()] {
        assert_eq!((full.fill(), full.false_positives()), (1.0, 1.0));
        assert!(full.is_overfull() && full.len().is_about(u64::MAX));
        assert!(full.to_string().starts_with("inf \u{b1} inf of 10 items"));
    }
}

#[test]
fn a_batch_is_answered_as_one_by_one() {
    let (blocks, words) = (shared(1_000, 0.05), words(1_000, 0.05));
    let keys: Vec<u64> = hashes(1).take(1_000).collect();
    blocks.insert_hashes(&keys);
    keys.iter().for_each(|hash| {
        words.insert_hash(*hash);
    });
    for many in [0, 1, 31, 32, 33, 1_000] {
        let asked: Vec<u64> = hashes(2).take(many).collect();
        let mut answers = vec![true; 5];
        blocks.may_contain_hashes(&asked, &mut answers);
        let single = asked.iter().map(|hash| blocks.may_contain_hash(*hash));
        assert!(answers.iter().copied().eq(single));
        words.may_contain_hashes(&asked, &mut answers);
        let single = asked.iter().map(|hash| words.may_contain_hash(*hash));
        assert!(answers.iter().copied().eq(single));
    }
}

#[test]
fn keys_are_hashed_by_the_hasher() {
    let (blocks, words) = (shared(100, 0.01), words(100, 0.01));
    assert!(blocks.insert(b"key") && words.insert(b"key"));
    assert!(!blocks.insert(b"key") && !words.insert(b"key"));
    let hash = hasher().hash(b"key");
    assert!(blocks.may_contain_hash(hash) && words.may_contain_hash(hash));
    assert!(blocks.may_contain(b"key") && words.may_contain(b"key"));
    assert!(!blocks.may_contain(b"yek") && !words.may_contain(b"yek"));
    assert_eq!((blocks.hasher(), words.hasher()), (hasher(), hasher()));
}
