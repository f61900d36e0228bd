//! Filters that threads share. They are as small as they can be, so that all
//! keys meet in one block or one word.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_core::models::{bounded_model, model};
use axiomatic_sketch::bloom::{AtomicBloomFilter, AtomicWordFilter, Shape, WordShape};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// Keys, by their hashes. In a word with four bits a key, those of `COVERED`
/// are some of `HALF` and the others of `OTHER_HALF`.
const COVERED: u64 = 1;
const HALF: u64 = 27;
const OTHER_HALF: u64 = 64;

/// Which have set the bits of `HALF` and of `OTHER_HALF` in two words of four
/// of the block, and none in the others: enough to meet, and few enough steps
/// to explore them all.
const BEFORE: [u64; 4] = [2460, 966, 1069, 6];

/// Which has set those of `HALF` in one word more.
const ONE_MORE: u64 = 499;

fn hasher() -> Hasher {
    Hasher::new(Algorithm::Xxh3, Seed::fixed(0))
}

/// Of one block, with the bits of `BEFORE`.
fn block() -> Arc<AtomicBloomFilter> {
    let shape = Shape::for_items(24).blocks(1).unwrap();
    let filter = AtomicBloomFilter::new(shape, hasher()).unwrap();
    filter.insert_hashes(&BEFORE);
    Arc::new(filter)
}

/// Of one word, with four bits a key.
fn word() -> Arc<AtomicWordFilter> {
    let shape = WordShape::for_items(10).words(1).unwrap();
    assert_eq!(shape.bits_per_key(), 4);
    Arc::new(AtomicWordFilter::new(shape, hasher()).unwrap())
}

/// A thread that inserts a key, and what it was told.
fn block_inserter(filter: &Arc<AtomicBloomFilter>, hash: u64) -> thread::JoinHandle<bool> {
    let filter = Arc::clone(filter);
    thread::spawn(move || filter.insert_hash(hash))
}

fn word_inserter(filter: &Arc<AtomicWordFilter>, hash: u64) -> thread::JoinHandle<bool> {
    let filter = Arc::clone(filter);
    thread::spawn(move || filter.insert_hash(hash))
}

#[test]
fn no_bit_of_a_block_is_lost() {
    model(|| {
        let filter = block();
        let other = block_inserter(&filter, HALF);
        filter.insert_hash(OTHER_HALF);
        assert!(filter.may_contain_hash(OTHER_HALF));
        other.join().unwrap();
        assert!(filter.may_contain_hash(HALF));
        assert!(filter.may_contain_hash(OTHER_HALF));
    });
}

#[test]
fn of_two_inserters_of_a_fresh_key_into_a_block_one_at_least_is_told_new() {
    model(|| {
        let filter = block();
        let other = block_inserter(&filter, HALF);
        let is_new = filter.insert_hash(HALF);
        let is_new_too = other.join().unwrap();
        assert!(is_new || is_new_too);
        assert!(filter.may_contain_hash(HALF));
    });
}

/// "New" is who has set a bit, not who has seen one missing.
#[test]
fn of_two_inserters_of_what_one_word_of_a_block_lacks_exactly_one_is_told_new() {
    model(|| {
        let filter = block();
        filter.insert_hash(ONE_MORE);
        let other = block_inserter(&filter, HALF);
        let is_new = filter.insert_hash(HALF);
        assert_ne!(is_new, other.join().unwrap());
    });
}

/// And who has set some is told so, although another was first at the rest.
#[test]
fn who_alone_sets_bits_in_one_word_of_a_block_is_told_new_whoever_sets_the_others() {
    model(|| {
        let filter = block();
        let other = block_inserter(&filter, ONE_MORE);
        assert!(filter.insert_hash(HALF));
        other.join().unwrap();
    });
}

