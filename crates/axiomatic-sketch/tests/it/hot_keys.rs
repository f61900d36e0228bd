//! The list of hot keys.

use std::collections::{HashMap, HashSet};
use std::num::{NonZeroU16, NonZeroU64};
use std::sync::Barrier;
use std::thread;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sketch::count_min::{self, Ageing, Shape};
use axiomatic_sketch::hot_keys::{BuildError, HotKey, HotKeys};
use proptest::prelude::*;

use crate::support::{hasher, hashes, zipf};

fn list(keys: u16, lines: u32) -> HotKeys {
    let shape = Shape::in_lines(lines).with_confidence(0.99).unwrap();
    HotKeys::new(NonZeroU16::new(keys).unwrap(), shape, hasher()).unwrap()
}

fn key_of(hot: &HotKey) -> u64 {
    u64::from_le_bytes(hot.key().try_into().unwrap())
}

/// A stream of keys that are each seen so often, in an order that a seed
/// chooses.
fn shuffled(counts: &[u64], seed: u64) -> Vec<u64> {
    let keys = counts.iter().enumerate();
    let mut stream: Vec<u64> = keys
        .flat_map(|(key, count)| std::iter::repeat_n(key as u64, *count as usize))
        .collect();
    let mut random = hashes(seed);
    for at in (1..stream.len()).rev() {
        let other = random.next().unwrap() % (at as u64 + 1);
        stream.swap(at, other as usize);
    }
    stream
}

#[derive(Clone, Debug)]
enum Step {
    Record(u8, u32),
    Age,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let records = prop_oneof![9 => 1_u32..4, 1 => 250_u32..300];
    let key = prop_oneof![1 => 0_u8..4, 1 => 0_u8..40];
    let step = prop_oneof![
        30 => (key, records).prop_map(|(key, records)| Step::Record(key, records)),
        1 => Just(Step::Age),
    ];
    proptest::collection::vec(step, 0..400)
}

proptest! {
    /// Whatever the stream, however small the sketch, and however often it ages.
    #[test]
    fn who_has_more_than_one_share_in_k_is_in_the_list(
        steps in steps(), keys in 1_u16..12, lines in 1_u32..4,
    ) {
        let hot = list(keys, lines);
        let mut map: HashMap<u8, u64> = HashMap::new();
        let mut total = 0_u64;
        for step in steps {
            match step {
                Step::Record(key, records) => {
                    let is_listed = hot.record_many(&[key], records);
                    prop_assert_eq!(is_listed, hot.is_listed(&[key]));
                    *map.entry(key).or_default() += u64::from(records);
                    total += u64::from(records);
                }
                Step::Age => {
                    hot.age();
                    map.values_mut().for_each(|count| *count /= 2);
                    total -= total / 2;
                }
            }
            let top = hot.top();
            prop_assert!(top.is_sorted_by(|a, b| a.count() >= b.count()));
            prop_assert!(top.iter().map(HotKey::count).sum::<u64>() <= total);
            let listed: HashMap<u8, &HotKey> = top.iter().map(|hot| (hot.key()[0], hot)).collect();
            prop_assert_eq!(listed.len(), top.len());
            let floor = hot.snapshot().floor();
            prop_assert!(floor <= total / u64::from(keys));
            for (key, count) in &map {
                match listed.get(key) {
                    Some(hot) => {
                        prop_assert!((hot.at_least()..=hot.count()).contains(count));
                        prop_assert!(hot.count() <= hot.at_most());
                    }
                    None => prop_assert!(*count <= top.last().unwrap().count()),
                }
                let has_a_share = count * u64::from(keys) > total;
                prop_assert!(!has_a_share || listed.contains_key(key));
            }
        }
    }
}

#[test]
fn the_most_frequent_of_a_hundred_thousand_are_at_the_top_in_their_order() {
    for (skew, exact) in [(0.9, 10), (1.1, 30), (1.4, 30)] {
        for seed in 1..3 {
            let counts: Vec<u64> = zipf(100_000, skew, 500_000).collect();
            let hot = list(100, 2_000);
            for key in shuffled(&counts, seed) {
                hot.record(&key.to_le_bytes());
            }
            let top = hot.top();
            assert_eq!(top.len(), 100);
            for (rank, hot) in top.iter().enumerate() {
                let truth = counts[key_of(hot) as usize];
                assert!((hot.at_least()..=hot.count()).contains(&truth));
                assert!(hot.count() <= hot.at_most());
                if rank < exact {
                    assert_eq!(key_of(hot), rank as u64, "{skew} {seed}");
                }
            }
        }
    }
}

/// The order that is worst: what is hot comes first and all at once, and is
/// then not seen for a long while.
#[test]
fn a_hot_key_outlasts_a_flood_of_keys_before_and_after() {
    let hot = list(50, 500);
    let mut flood = hashes(7).map(u64::to_le_bytes);
    for key in flood.by_ref().take(100_000) {
        hot.record(&key);
    }
    for _ in 0..10_000 {
        hot.record(b"hot key!");
    }
    // 10,000 of 309,999 are more than one in fifty.
    for key in flood.take(199_999) {
        hot.record(&key);
    }
    let top = hot.top();
    assert_eq!(top[0].key(), b"hot key!");
    assert!(top[0].count() >= 10_000);
    // It got in as soon as it was above what the flood is taken for.
    assert!(top[0].at_least() > 9_900, "{}", top[0].at_least());
    // And who was never hot cannot be said to have been.
    assert!(top[1..].iter().all(|other| other.at_least() <= 2));
}

/// All keys are the same: each one that comes is another one than was there.
#[test]
fn a_stream_without_hot_keys_costs_few_promotions() {
    let hot = list(100, 1_000);
    for _ in 0..20 {
        for key in 0..10_000_u64 {
            hot.record(&key.to_le_bytes());
        }
    }
    let promotions = hot.snapshot().promotions();
    assert!(promotions < 200_000 / 20, "{promotions}");
}

