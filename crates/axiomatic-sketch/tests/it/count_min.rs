//! Count-min sketches.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Barrier;
use std::thread;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sketch::count_min::{Ageing, BuildError, CountMinSketch, Shape};
use proptest::prelude::*;

use crate::support::{hasher, hashes, is_within, zipf};

/// The end of a counter.
const MOST: u64 = 1 << 31;

fn lines(lines: u32) -> CountMinSketch {
    let shape = Shape::in_lines(lines).with_confidence(0.99).unwrap();
    CountMinSketch::new(shape, hasher()).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u32),
    Age,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // A few keys that meet in rows and in lines.
    let hash = (0_u64..4, 0_u64..256).prop_map(|(line, columns)| (line << 62) | columns);
    let count = prop_oneof![8 => 0_u32..5, 2 => 250_u32..2_000, 1 => (u32::MAX - 9)..];
    let step = prop_oneof![
        9 => (hash, count).prop_map(|(hash, count)| Step::Add(hash, count)),
        1 => Just(Step::Age),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn no_estimate_is_below_what_a_map_counts_however_often_it_ages(
        steps in steps(),
        lines_there_are in 1_u32..6,
    ) {
        let sketch = lines(lines_there_are);
        let mut map: HashMap<u64, u64> = HashMap::new();
        let mut total = 0_u64;
        for step in steps {
            match step {
                Step::Add(hash, count) => {
                    let counted = map.entry(hash).or_default();
                    *counted = (*counted + u64::from(count)).min(MOST);
                    total += u64::from(count);
                    let told = sketch.add_hash(hash, count);
                    prop_assert_eq!(told.at_most(), sketch.estimate_hash(hash).at_most());
                }
                Step::Age => {
                    prop_assert!(sketch.age());
                    map.values_mut().for_each(|counted| *counted /= 2);
                    total -= total / 2;
                }
            }
            for (hash, counted) in &map {
                let estimate = sketch.estimate_hash(*hash);
                prop_assert!(estimate.at_most() >= *counted);
                prop_assert!(estimate.at_most() <= total.min(MOST));
                prop_assert_eq!(estimate.is_saturated(), estimate.at_most() == MOST);
            }
            // What is not told yet is not halved.
            prop_assert!(sketch.total() >= total && sketch.total() <= total + 64);
        }
    }

    #[test]
    fn a_key_that_is_alone_is_counted_exactly(
        hash: u64, counts in proptest::collection::vec(0_u32..1_000_000, 0..50)
    ) {
        let sketch = lines(7);
        let mut counted = 0;
        for count in counts {
            counted += u64::from(count);
            prop_assert_eq!(sketch.add_hash(hash, count).at_most(), counted);
            prop_assert_eq!(sketch.total(), counted);
        }
    }
}

/// The share of these probes that are too high by more than the error.
fn too_high(sketch: &CountMinSketch, probes: &[(u64, u64)]) -> u64 {
    let total = sketch.total() as f64;
    let error = sketch.shape().error() * total;
    let is_too_high = |(hash, counted): &&(u64, u64)| {
        let estimate = sketch.estimate_hash(*hash).at_most();
        assert!(estimate >= *counted);
        (estimate - counted) as f64 > error
    };
    probes.iter().filter(is_too_high).count() as u64
}

fn filled(shape: Shape, counts: impl Iterator<Item = (u64, u64)>) -> CountMinSketch {
    let sketch = CountMinSketch::new(shape, hasher()).unwrap();
    for (hash, count) in counts {
        sketch.add_hash(hash, u32::try_from(count).unwrap());
    }
    sketch
}

/// At fixed seeds, over several sketches each: no more than three standard
/// deviations above what was asked.
#[test]
fn no_more_estimates_are_too_high_than_was_asked() {
    for (confidence, seed) in [(0.9, 1), (0.99, 2), (0.999, 3)] {
        let shape = Shape::within(0.01).with_confidence(confidence).unwrap();
        for skew in [0.0, 0.7, 1.0, 1.3] {
            let (mut wrong, mut probed) = (0, 0);
            for round in 0..5 {
                let counts: Vec<u64> = zipf(50_000, skew, 5_000_000).collect();
                let keys: Vec<(u64, u64)> = hashes(100 * seed + round).zip(counts).collect();
                let sketch = filled(shape, keys.iter().copied());
                wrong += too_high(&sketch, &keys);
                probed += keys.len() as u64;
            }
            let asked = 1.0 - confidence;
            let is_fewer = (wrong as f64) < asked * probed as f64;
            assert!(
                is_fewer || is_within(3.0, wrong, probed, asked),
                "{skew}: {wrong} of {probed}"
            );
        }
    }
}

