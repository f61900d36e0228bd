//! Models of the shipped windows, and of the atomics of the keyed store,
//! explored by loom: `cargo xtask loom`, or
//! `RUSTFLAGS="--cfg axiomatic_loom" cargo test --release -p axiomatic-core --test loom`.
//!
//! The lane runs one binary a crate, and they share their ways of exploring:
//! hence one file.
#![cfg(axiomatic_loom)]

#[path = "loom/budget.rs"]
mod budget;
#[path = "loom/histogram.rs"]
mod histogram;

use std::num::NonZeroU8;
use std::time::Duration;

use axiomatic_core::keyed::grace_cell::Graces;
use axiomatic_core::keyed::phase_cell::{Look, Phase};
use axiomatic_core::keyed::slots_cell::Slots;
use axiomatic_core::models::{bounded_model, explored, model};
use axiomatic_core::time::Instant;
use axiomatic_core::window::{CountWindow, DueWindow, Observation, Seat, TimeWindow};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::thread;

/// Two threads, explored both ways around.
///
/// Loom 0.7 keeps one last access of each object: of a writer that looks
/// before it exchanges, the look replaces the reader's access, and then the
/// two are not seen to meet. Which of the two is spawned decides about that.
/// `then` runs after both.
fn both_ways<T: Send + Sync + 'static>(make: fn() -> T, one: fn(&T), other: fn(&T), then: fn(&T)) {
    let new = loom::model::Builder::new;
    both_ways_under(new, make, one, other, then);
}

/// The same for two with very many steps: at two preemptions, whatever is
/// asked for.
fn few_preemptions_both_ways<T: Send + Sync + 'static>(
    make: fn() -> T,
    one: fn(&T),
    other: fn(&T),
    then: fn(&T),
) {
    let few = || {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder
    };
    both_ways_under(few, make, one, other, then);
}

fn both_ways_under<T: Send + Sync + 'static>(
    builder: fn() -> loom::model::Builder,
    make: fn() -> T,
    one: fn(&T),
    other: fn(&T),
    then: fn(&T),
) {
    let ways = [(one, other), (other, one)].map(|(spawned, main)| {
        explored(&builder(), move || {
            let shared = Arc::new(make());
            let clone = Arc::clone(&shared);
            let thread = thread::spawn(move || spawned(&clone));
            main(&shared);
            thread.join().unwrap();
            then(&shared);
        })
    });
    assert!(ways != [1, 1], "there was nothing to explore");
}

fn at(epoch: u64) -> Instant {
    Instant::from_nanos(epoch * 1_000)
}

/// Buckets of a microsecond, in one ring: the threads meet.
fn time_window(buckets: u32) -> TimeWindow {
    let span = Duration::from_micros(u64::from(buckets));
    TimeWindow::compact(span, buckets)
}

#[test]
fn no_record_is_lost_within_a_bucket() {
    both_ways(
        || time_window(2),
        |window| window.record(0, at(0), Observation::Failed),
        |window| window.record(0, at(0), Observation::Slow),
        |window| {
            let counts = window.counts(0, at(0));
            assert_eq!((counts.total(), counts.failed(), counts.slow()), (2, 1, 1));
        },
    );
}

#[test]
fn no_record_is_lost_across_a_rotation() {
    both_ways(
        || {
            let window = time_window(2);
            window.record(0, at(7), Observation::Fine);
            window
        },
        // Both find that the window must move, by one bucket and by two.
        |window| window.record(0, at(8), Observation::Failed),
        |window| window.record(0, at(9), Observation::Fine),
        |window| {
            let counts = window.counts(0, at(9));
            assert_eq!((counts.total(), counts.failed()), (2, 1));
        },
    );
}

#[test]
fn two_that_rotate_to_the_same_bucket_clear_it_once() {
    both_ways(
        || {
            let window = time_window(1);
            window.record(0, at(3), Observation::Failed);
            window
        },
        |window| window.record(0, at(4), Observation::Fine),
        |window| window.record(0, at(4), Observation::Fine),
        |window| {
            let counts = window.counts(0, at(4));
            assert_eq!((counts.total(), counts.failed()), (2, 0));
        },
    );
}

#[test]
fn a_new_era_begins_empty_and_loses_nothing() {
    both_ways(
        || {
            let window = time_window(1);
            window.record(1, at(3), Observation::Failed);
            window
        },
        |window| {
            window.record(1, at(3), Observation::Failed); // stale
            window.record(2, at(3), Observation::Fine);
        },
        |window| window.record(2, at(3), Observation::Fine),
        |window| {
            let counts = window.counts(2, at(3));
            assert_eq!((counts.total(), counts.failed()), (2, 0));
        },
    );
}

