//! Filters that forget. There are two generations, so a window is one period,
//! and there is one group, so all keys are in the same two words. Every rotation
//! sweeps them.

use std::time::Duration;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_core::models::{bounded_model, long_model, model};
use axiomatic_core::time::Instant;
use axiomatic_sketch::bloom::{
    Generations, RecentConfig, RecentFilter, WindowedConfig, WindowedFilter,
};
use loom::sync::Arc;
use loom::thread;

const PERIOD: u64 = 1_000_000;

/// Three keys of which none is taken for known when the others are.
const X: u64 = 0x0000_0001_89ab_cdef;
const Y: u64 = 0x0000_0002_4567_1234;
const Z: u64 = 0x0000_0003_dcba_9f31;

type Shared = Arc<WindowedFilter>;

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0))
}

fn windowed() -> Shared {
    let filter = WindowedConfig::last(Duration::from_nanos(PERIOD))
        .for_items(1)
        .false_positives(0.5)
        .generations(Generations::Two)
        .build(hasher())
        .unwrap();
    assert_eq!(filter.bytes(), 64);
    Arc::new(filter)
}

/// In the middle of this period.
fn during(period: u64) -> Instant {
    Instant::from_nanos(period * PERIOD + PERIOD / 2)
}

/// A thread that inserts, and says whether the key was new.
fn inserter(filter: &Shared, key: u64, period: u64) -> thread::JoinHandle<bool> {
    let filter = Arc::clone(filter);
    thread::spawn(move || filter.insert_hash(key, during(period)))
}

#[test]
fn keys_of_the_models_are_not_taken_for_one_another() {
    // One execution: there is nothing to explore.
    loom::model(|| {
        for (absent, [one, other]) in [(X, [Y, Z]), (Y, [X, Z]), (Z, [X, Y])] {
            let filter = windowed();
            assert!(filter.insert_hash(one, during(1)));
            assert!(filter.insert_hash(other, during(1)));
            assert!(!filter.may_contain_hash(absent, during(1)));
        }
    });
}

#[test]
fn of_two_inserters_in_one_generation_exactly_one_is_told_new() {
    model(|| {
        let filter = windowed();
        // Once into words that are over, and once into those that are open.
        let other = inserter(&filter, X, 1);
        let is_new = filter.insert_hash(X, during(1));
        assert!(is_new ^ other.join().unwrap());
        assert!(filter.may_contain_hash(X, during(1)));
    });
    model(|| {
        let filter = windowed();
        filter.insert_hash(Y, during(1));
        let other = inserter(&filter, X, 1);
        let is_new = filter.insert_hash(X, during(1));
        assert!(is_new ^ other.join().unwrap());
        assert!(filter.may_contain_hash(X, during(1)));
        assert!(filter.may_contain_hash(Y, during(1)));
    });
}

#[test]
fn of_two_inserters_across_a_rotation_exactly_one_is_told_new() {
    bounded_model(|| {
        // A group that nobody has touched.
        let filter = windowed();
        filter.may_contain_hash(X, during(1));
        let late = inserter(&filter, X, 1);
        let is_new = filter.insert_hash(X, during(2));
        assert!(is_new ^ late.join().unwrap());
        assert!(filter.may_contain_hash(X, during(2)));
    });
    bounded_model(|| {
        // One whose word is open.
        let filter = windowed();
        filter.insert_hash(Y, during(1));
        let late = inserter(&filter, X, 1);
        let is_new = filter.insert_hash(X, during(2));
        assert!(is_new ^ late.join().unwrap());
        assert!(filter.may_contain_hash(X, during(2)));
    });
    bounded_model(|| {
        // One that has moved on, while the group has not.
        let filter = windowed();
        filter.insert_hash(Y, during(1));
        let late = inserter(&filter, X, 2);
        let is_new = filter.insert_hash(X, during(3));
        assert!(is_new ^ late.join().unwrap());
        assert!(filter.may_contain_hash(X, during(3)));
    });
}

#[test]
fn of_three_inserters_around_a_rotation_exactly_one_is_told_new() {
    long_model(|| {
        let filter = windowed();
        filter.insert_hash(Y, during(1));
        let others = [inserter(&filter, X, 1), inserter(&filter, X, 2)];
        let is_new = filter.insert_hash(X, during(2));
        let news = others.map(|other| other.join().unwrap());
        let count = [is_new, news[0], news[1]]
            .iter()
            .filter(|new| **new)
            .count();
        assert_eq!(count, 1);
        assert!(filter.may_contain_hash(X, during(2)));
    });
}

