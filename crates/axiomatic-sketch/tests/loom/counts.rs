//! Counts, and hot keys. Sketches have one line, so that threads meet; keys of
//! the list are chosen so that they meet in none of its rows.

use std::num::NonZeroU16;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_core::models::{bounded_model, long_model, model};
use axiomatic_sketch::count_min::{CountMinSketch, Shape};
use axiomatic_sketch::hot_keys::HotKeys;
use loom::sync::Arc;
use loom::thread;

/// Each in the first column of each row.
const HASH: u64 = 0;
/// The end of a counter.
const MOST: u64 = 1 << 31;

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0))
}

fn shape() -> Shape {
    Shape::in_lines(1).with_confidence(0.99).unwrap()
}

/// Of one line, in which the key is counted so often.
fn sketch(count: u32) -> Arc<CountMinSketch> {
    let sketch = CountMinSketch::new(shape(), hasher()).unwrap();
    sketch.add_hash(HASH, count);
    Arc::new(sketch)
}

fn count(sketch: &CountMinSketch) -> u64 {
    sketch.estimate_hash(HASH).at_most()
}

fn adder(sketch: &Arc<CountMinSketch>, count: u32) -> thread::JoinHandle<u64> {
    let sketch = Arc::clone(sketch);
    thread::spawn(move || sketch.add_hash(HASH, count).at_most())
}

#[test]
fn no_add_is_lost() {
    model(|| {
        let sketch = sketch(0);
        let other = adder(&sketch, 1);
        let told = sketch.add_hash(HASH, 1).at_most();
        let other = other.join().unwrap();
        assert_eq!(count(&sketch), 2);
        assert_eq!(sketch.total(), 2);
        // Who counts has counted himself.
        assert!(told >= 1 && other >= 1);
    });
}

#[test]
fn no_great_add_is_lost_beside_a_small_one() {
    bounded_model(|| {
        let sketch = sketch(0);
        let other = adder(&sketch, 1_000);
        sketch.add_hash(HASH, 1);
        other.join().unwrap();
        assert_eq!(count(&sketch), 1_001);
        assert_eq!(sketch.total(), 1_001);
    });
}

#[test]
fn a_counter_at_its_end_stays_there_whoever_adds() {
    bounded_model(|| {
        let sketch = sketch(u32::try_from(MOST).unwrap() - 1);
        let other = adder(&sketch, u32::MAX);
        sketch.add_hash(HASH, 7);
        other.join().unwrap();
        assert_eq!(count(&sketch), MOST);
        assert!(sketch.add_hash(HASH, u32::MAX).is_saturated());
    });
}

#[test]
fn an_add_is_before_an_ageing_or_after_it() {
    bounded_model(|| {
        // 6 / 2, or 5 / 2 + 1; without the add it would be 2.
        let sketch = sketch(5);
        let other = adder(&sketch, 1);
        assert!(sketch.age());
        other.join().unwrap();
        assert_eq!(count(&sketch), 3);
        // The total may be too high by what was added meanwhile.
        assert!((3..=4).contains(&sketch.total()));
    });
}

#[test]
fn an_add_that_follows_an_ageing_is_whole() {
    long_model(|| {
        let sketch = sketch(4);
        let other = {
            let sketch = Arc::clone(&sketch);
            thread::spawn(move || sketch.age())
        };
        if sketch.age() {
            sketch.add_hash(HASH, 1);
            // This one and the other one, if it came later, halve it once.
            let other = other.join().unwrap();
            assert!((if other { 1..=2 } else { 3..=3 }).contains(&count(&sketch)));
        } else {
            assert!(other.join().unwrap());
            assert_eq!(count(&sketch), 2);
        }
        // And both are over.
        assert!((1..=3).contains(&sketch.total()));
        assert!(sketch.total() >= count(&sketch));
        assert!(sketch.age());
    });
}

#[test]
fn who_sees_the_halved_total_sees_the_halved_counts() {
    bounded_model(|| {
        let sketch = sketch(40);
        let reader = {
            let sketch = Arc::clone(&sketch);
            thread::spawn(move || sketch.estimate_hash(HASH))
        };
        assert!(sketch.age());
        let estimate = reader.join().unwrap();
        // One line is within all of the total, and one: a total of 20 would be
        // no bound of a count of 40.
        assert!([20, 40].contains(&estimate.at_most()));
        if estimate.over_by() == 21 {
            assert_eq!(estimate.at_most(), 20);
        }
    });
}

