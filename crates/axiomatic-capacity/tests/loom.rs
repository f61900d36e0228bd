//! Models of the shipped slots, explored by loom: `cargo xtask loom`.
//!
//! Each is named for the invariant that it holds. Who waits is polled by a
//! `block_on` of loom's, so that a lost wake-up is a deadlock, which loom
//! reports. It is one file, since a model is understood beside the others.
#![cfg(axiomatic_loom)]

#[cfg(feature = "tokio")]
#[path = "loom/fail_fast.rs"]
mod fail_fast;
#[path = "loom/load_shed.rs"]
mod load_shed;
#[path = "loom/rate_limit.rs"]
mod rate_limit;
#[path = "loom/rate_limit_keyed.rs"]
mod rate_limit_keyed;
#[path = "loom/throttle.rs"]
mod throttle;

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::adaptive::{self, LimitAlgorithm, Sample, Step, Why};
use axiomatic_capacity::bulkhead::{
    Admission, Ask, Bulkhead, Config, Order, OwnedPermit, Partitions, Sharing, WhenFull,
};
use axiomatic_core::models::{bounded_model, long_model, model};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Outcome, Ratio, Rejected};
use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

fn slots(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn config(limit: u32) -> Config {
    Config::new(slots(limit))
        .clock(Clock::Manual(ManualClock::new()))
        .when_full(WhenFull::Wait {
            max_waiting: 2,
            max_wait: Duration::from_secs(1),
            order: Order::Fifo,
        })
}

fn bulkhead(limit: u32) -> Arc<Bulkhead> {
    Arc::new(config(limit).build().unwrap())
}

/// A permit, waited for if there is no slot.
fn get(bulkhead: &Bulkhead, ask: Ask) -> Result<OwnedPermit, Rejected> {
    match bulkhead.admit_or_wait(ask)? {
        Admission::Admitted(permit) => Ok(permit),
        Admission::Waiting(waiting) => block_on(waiting),
    }
}

fn nothing_is_left(bulkhead: &Bulkhead) {
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight(), snapshot.waiting()), (0, 0));
    // Neither is the bit that keeps newcomers out.
    let all = bulkhead.admit_weighing(slots(snapshot.limit()));
    assert!(all.is_ok(), "all slots are free");
}

#[test]
fn in_flight_never_exceeds_limit() {
    bounded_model(|| {
        let bulkhead = bulkhead(2);
        let inside = Arc::new(AtomicU32::new(0));
        let work = |bulkhead: &Bulkhead, inside: &AtomicU32, weight| {
            if let Ok(permit) = bulkhead.admit_weighing(slots(weight)) {
                assert!(inside.fetch_add(weight, Ordering::Relaxed) + weight <= 2);
                inside.fetch_sub(weight, Ordering::Relaxed);
                drop(permit);
            }
        };
        let threads = [1, 2].map(|weight| {
            let (bulkhead, inside) = (Arc::clone(&bulkhead), Arc::clone(&inside));
            thread::spawn(move || work(&bulkhead, &inside, weight))
        });
        work(&bulkhead, &inside, 1);
        for thread in threads {
            thread.join().unwrap();
        }
        nothing_is_left(&bulkhead);
    });
}

/// What one holder of a slot leaves to the next. Loom's cell itself reports
/// what is not ordered.
struct Guarded(UnsafeCell<u32>);

impl Guarded {
    fn add_under(&self, bulkhead: &Bulkhead) {
        if let Ok(permit) = bulkhead.admit() {
            self.0.with_mut(|_| ());
            drop(permit);
        }
    }
}

fn two_add_under(bulkhead: &Arc<Bulkhead>) {
    let data = Arc::new(Guarded(UnsafeCell::new(0)));
    let (other, others) = (Arc::clone(bulkhead), Arc::clone(&data));
    let thread = thread::spawn(move || others.add_under(&other));
    data.add_under(bulkhead);
    thread.join().unwrap();
}

#[test]
fn who_gets_a_slot_sees_what_was_done_under_it_before() {
    model(|| two_add_under(&bulkhead(1)));
    model(|| {
        let all = Partitions::new(Sharing::Reserved).with("own", Ratio::ONE);
        let all = config(1).partitions(all).build().unwrap();
        two_add_under(&Arc::new(all.within(all.partition("own").unwrap())));
    });
}

#[test]
fn a_slot_given_back_reaches_who_waits() {
    model(|| {
        let bulkhead = bulkhead(1);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        let other = Arc::clone(&bulkhead);
        let thread = thread::spawn(move || drop(get(&other, Ask::default()).unwrap()));
        drop(taken);
        thread.join().unwrap();
        nothing_is_left(&bulkhead);
    });
}

#[test]
fn all_who_wait_get_their_slot_in_the_end() {
    long_model(|| {
        let bulkhead = bulkhead(1);
        let threads = [1, 2].map(|_| {
            let bulkhead = Arc::clone(&bulkhead);
            thread::spawn(move || drop(get(&bulkhead, Ask::default()).unwrap()))
        });
        drop(get(&bulkhead, Ask::default()).unwrap());
        for thread in threads {
            thread.join().unwrap();
        }
        nothing_is_left(&bulkhead);
    });
}