#[test]
fn four_threads_find_the_same_keys() {
    let counts: Vec<u64> = zipf(20_000, 1.1, 200_000).collect();
    let streams: Vec<Vec<u64>> = (0..4).map(|seed| shuffled(&counts, 10 + seed)).collect();
    let hot = list(100, 2_000);
    let all = Barrier::new(4);
    thread::scope(|scope| {
        for stream in &streams {
            let (hot, all) = (&hot, &all);
            scope.spawn(move || {
                all.wait();
                for key in stream {
                    hot.record(&key.to_le_bytes());
                }
            });
        }
    });
    let total: u64 = streams.iter().map(|stream| stream.len() as u64).sum();
    assert_eq!(hot.total(), total);
    let top = hot.top();
    for hot in &top {
        let truth = 4 * counts[key_of(hot) as usize];
        assert!((hot.at_least()..=hot.at_most()).contains(&truth));
    }
    // Who found the lock taken gets in with its next record.
    let is_hot = |count: &u64| 4 * count > total / 100;
    let hottest = counts.iter().take_while(|count| is_hot(count)).count() as u64;
    assert!(hottest >= 10, "{hottest}");
    for key in 0..hottest {
        assert!(hot.record(&key.to_le_bytes()), "{key}");
    }
    let listed: HashSet<u64> = hot.top().iter().map(key_of).collect();
    assert!((0..hottest).all(|key| listed.contains(&key)));
}

#[test]
fn threads_that_record_while_it_ages_lose_no_key() {
    let hot = list(20, 100);
    thread::scope(|scope| {
        for thread in 0..3_u64 {
            let hot = &hot;
            scope.spawn(move || {
                for record in 0..60_000_u64 {
                    hot.record(&(record % 10).to_le_bytes());
                    hot.record(&((thread << 32) | (1_000 + record)).to_le_bytes());
                }
            });
        }
        for _ in 0..50 {
            hot.age();
        }
    });
    let top = hot.top();
    let listed: HashSet<u64> = top.iter().map(key_of).collect();
    assert!((0..10).all(|key| listed.contains(&key)), "{top:?}");
    assert!(top.iter().all(|hot| hot.at_least() <= hot.at_most()));
}

#[test]
fn what_was_hot_gives_way_to_what_is_hot() {
    let at = NonZeroU64::new(10_000).unwrap();
    let hot = list(10, 100).with_ageing(Ageing::AtTotal(at));
    for _ in 0..100_000 {
        hot.record(b"yesterday");
    }
    assert!(hot.total() <= 10_000 + 64);
    for _ in 0..20_000 {
        hot.record(b"today");
    }
    let top = hot.top();
    assert_eq!(top[0].key(), b"today");
    assert!(top[0].count() > 4 * top[1].count());
    for _ in 0..20 {
        hot.age();
    }
    // None is worth a place, and a new one has one at once.
    assert!(hot.top().iter().all(|hot| hot.count() == 0));
    assert_eq!(hot.snapshot().floor(), 0);
    assert!(hot.record(b"tomorrow"));
}

#[test]
fn a_saturated_sketch_does_not_close_the_list() {
    let hot = list(2, 1);
    for key in [b"a", b"b", b"c"] {
        hot.record_many(key, u32::MAX);
        hot.record_many(key, u32::MAX);
    }
    assert!(hot.is_listed(b"c"));
    let top = hot.top();
    assert!(top.iter().all(|hot| hot.at_most() == u64::MAX));
    assert!(top[0].count() >= 2 * u64::from(u32::MAX));
}

#[test]
fn of_a_long_key_the_beginning_is_kept() {
    let hot = list(4, 10);
    let mut long = vec![b'x'; HotKeys::LONGEST_KEY + 1];
    hot.record(&long);
    long[HotKeys::LONGEST_KEY] = b'y';
    hot.record(&long);
    let top = hot.top();
    // They are two keys still.
    assert_eq!(top.len(), 2);
    assert!(
        top.iter()
            .all(|hot| hot.key() == &long[..HotKeys::LONGEST_KEY])
    );
    assert!(top.iter().any(|hot| hot.hash() == hasher().hash(&long)));
}

#[test]
fn nothing_recorded_is_only_a_question() {
    let hot = list(1, 1);
    assert!(!hot.record_many(b"a", 0));
    assert!(hot.record(b"a"));
    assert!(hot.record_many(b"a", 0));
    assert_eq!((hot.total(), hot.top()[0].count()), (1, 1));
}

#[test]
fn it_prints_for_people() {
    let hot = list(3, 1_000);
    hot.record_many(b"user:\n", 1_000);
    assert_eq!(hot.top()[0].to_string(), "user:\\n: 1000");
    let snapshot = hot.snapshot().to_string();
    assert!(
        snapshot
            .starts_with("1 of 3 keys, above 0; 1 came in, 0 found the lock taken; total 1000,"),
        "{snapshot}"
    );
}

#[test]
fn what_cannot_be_built_is_an_error() {
    let narrow = Hasher::new(Algorithm::Crc32, Seed::fixed(0));
    let shape = Shape::in_lines(1).with_confidence(0.99).unwrap();
    let refused = HotKeys::new(NonZeroU16::MIN, shape, narrow).unwrap_err();
    let reason = count_min::BuildError::NarrowHash(Algorithm::Crc32);
    assert_eq!(refused, BuildError::Sketch(reason));
    assert_eq!(refused.to_string(), reason.to_string());
    assert!(HotKeys::new(NonZeroU16::MAX, shape, hasher()).is_ok());
}