/// A list with room for one key.
fn list() -> Arc<HotKeys> {
    list_of(1)
}

fn list_of(keys: u16) -> Arc<HotKeys> {
    let keys = NonZeroU16::new(keys).unwrap();
    Arc::new(HotKeys::new(keys, shape(), hasher()).unwrap())
}

/// Keys that have no counter in common with one another.
fn keys() -> [[u8; 2]; 3] {
    let columns = |key: &[u8; 2]| {
        let hash = hasher().hash(key);
        [0, 2, 4, 6].map(|shift| (hash >> shift) & 3)
    };
    let differ = |a: &[u8; 2], b: &[u8; 2]| {
        let (a, b) = (columns(a), columns(b));
        a.iter().zip(&b).all(|(a, b)| a != b)
    };
    let mut chosen = vec![[0, 0]];
    for key in 1..=u16::MAX {
        let key = key.to_le_bytes();
        if chosen.iter().all(|other| differ(other, &key)) {
            chosen.push(key);
        }
        if chosen.len() == 3 {
            break;
        }
    }
    chosen.try_into().unwrap()
}

fn recorder(hot: &Arc<HotKeys>, key: [u8; 2], records: u32) -> thread::JoinHandle<bool> {
    let hot = Arc::clone(hot);
    thread::spawn(move || hot.record_many(&key, records))
}

#[test]
fn of_two_that_come_in_at_once_the_hotter_one_stays() {
    bounded_model(|| {
        let [first, second, _] = keys();
        let hot = list();
        let other = recorder(&hot, first, 3);
        let is_listed = hot.record_many(&second, 5);
        other.join().unwrap();
        let top = hot.top();
        assert_eq!(top.len(), 1);
        // Unless it found the lock taken: then it was told.
        if is_listed {
            assert_eq!(top[0].key(), second);
            assert_eq!((top[0].count(), top[0].at_least()), (5, 5));
        } else {
            assert_eq!(hot.snapshot().missed(), 1);
            assert_eq!(top[0].key(), first);
        }
        assert_eq!(hot.total(), 8);
    });
}

#[test]
fn a_key_that_two_bring_in_at_once_is_listed_once() {
    bounded_model(|| {
        let [first, ..] = keys();
        let hot = list_of(2);
        let other = recorder(&hot, first, 1);
        hot.record(&first);
        other.join().unwrap();
        let top = hot.top();
        assert_eq!(top.len(), 1);
        assert_eq!(top[0].at_least() + hot.snapshot().missed(), 2);
        assert_eq!(top[0].at_most(), 2);
    });
}

#[test]
fn a_record_is_never_counted_for_the_key_that_comes_after() {
    bounded_model(|| {
        let [first, second, _] = keys();
        let hot = list();
        hot.record(&first);
        let other = recorder(&hot, first, 1);
        let is_listed = hot.record_many(&second, 5);
        other.join().unwrap();
        let top = hot.top();
        assert!(top[0].at_least() <= top[0].at_most());
        if top[0].key() == second {
            assert!(is_listed);
            assert_eq!(top[0].at_least(), 5);
        } else {
            assert!(top[0].key() == first && top[0].at_least() <= 2);
        }
    });
}

#[test]
fn no_record_of_a_listed_key_is_lost() {
    bounded_model(|| {
        let [first, ..] = keys();
        let hot = list();
        hot.record(&first);
        let other = recorder(&hot, first, 2);
        assert!(hot.record_many(&first, 3));
        assert!(other.join().unwrap());
        let top = hot.top();
        assert_eq!((top[0].at_least(), top[0].at_most()), (6, 6));
    });
}

#[test]
fn a_listed_key_survives_an_ageing_with_all_that_was_recorded() {
    long_model(|| {
        let [first, ..] = keys();
        let hot = list();
        hot.record_many(&first, 5);
        let other = recorder(&hot, first, 1);
        hot.age();
        assert!(other.join().unwrap());
        let top = hot.top();
        assert_eq!((top[0].count(), top[0].at_least()), (3, 3));
        assert_eq!(top[0].at_most(), 3);
    });
}