#[test]
fn what_was_inserted_into_a_block_before_a_flag_is_found_after_it() {
    model(|| {
        let filter = block();
        let flag = Arc::new(AtomicU32::new(0));
        let inserter = {
            let (filter, flag) = (Arc::clone(&filter), Arc::clone(&flag));
            thread::spawn(move || {
                filter.insert_hash(HALF);
                flag.store(1, Ordering::Release);
            })
        };
        if flag.load(Ordering::Acquire) == 1 {
            assert!(filter.may_contain_hash(HALF));
            assert!(!filter.insert_hash(HALF));
        }
        inserter.join().unwrap();
    });
}

#[test]
fn no_bit_of_a_word_is_lost() {
    model(|| {
        let filter = word();
        let other = word_inserter(&filter, HALF);
        filter.insert_hash(OTHER_HALF);
        assert!(filter.may_contain_hash(OTHER_HALF));
        other.join().unwrap();
        assert!(filter.may_contain_hash(HALF));
        assert!(filter.may_contain_hash(OTHER_HALF));
    });
}

#[test]
fn of_two_inserters_of_a_fresh_key_into_a_word_exactly_one_is_told_new() {
    model(|| {
        let filter = word();
        let other = word_inserter(&filter, COVERED);
        let is_new = filter.insert_hash(COVERED);
        assert_ne!(is_new, other.join().unwrap());
        assert!(!filter.insert_hash(COVERED));
    });
}

#[test]
fn of_three_inserters_of_a_fresh_key_into_a_word_exactly_one_is_told_new() {
    bounded_model(|| {
        let filter = word();
        let others = [(); 2].map(|()| word_inserter(&filter, COVERED));
        let is_new = filter.insert_hash(COVERED);
        let told = others.map(|other| other.join().unwrap());
        let winners = [is_new, told[0], told[1]]
            .iter()
            .filter(|new| **new)
            .count();
        assert_eq!(winners, 1);
    });
}

/// A key that has some bits of its own is told to be new by them, whoever else
/// sets the others meanwhile.
#[test]
fn exactly_one_is_told_new_while_a_key_that_overlaps_is_inserted() {
    bounded_model(|| {
        let filter = word();
        let overlapping = word_inserter(&filter, HALF);
        let other = word_inserter(&filter, COVERED);
        let is_new = filter.insert_hash(COVERED);
        assert_ne!(is_new, other.join().unwrap());
        assert!(overlapping.join().unwrap());
    });
}

/// And a key that has none may be told by nobody, but never by two.
#[test]
fn at_most_one_is_told_new_while_keys_that_cover_it_are_inserted() {
    // std's, which loom does not see.
    static WINNERS: [std::sync::atomic::AtomicBool; 2] =
        [const { std::sync::atomic::AtomicBool::new(false) }; 2];
    bounded_model(|| {
        let filter = word();
        let covering = {
            let filter = Arc::clone(&filter);
            thread::spawn(move || {
                filter.insert_hash(HALF);
                filter.insert_hash(OTHER_HALF);
                assert!(filter.may_contain_hash(COVERED));
            })
        };
        let other = word_inserter(&filter, COVERED);
        let is_new = filter.insert_hash(COVERED);
        let is_new_too = other.join().unwrap();
        covering.join().unwrap();
        assert!(!(is_new && is_new_too));
        WINNERS[usize::from(is_new || is_new_too)].store(true, Ordering::Relaxed);
    });
    // Both came up, or the keys were chosen badly.
    assert!(WINNERS.iter().all(|seen| seen.load(Ordering::Relaxed)));
}

#[test]
fn what_was_inserted_into_a_word_before_a_flag_is_found_after_it() {
    model(|| {
        let filter = word();
        let flag = Arc::new(AtomicU32::new(0));
        let inserter = {
            let (filter, flag) = (Arc::clone(&filter), Arc::clone(&flag));
            thread::spawn(move || {
                filter.insert_hash(COVERED);
                flag.store(1, Ordering::Release);
            })
        };
        if flag.load(Ordering::Acquire) == 1 {
            assert!(filter.may_contain_hash(COVERED));
            assert!(!filter.insert_hash(COVERED));
        }
        inserter.join().unwrap();
    });
}