#[test]
fn what_is_inserted_as_another_thread_rotates_is_remembered_for_a_window() {
    bounded_model(|| {
        let filter = windowed();
        filter.insert_hash(Z, during(1));
        let rotating = inserter(&filter, Y, 2);
        assert!(filter.insert_hash(X, during(1)));
        assert!(rotating.join().unwrap());
        // X at the end of its window, and Y as well, a period later.
        assert!(filter.may_contain_hash(X, during(2)));
        assert!(filter.may_contain_hash(Y, during(3)));
        // And what it was before is gone.
        assert!(!filter.may_contain_hash(Z, during(3)));
        assert!(!filter.may_contain_hash(X, during(4)));
    });
}

#[test]
fn two_keys_of_one_word_are_both_kept_as_its_tag_changes() {
    bounded_model(|| {
        let filter = windowed();
        // In the word that both of them are going to renew.
        filter.insert_hash(Z, during(1));
        let other = inserter(&filter, Y, 3);
        assert!(filter.insert_hash(X, during(3)));
        assert!(other.join().unwrap());
        assert!(filter.may_contain_hash(X, during(4)));
        assert!(filter.may_contain_hash(Y, during(4)));
        assert!(!filter.may_contain_hash(Z, during(3)));
    });
}

#[test]
fn an_inserter_that_stood_still_never_removes_a_newer_key() {
    bounded_model(|| {
        let filter = windowed();
        let late = inserter(&filter, X, 1);
        // The same word, a round later.
        assert!(filter.insert_hash(Y, during(3)));
        assert!(late.join().unwrap());
        assert!(filter.may_contain_hash(Y, during(4)));
        // And is not left where nobody looks for it.
        assert!(filter.insert_hash(Z, during(4)));
        assert!(filter.may_contain_hash(Y, during(4)));
    });
}

#[test]
fn a_sweeper_never_removes_a_living_key() {
    bounded_model(|| {
        let filter = windowed();
        // Words that are over in the third period.
        filter.insert_hash(Z, during(1));
        // Both rotate, or one does and sweeps while the other one renews.
        let other = inserter(&filter, Y, 4);
        assert!(filter.insert_hash(X, during(4)));
        assert!(other.join().unwrap());
        assert!(filter.may_contain_hash(X, during(5)));
        assert!(filter.may_contain_hash(Y, during(5)));
        assert!(!filter.may_contain_hash(Z, during(4)));
    });
    bounded_model(|| {
        let filter = windowed();
        filter.insert_hash(Z, during(1));
        // A sweeper that is a round behind.
        let other = inserter(&filter, Y, 4);
        assert!(filter.insert_hash(X, during(6)));
        assert!(other.join().unwrap());
        assert!(filter.may_contain_hash(X, during(7)));
    });
}

#[test]
fn a_key_that_comes_again_and_again_is_never_missed() {
    bounded_model(|| {
        let filter = windowed();
        filter.insert_hash(X, during(1));
        let asking = {
            let filter = Arc::clone(&filter);
            thread::spawn(move || filter.may_contain_hash(X, during(1)))
        };
        assert!(!filter.insert_hash(X, during(2)));
        assert!(!filter.insert_hash(X, during(3)));
        assert!(asking.join().unwrap());
        assert!(filter.may_contain_hash(X, during(4)));
    });
}

fn recent() -> Arc<RecentFilter> {
    let filter = RecentConfig::last(1)
        .false_positives(0.5)
        .generations(Generations::Two)
        .build(hasher())
        .unwrap();
    assert_eq!(filter.bytes(), 64);
    Arc::new(filter)
}

#[test]
fn a_recent_key_is_remembered_by_its_number() {
    // Every key is a generation, and one is remembered beside the current one.
    long_model(|| {
        let filter = recent();
        filter.insert_hash(Z);
        let other = {
            let filter = Arc::clone(&filter);
            thread::spawn(move || assert!(filter.insert_hash(X)))
        };
        assert!(filter.insert_hash(Y));
        other.join().unwrap();
        assert_eq!(filter.counted(), 3);
        // The last one, and the one before it, whichever they are.
        assert!(filter.may_contain_hash(X));
        assert!(filter.may_contain_hash(Y));
        assert!(!filter.may_contain_hash(Z));
    });
}

#[test]
fn of_two_inserters_of_a_recent_key_exactly_one_is_told_new() {
    bounded_model(|| {
        let filter = recent();
        filter.insert_hash(Y);
        let other = {
            let filter = Arc::clone(&filter);
            thread::spawn(move || filter.insert_hash(X))
        };
        let is_new = filter.insert_hash(X);
        assert!(is_new ^ other.join().unwrap());
        assert_eq!(filter.counted(), 2);
        assert!(filter.may_contain_hash(X));
    });
}