#[test]
fn a_reader_never_sees_more_slow_calls_than_calls() {
    both_ways(
        || {
            let window = time_window(1);
            window.record(0, at(3), Observation::Fine);
            window
        },
        |window| {
            let counts = window.counts(0, at(3));
            assert!(counts.slow() < counts.total());
            assert!(counts.failed_or_slow() <= 1);
        },
        |window| window.record(0, at(3), Observation::SlowAndFailed),
        |_| (),
    );
}

// Review of be76aa3: the lane of all calls was gone, the slow one's not yet.
#[test]
fn a_reader_never_sees_more_slow_calls_than_calls_across_a_rotation() {
    both_ways(
        || {
            let window = time_window(1);
            window.record(0, at(3), Observation::SlowAndFailed);
            window
        },
        |window| {
            let counts = window.counts(0, at(3));
            assert!(counts.slow() <= counts.total());
            assert!(counts.failed_or_slow() <= counts.total());
        },
        |window| window.record(0, at(4), Observation::Fine),
        |_| (),
    );
}

#[test]
fn three_writers_and_a_rotation_lose_nothing() {
    bounded_model(|| {
        let window = Arc::new(time_window(1));
        window.record(0, at(3), Observation::Failed);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let window = Arc::clone(&window);
                thread::spawn(move || window.record(0, at(4), Observation::Fine))
            })
            .collect();
        window.record(0, at(4), Observation::Failed);
        for thread in threads {
            thread.join().unwrap();
        }
        let counts = window.counts(0, at(4));
        assert_eq!((counts.total(), counts.failed()), (3, 1));
    });
}

fn step(number: u64) -> Instant {
    Instant::from_nanos(number << 10)
}

/// Just before a step begins.
fn before(number: u64) -> Instant {
    Instant::from_nanos((number << 10) - 1)
}

/// So many steps of a microsecond and as many ahead, in one ring: two steps
/// have eight places.
fn due_window(steps: u32) -> DueWindow {
    DueWindow::compact(DueWindow::SHORTEST_STEP * steps, Duration::ZERO)
}

/// The seat in the only ring.
fn seat() -> Seat {
    Seat::from_number(NonZeroU8::MIN)
}

/// With a call under way that is due in step 5.
fn one_due_in_step_5() -> DueWindow {
    let window = due_window(2);
    assert_eq!(window.begin(0, step(4), step(5)), Some(seat()));
    window
}

#[test]
fn a_call_that_ends_as_it_becomes_due_is_counted_once() {
    // By its own clock it ends in time; by the reader's the step is over.
    both_ways(
        one_due_in_step_5,
        |window| window.end(0, seat(), step(5), before(5), true),
        |window| {
            window.begins_step(0, step(6));
            let counts = window.counts(0, step(6));
            assert_eq!(counts.total(), 1);
            assert!(counts.failed_or_slow() <= 1);
        },
        |window| {
            let counts = window.counts(0, step(6));
            assert_eq!((counts.total(), counts.failed(), counts.slow()), (1, 1, 0));
        },
    );
    // Late by both: it stays slow, and its failure is added.
    both_ways(
        one_due_in_step_5,
        |window| window.end(0, seat(), step(5), step(6), true),
        |window| {
            let counts = window.counts(0, step(6));
            assert_eq!((counts.total(), counts.slow()), (1, 1));
            assert_eq!(counts.failed_or_slow(), 1);
        },
        |window| {
            let counts = window.counts(0, step(6));
            assert_eq!((counts.total(), counts.failed(), counts.slow()), (1, 1, 1));
        },
    );
}

#[test]
fn no_call_is_lost_while_steps_rotate() {
    // To the same step.
    both_ways(
        one_due_in_step_5,
        |window| assert!(window.begin(0, step(5), step(6)).is_some()),
        |window| assert!(window.begin(0, step(5), step(6)).is_some()),
        |window| assert_eq!(window.counts(0, step(7)).slow(), 2),
    );
    // By one step and by two.
    both_ways(
        one_due_in_step_5,
        |window| assert!(window.begin(0, step(5), step(6)).is_some()),
        |window| assert!(window.begin(0, step(5), step(7)).is_some()),
        |window| assert_eq!(window.counts(0, step(8)).slow(), 1, "one has left"),
    );
    both_ways(
        || due_window(2),
        |window| window.record(0, step(8), true, false),
        |window| window.record(0, step(9), true, true),
        |window| {
            let counts = window.counts(0, step(9));
            assert_eq!((counts.total(), counts.failed(), counts.slow()), (2, 2, 1));
        },
    );
}