/// As many keys as can be that are each above the error. The bound is honest
/// there, and no more than four times too careful.
#[test]
fn the_bound_holds_for_the_worst_of_streams_and_is_near() {
    for (confidence, seed) in [(0.9, 4), (0.99, 5), (0.999, 6)] {
        let shape = Shape::within(0.01).with_confidence(confidence).unwrap();
        let (mut wrong, mut probed) = (0, 0);
        for round in 0..200 {
            let mut hashes = hashes(1_000 * seed + round);
            let heavy: Vec<u64> = hashes.by_ref().take(99).collect();
            let sketch = filled(shape, heavy.iter().map(|hash| (*hash, 1_000)));
            let absent: Vec<(u64, u64)> = hashes.take(5_000).map(|hash| (hash, 0)).collect();
            wrong += too_high(&sketch, &absent);
            probed += absent.len() as u64;
        }
        let (wrong, asked) = (wrong as f64 / probed as f64, 1.0 - confidence);
        assert!(wrong <= asked, "{confidence}: {wrong}");
        assert!(wrong >= asked / 4.0, "{confidence}: {wrong}");
    }
}

#[test]
fn no_add_of_four_threads_is_lost() {
    const ADDS: u64 = 50_000;
    // One key that all have, and others, of each thread and of all.
    let sketch = lines(1_000);
    let all = Barrier::new(4);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (sketch, all) = (&sketch, &all);
            scope.spawn(move || {
                all.wait();
                for add in 0..ADDS {
                    sketch.add_hash(u64::MAX, 1);
                    sketch.add_hash((add % 100) << 40, 1);
                    sketch.add_hash(thread << 61, 300);
                }
            });
        }
    });
    assert_eq!(sketch.estimate_hash(u64::MAX).at_most(), 4 * ADDS);
    for key in 1..100 {
        assert!(sketch.estimate_hash(key << 40).at_most() >= 4 * ADDS / 100);
    }
    for thread in 1..4_u64 {
        assert_eq!(sketch.estimate_hash(thread << 61).at_most(), 300 * ADDS);
    }
    assert_eq!(sketch.total(), 4 * ADDS * 302);
}

#[test]
fn a_counter_at_its_end_stays_there() {
    let sketch = lines(3);
    let (first, second) = (0_u64, u64::MAX);
    assert_eq!(sketch.add_hash(first, u32::MAX).at_most(), MOST);
    let nearly = u32::try_from(MOST).unwrap() - 1;
    let estimate = sketch.add_hash(second, nearly);
    assert!(!estimate.is_saturated());
    assert!(sketch.add_hash(second, 1).is_saturated());
    for count in [1, 255, 256, 257, u32::MAX, 1] {
        let told = sketch.add_hash(second, count);
        assert_eq!((told.at_most(), told.is_saturated()), (MOST, true));
    }
    assert_eq!(sketch.snapshot().saturated(), 8);
    // Half of its end is a count like others.
    sketch.age();
    assert_eq!(sketch.estimate_hash(first).at_most(), MOST / 2);
    assert_eq!(sketch.add_hash(first, 3).at_most(), MOST / 2 + 3);
    assert_eq!(sketch.snapshot().saturated(), 0);
}

#[test]
fn threads_that_meet_at_the_end_of_a_counter_do_not_wrap_it() {
    let sketch = lines(1);
    for _ in 0..200 {
        sketch.age();
        let below = MOST - sketch.estimate_hash(0).at_most() - 50;
        sketch.add_hash(0, u32::try_from(below).unwrap());
        thread::scope(|scope| {
            for count in [1, 256, 257, u32::MAX] {
                let sketch = &sketch;
                scope.spawn(move || {
                    for _ in 0..100 {
                        sketch.add_hash(0, count);
                    }
                });
            }
        });
        assert_eq!(sketch.estimate_hash(0).at_most(), MOST);
    }
}