#[test]
fn a_cancelled_waiter_never_swallows_a_permit() {
    bounded_model(|| {
        let bulkhead = bulkhead(1);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        // The first in the queue leaves while the slot is given back; the
        // second must get it.
        let Ok(Admission::Waiting(first)) = bulkhead.admit_or_wait(Ask::default()) else {
            panic!("there is no slot");
        };
        let Ok(Admission::Waiting(second)) = bulkhead.admit_or_wait(Ask::default()) else {
            panic!("there is no slot");
        };
        let gives_back = thread::spawn(move || drop(taken));
        let leaves = thread::spawn(move || drop(first));
        drop(block_on(second).unwrap());
        gives_back.join().unwrap();
        leaves.join().unwrap();
        nothing_is_left(&bulkhead);
    });
}

#[test]
fn nobody_passes_by_who_waits() {
    model(|| {
        let bulkhead = bulkhead(1);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        let Ok(Admission::Waiting(waits)) = bulkhead.admit_or_wait(Ask::default()) else {
            panic!("there is no slot");
        };
        let other = Arc::clone(&bulkhead);
        let barges = thread::spawn(move || other.admit().is_ok());
        drop(taken);
        assert!(!barges.join().unwrap());
        drop(block_on(waits).unwrap());
        nothing_is_left(&bulkhead);
    });
}

#[test]
fn resize_loses_no_permit() {
    long_model(|| {
        let bulkhead = bulkhead(1);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        let other = Arc::clone(&bulkhead);
        let waits = thread::spawn(move || drop(get(&other, Ask::default()).unwrap()));
        let other = Arc::clone(&bulkhead);
        let resizes = thread::spawn(move || {
            other.resize(slots(2));
            other.resize(slots(1));
        });
        drop(taken);
        waits.join().unwrap();
        resizes.join().unwrap();
        assert_eq!(bulkhead.snapshot().limit(), 1);
        nothing_is_left(&bulkhead);
    });
}

#[test]
fn a_higher_limit_reaches_who_waits() {
    model(|| {
        let bulkhead = bulkhead(1);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        let other = Arc::clone(&bulkhead);
        let waits = thread::spawn(move || drop(get(&other, Ask::default()).unwrap()));
        bulkhead.resize(slots(2));
        waits.join().unwrap();
        drop(taken);
        nothing_is_left(&bulkhead);
    });
}

fn partitioned(sharing: Sharing) -> (Arc<Bulkhead>, Arc<Bulkhead>) {
    let shares = Partitions::new(sharing).with("own", Ratio::percent(50));
    let all = config(2).partitions(shares).build().unwrap();
    let own = all.within(all.partition("own").unwrap());
    (Arc::new(all), Arc::new(own))
}

#[test]
fn partitions_never_exceed_a_reserved_limit_and_give_all_of_it_back() {
    bounded_model(|| {
        let (all, own) = partitioned(Sharing::Reserved);
        let inside = Arc::new(AtomicU32::new(0));
        let work = |bulkhead: &Bulkhead, inside: &AtomicU32| {
            if let Ok(permit) = bulkhead.admit() {
                assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                inside.fetch_sub(1, Ordering::Relaxed);
                drop(permit);
            }
        };
        let threads = [&own, &own].map(|bulkhead| {
            let (bulkhead, inside) = (Arc::clone(bulkhead), Arc::clone(&inside));
            thread::spawn(move || work(&bulkhead, &inside))
        });
        work(&all, &inside);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(all.snapshot().in_flight(), 0);
        let both = [own.admit().unwrap(), own.admit().unwrap()];
        drop(both);
        assert!(all.admit().is_ok());
    });
}

#[test]
fn a_guarantee_is_good_at_once_whatever_the_others_do() {
    model(|| {
        for sharing in [Sharing::Reserved, Sharing::Borrowing] {
            let (all, own) = partitioned(sharing);
            let greedy = thread::spawn(move || {
                let first = all.admit();
                drop(all.admit());
                drop(first);
            });
            assert!(own.admit().is_ok());
            greedy.join().unwrap();
        }
    });
}

#[test]
fn a_slot_for_all_reaches_who_waits_in_a_partition() {
    bounded_model(|| {
        let (all, own) = partitioned(Sharing::Reserved);
        let first = own.admit_owned(Ask::default()).unwrap();
        let common = all.admit_owned(Ask::default()).unwrap();
        let waits = thread::spawn(move || drop(get(&own, Ask::default()).unwrap()));
        drop(common);
        waits.join().unwrap();
        drop(first);
        assert_eq!(all.snapshot().in_flight(), 0);
        assert!(all.admit().is_ok());
    });
}