#[test]
fn a_late_begin_never_stays_in_a_reused_step() {
    both_ways(
        one_due_in_step_5,
        // Unless it is refused, it is in the step that was.
        |window| {
            window.begin(0, step(4), step(5));
        },
        |window| window.record(0, step(13), false, false),
        |window| {
            let counts = window.counts(0, step(14));
            assert_eq!((counts.total(), counts.slow()), (1, 0));
        },
    );
}

#[test]
fn only_one_thread_begins_a_step() {
    both_ways(
        || (due_window(1), AtomicU32::new(0)),
        |(window, told)| {
            told.fetch_add(window.begins_step(0, step(5)).into(), Ordering::Relaxed);
        },
        |(window, told)| {
            told.fetch_add(window.begins_step(0, step(5)).into(), Ordering::Relaxed);
        },
        |(_, told)| assert_eq!(told.load(Ordering::Relaxed), 1),
    );
}

#[test]
fn a_new_era_of_due_calls_begins_empty_and_loses_nothing() {
    fn old_era() -> DueWindow {
        let window = due_window(1);
        window.record(1, step(5), true, false);
        window
    }
    fn begins(window: &DueWindow) {
        window.record(2, step(5), false, false);
    }
    few_preemptions_both_ways(old_era, begins, begins, |window| {
        let counts = window.counts(2, step(5));
        assert_eq!((counts.total(), counts.failed()), (2, 0));
    });
    few_preemptions_both_ways(
        old_era,
        |window| window.record(1, step(5), true, false), // stale
        begins,
        |window| {
            let counts = window.counts(2, step(5));
            assert_eq!((counts.total(), counts.failed()), (1, 0));
        },
    );
}

#[test]
fn a_reader_never_sees_more_failures_than_calls() {
    fn holds(window: &DueWindow) {
        let counts = window.counts(0, step(5));
        assert!(counts.failed() <= counts.total());
        assert!(counts.failed_or_slow() <= counts.total());
    }
    // One that was not watched; one that ends in time; one that is late.
    both_ways(
        || due_window(2),
        holds,
        |window| window.record(0, step(5), true, true),
        |_| (),
    );
    both_ways(
        one_due_in_step_5,
        holds,
        |window| window.end(0, seat(), step(5), step(4), true),
        |_| (),
    );
    // Across a rotation.
    both_ways(
        || {
            let window = due_window(1);
            window.record(0, step(5), true, false);
            window
        },
        holds,
        |window| window.record(0, step(9), false, false),
        |_| (),
    );
}

/// A window of 24 calls whose current word has room for one more.
fn almost_full_word() -> CountWindow {
    let window = CountWindow::last(24);
    for _ in 0..23 {
        window.record(0, Observation::Failed);
    }
    window
}

#[test]
fn no_outcome_is_lost_across_words() {
    both_ways(
        almost_full_word,
        |window| {
            window.record(0, Observation::Slow);
            window.record(0, Observation::Slow);
        },
        |window| window.record(0, Observation::Fine),
        |window| {
            let counts = window.counts(0);
            // 26 were recorded, and the oldest two slid out.
            assert_eq!(
                (counts.total(), counts.failed(), counts.slow()),
                (24, 21, 2)
            );
        },
    );
}

#[test]
fn a_new_era_of_outcomes_begins_empty_and_loses_nothing() {
    bounded_model(|| {
        let window = Arc::new(CountWindow::last(2));
        window.record(1, Observation::Failed);
        let other = Arc::clone(&window);
        let thread = thread::spawn(move || {
            other.record(1, Observation::Failed); // stale
            other.record(2, Observation::Slow);
        });
        window.record(2, Observation::Fine);
        thread.join().unwrap();
        let counts = window.counts(2);
        assert_eq!((counts.total(), counts.failed(), counts.slow()), (2, 0, 1));
    });
}

#[test]
fn three_writers_across_words_lose_nothing() {
    bounded_model(|| {
        let window = Arc::new(almost_full_word());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let window = Arc::clone(&window);
                thread::spawn(move || window.record(0, Observation::Slow))
            })
            .collect();
        window.record(0, Observation::Fine);
        for thread in threads {
            thread.join().unwrap();
        }
        let counts = window.counts(0);
        assert_eq!((counts.total(), counts.slow()), (24, 2));
    });
}

/// What the keyed store makes of its collector, in small: the note that a
/// reader is inside, the barriers of both sides, and that whoever leaves last
/// drops the tickets that wait for it.
#[derive(Default)]
struct Inside(AtomicU32);

const INSIDE: u32 = 1;
const INSIDE_WITH_TICKET: u32 = 2;

