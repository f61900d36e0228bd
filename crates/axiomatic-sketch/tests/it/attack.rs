//! Keys chosen by somebody who knows how the filter works.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sketch::bloom::{BloomFilter, Shape};

use crate::support::is_within;

const KEYS: usize = 1_000_000;

fn filter(hasher: Hasher, rate: f64) -> BloomFilter {
    let shape = Shape::for_items(KEYS as u64).false_positives(rate).unwrap();
    BloomFilter::new(shape, hasher).unwrap()
}

fn public() -> Hasher {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0))
}

/// Secrets that the attacker does not know, the same in every run.
fn secrets() -> [Hasher; 2] {
    let seed = Seed::key(*b"nobody knows me!");
    [Algorithm::Xxh3, Algorithm::SipHash13].map(|algorithm| Hasher::new(algorithm, seed))
}

/// A million keys, each of which sets bits that no other one has set, as long
/// as there are some: the bits of a filter are used up faster than by chance.
fn polluting() -> Vec<u64> {
    let blocks = filter(public(), 0.01).shape().blocks();
    let mut ones = vec![[0_u32; 4]; blocks as usize];
    let hasher = public();
    let mut chosen = Vec::with_capacity(KEYS);
    for key in 0.. {
        let hash = hasher.hash_u64(key);
        let block = ((hash >> 32) * ones.len() as u64) >> 32;
        // Four of the eight words, until they are nearly full: it is enough to
        // show that it works.
        let words = &mut ones[block as usize];
        let bits = [0x47b6_137b_u32, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d]
            .map(|salt| 1_u32 << ((hash as u32).wrapping_mul(salt) >> 27));
        let is_fresh = bits.iter().zip(&*words).all(|(bit, word)| bit & word == 0);
        if is_fresh || words[0].count_ones() > 24 {
            bits.iter().zip(words).for_each(|(bit, word)| *word |= bit);
            chosen.push(key);
            if chosen.len() == KEYS {
                return chosen;
            }
        }
    }
    unreachable!("there are keys enough")
}

#[test]
fn a_million_crafted_keys_do_not_move_the_rate_of_a_keyed_filter() {
    let crafted = polluting();
    let rate = |hasher: Hasher| {
        let mut filter = filter(hasher, 0.01);
        crafted.iter().for_each(|key| {
            filter.insert(&key.to_le_bytes());
        });
        filter.snapshot().false_positives()
    };
    let planned = filter(public(), 0.01).shape().false_positives();
    // The attack works where the seed is known.
    assert!(rate(public()) > 1.5 * planned, "{}", rate(public()));
    for secret in secrets() {
        let moved = rate(secret) / planned;
        assert!((0.99..1.01).contains(&moved), "{secret:?}: {moved}");
    }
}

#[test]
fn a_million_crafted_questions_find_no_more_than_chance_in_a_keyed_filter() {
    let members = 0..KEYS as u64;
    // A rate at which the attacker need not look for long.
    let mut known = filter(public(), 0.1);
    members.clone().for_each(|key| {
        known.insert(&key.to_le_bytes());
    });
    // Absent, and answered with "maybe" by whoever uses the public seed.
    let crafted: Vec<u64> = (1 << 40..)
        .filter(|key| known.may_contain_hash(public().hash_u64(*key)))
        .take(KEYS)
        .collect();
    for secret in secrets() {
        let mut filter = filter(secret, 0.1);
        members.clone().for_each(|key| {
            filter.insert(&key.to_le_bytes());
        });
        let asked = crafted.iter().map(|key| key.to_le_bytes());
        let hits = asked.filter(|key| filter.may_contain(key)).count() as u64;
        let rate = filter.shape().false_positives();
        assert!(
            is_within(3.0, hits, KEYS as u64, rate),
            "{secret:?}: {hits}"
        );
    }
}