#[test]
fn shares_that_change_lose_nothing() {
    long_model(|| {
        let (all, own) = partitioned(Sharing::Reserved);
        let other = Arc::clone(&own);
        let works = thread::spawn(move || {
            let both = [other.admit(), other.admit()];
            drop(both);
        });
        all.resize(slots(1));
        all.resize(slots(2));
        works.join().unwrap();
        assert_eq!(all.snapshot().in_flight(), 0);
        let both = [own.admit().unwrap(), own.admit().unwrap()];
        assert!(all.admit().is_err());
        drop(both);
        assert!(all.admit().is_ok());
    });
}

#[test]
fn a_reserved_limit_that_rises_lets_nobody_in_beyond_it() {
    long_model(|| {
        let shares = Partitions::new(Sharing::Reserved)
            .with("a", Ratio::percent(50))
            .with("b", Ratio::percent(50));
        // Of 3 each has one and one is for all, of 4 each has two.
        let all = config(3).partitions(shares).build().unwrap();
        let [a, b] = ["a", "b"].map(|name| all.within(all.partition(name).unwrap()));
        let _held = [
            a.admit_owned(Ask::default()).unwrap(),
            b.admit_owned(Ask::default()).unwrap(),
        ];
        let other = all.clone();
        let resizes = thread::spawn(move || other.resize(slots(4)));
        let more = [a.admit(), b.admit(), all.admit()];
        let admitted = more.iter().filter(|one| one.is_ok()).count();
        assert!(admitted <= 2, "one call too many");
        resizes.join().unwrap();
    });
}

#[test]
fn who_gets_a_slot_that_was_a_partitions_sees_what_was_done_under_it_before() {
    struct Guarded(UnsafeCell<u32>);
    bounded_model(|| {
        let (all, own) = partitioned(Sharing::Reserved);
        let data = Arc::new(Guarded(UnsafeCell::new(0)));
        let add = |bulkhead: &Bulkhead, data: &Guarded| {
            if let Ok(permit) = bulkhead.admit() {
                data.0.with_mut(|_| ());
                drop(permit);
            }
        };
        let others = Arc::clone(&data);
        let thread = thread::spawn(move || add(&own, &others));
        // Of one slot none is the partition's.
        all.resize(slots(1));
        add(&all, &data);
        thread.join().unwrap();
    });
}

#[test]
fn who_gets_a_slot_of_a_partition_sees_what_was_done_under_it_before() {
    struct Guarded(UnsafeCell<u32>);
    bounded_model(|| {
        for (sharing, percent) in [
            (Sharing::Reserved, 100),
            (Sharing::Reserved, 0),
            (Sharing::Borrowing, 0),
        ] {
            let shares = Partitions::new(sharing).with("own", Ratio::percent(percent));
            let all = config(1).partitions(shares).build().unwrap();
            let own = Arc::new(all.within(all.partition("own").unwrap()));
            let data = Arc::new(Guarded(UnsafeCell::new(0)));
            let add = |bulkhead: &Bulkhead, data: &Guarded| {
                if let Ok(permit) = bulkhead.admit() {
                    data.0.with_mut(|_| ());
                    drop(permit);
                }
            };
            let (other, others) = (Arc::clone(&own), Arc::clone(&data));
            let thread = thread::spawn(move || add(&other, &others));
            add(&own, &data);
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_slot_that_a_partition_took_and_did_not_need_reaches_who_waits() {
    bounded_model(|| {
        let (all, own) = partitioned(Sharing::Reserved);
        let guaranteed = own.admit_owned(Ask::default()).unwrap();
        let waits = thread::spawn(move || drop(get(&all, Ask::default()).unwrap()));
        let comes = thread::spawn(move || drop(own.admit()));
        // Who comes to the partition may by now have taken the slot for all.
        drop(guaranteed);
        comes.join().unwrap();
        waits.join().unwrap();
    });
}

/// Two, then one, then two again.
#[derive(Debug)]
struct Alternating(u32);

impl LimitAlgorithm for Alternating {
    fn initial(&self) -> u32 {
        2
    }

    fn step(&mut self, sample: &Sample) -> Step {
        assert!(sample.answered <= 2, "one call is counted once");
        self.0 += 1;
        Step {
            limit: 1 + self.0 % 2,
            why: Why::Steady,
        }
    }
}

#[test]
fn a_window_is_closed_by_one_call_and_every_call_counts_once() {
    bounded_model(|| {
        let clock = ManualClock::new();
        let limit = adaptive::Config::new(Alternating(1))
            .window(Duration::from_millis(1))
            .clock(Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        let limit = Arc::new(limit);
        let began = clock.now();
        let after = began + Duration::from_secs(1);
        let call = move |limit: &adaptive::AdaptiveLimit| {
            if let Ok(permit) = limit.admit(began) {
                permit.record(after, Outcome::Success);
            }
        };
        let other = Arc::clone(&limit);
        let thread = thread::spawn(move || call(&other));
        call(&limit);
        thread.join().unwrap();
        let snapshot = limit.snapshot();
        let counted = snapshot.sample().map_or(0, |sample| sample.answered);
        assert!((1..=2).contains(&counted), "{counted}");
        assert_eq!(snapshot.in_flight(), 0);
        assert_eq!(snapshot.limit(), 1, "one window, one step");
    });
}