impl Inside {
    fn enter(&self) {
        self.0.store(INSIDE, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn leave(&self, graces: &Graces) {
        if self.0.swap(0, Ordering::Release) == INSIDE_WITH_TICKET {
            fence(Ordering::Acquire);
            graces.pass(1);
        }
    }

    /// Retires the ticket of round 1.
    fn retire(&self, graces: &Graces) {
        graces.issue();
        fence(Ordering::SeqCst);
        let with_ticket = INSIDE_WITH_TICKET;
        let waits =
            self.0
                .compare_exchange(INSIDE, with_ticket, Ordering::Release, Ordering::Relaxed);
        if waits.is_err() {
            fence(Ordering::Acquire);
            graces.pass(1);
        }
    }
}

#[derive(Default)]
struct Value {
    inside: Inside,
    /// What makes it not idle; of the reader, hence Relaxed: that the hand
    /// sees it is the cells' merit.
    used: AtomicU32,
}

/// A reader that uses the value if it may, and tells whether it did.
fn reads(value: &Value, phase: &Phase, graces: &Graces) -> bool {
    value.inside.enter();
    let held = phase.hold();
    if held {
        value.used.store(1, Ordering::Relaxed);
    }
    value.inside.leave(graces);
    held
}

/// The second look of the hand: whether it let the value go.
fn lets_go(value: &Value, phase: &Phase, graces: &Graces) -> bool {
    if phase.look() != Look::Closed(1) || !graces.has_passed(1) {
        return false;
    }
    if value.used.load(Ordering::Relaxed) != 0 {
        phase.reopen(1);
        return false;
    }
    phase.go(1)
}

struct Eviction {
    value: Value,
    phase: Phase,
    graces: Graces,
    /// What came of it, for when both threads are done: std's, which loom
    /// does not see.
    used: std::sync::Mutex<bool>,
    gone: std::sync::Mutex<bool>,
}

#[test]
fn a_value_in_use_is_never_evicted() {
    both_ways(
        || Eviction {
            value: Value::default(),
            phase: Phase::new(),
            graces: Graces::new(),
            used: false.into(),
            gone: false.into(),
        },
        |all| {
            let used = reads(&all.value, &all.phase, &all.graces);
            *all.used.lock().unwrap() = used;
        },
        |all| {
            all.phase.close(1);
            all.value.inside.retire(&all.graces);
            let gone = lets_go(&all.value, &all.phase, &all.graces);
            *all.gone.lock().unwrap() = gone;
        },
        |all| {
            let (gone, used) = (*all.gone.lock().unwrap(), *all.used.lock().unwrap());
            assert!(!(gone && used), "a value was evicted under its user");
            assert!(gone || used || lets_go(&all.value, &all.phase, &all.graces));
            assert_eq!(all.graces.out(), 0);
        },
    );
}

#[test]
fn two_that_open_a_closed_value_and_the_hand_agree() {
    bounded_model(|| {
        let phase = Arc::new(Phase::new());
        phase.close(1);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let phase = Arc::clone(&phase);
                thread::spawn(move || phase.hold())
            })
            .collect();
        let gone = phase.go(1);
        for reader in readers {
            assert_ne!(reader.join().unwrap(), gone);
        }
    });
}

/// Takes a place, says so in `held`, and gives it back.
fn takes(slots: &Slots, held: &[UnsafeCell<()>]) -> bool {
    let Some(place) = slots.reserve() else {
        return false;
    };
    // Panics if another holds the place, or held it and is not known to be
    // done.
    held[place as usize].with_mut(|_| ());
    slots.occupy(place, 7);
    assert!(slots.taken() <= slots.cap());
    slots.release(place);
    true
}

#[test]
fn a_place_has_one_holder() {
    model(|| {
        let slots = Arc::new((Slots::new(1), [UnsafeCell::new(())]));
        let other = Arc::clone(&slots);
        let thread = thread::spawn(move || takes(&other.0, &other.1));
        let one = takes(&slots.0, &slots.1);
        assert!(thread.join().unwrap() | one, "the only place was free");
        assert_eq!(slots.0.taken(), 0);
    });
}

#[test]
fn reserved_never_exceeds_the_cap() {
    bounded_model(|| {
        let slots = Arc::new(Slots::new(2));
        let other = Arc::clone(&slots);
        // While one takes the topmost place, the other takes both and gives
        // back the topmost: what lay below it is taken.
        let thread = thread::spawn(move || {
            let first = other.reserve();
            let second = other.reserve();
            if let (Some(first), Some(_)) = (first, second) {
                other.release(first);
                return 1;
            }
            u32::from(first.is_some()) + u32::from(second.is_some())
        });
        let mut mine = u32::from(slots.reserve().is_some());
        let others = thread.join().unwrap();
        while slots.reserve().is_some() {
            mine += 1;
        }
        assert_eq!(mine + others, 2);
        assert_eq!(slots.taken(), 2);
    });
}