#[test]
fn ageing_halves_and_rounds_down() {
    let sketch = lines(2);
    sketch.add(b"odd", 7);
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert!(sketch.age());
        seen.push(sketch.estimate(b"odd").at_most());
    }
    assert_eq!(seen, [3, 1, 0, 0]);
    assert_eq!(sketch.snapshot().fill(), 0.0);
    assert_eq!(sketch.snapshot().ageings(), 4);
}

/// Whatever the schedule: before the ageing or after it, and never not at all.
#[test]
fn adds_that_race_with_an_ageing_count_half_or_whole() {
    const ADDS: u64 = 2_000;
    let sketch = lines(64);
    let mut least = 0;
    let mut most = 0;
    for _ in 0..200 {
        let all = Barrier::new(3);
        let aged = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    all.wait();
                    for _ in 0..ADDS / 2 {
                        sketch.add_hash(9, 1);
                    }
                });
            }
            all.wait();
            sketch.age()
        });
        assert!(aged);
        least = (least + ADDS) / 2;
        most = most / 2 + ADDS;
        let estimate = sketch.estimate_hash(9).at_most();
        assert!((least..=most).contains(&estimate), "{estimate}");
        (least, most) = (estimate, estimate);
    }
}

#[test]
fn it_ages_by_itself_and_what_is_recent_counts_more() {
    let at = NonZeroU64::new(10_000).unwrap();
    let sketch = lines(100).with_ageing(Ageing::AtTotal(at));
    for _ in 0..100_000 {
        sketch.add(b"old", 1);
        // What threads have not told is not seen.
        assert!(sketch.total() <= 10_000 + 64);
    }
    assert!(sketch.estimate(b"old").at_most() >= 5_000);
    for _ in 0..20_000 {
        sketch.add(b"new", 1);
    }
    assert!(sketch.estimate(b"new").at_most() > 4 * sketch.estimate(b"old").at_most());
    // The first after 10,000, and each other one after 5,000.
    let ageings = sketch.snapshot().ageings();
    assert!((20..=23).contains(&ageings), "{ageings}");
}

#[test]
fn the_estimate_carries_its_bound() {
    let shape = Shape::within(0.01).with_confidence(0.99).unwrap();
    let sketch = CountMinSketch::new(shape, hasher()).unwrap();
    sketch.add(b"a", 100_000);
    let estimate = sketch.estimate(b"a");
    assert_eq!(estimate.at_most(), 100_000);
    // A hundredth, and what threads may not have told of the total.
    assert!((999..1_050).contains(&estimate.over_by()), "{estimate}");
    assert_eq!(estimate.at_least(), 100_000 - estimate.over_by());
    assert_eq!(sketch.estimate(b"never").at_least(), 0);
}

#[test]
fn it_prints_for_people() {
    let sketch = lines(1_000);
    sketch.add(b"a", 1_000_000);
    sketch.add(b"b", u32::MAX);
    assert_eq!(
        sketch.snapshot().to_string(),
        "total 4295967295, estimates too high by 9356541 at most in 99.000 % of cases, 0.1 % of counters in use, aged 0 times, 4 SATURATED"
    );
    let estimate = sketch.estimate(b"b").to_string();
    assert!(
        estimate.ends_with("to 2147483648 or more (99.000 %)"),
        "{estimate}"
    );
}

#[test]
fn what_cannot_be_built_is_an_error() {
    let narrow = Hasher::new(Algorithm::Crc32, Seed::fixed(0));
    let shape = Shape::in_lines(1).with_confidence(0.99).unwrap();
    let refused = CountMinSketch::new(shape, narrow).unwrap_err();
    assert_eq!(refused, BuildError::NarrowHash(Algorithm::Crc32));
    let error = BuildError::OutOfMemory { bytes: 1 << 37 };
    assert_eq!(
        error.to_string(),
        "there is no memory for 137438953472 bytes"
    );
}
