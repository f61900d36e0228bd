//! Models of the shipped windows, explored by loom:
//! `cargo xtask loom`, or
//! `RUSTFLAGS="--cfg axiomatic_loom" cargo test --release -p axiomatic-core --test loom`.
#![cfg(axiomatic_loom)]

use std::time::Duration;

use axiomatic_core::time::Instant;
use axiomatic_core::window::{CountWindow, Observation, TimeWindow};
use loom::sync::Arc;
use loom::thread;

/// Two threads with few steps are explored without bound; three, or two with
/// many, at three preemptions, unless `AXIOMATIC_LOOM_UNBOUNDED` asks for all.
fn bounded_model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    if std::env::var_os("AXIOMATIC_LOOM_UNBOUNDED").is_none() {
        builder.preemption_bound = Some(3);
    }
    builder.check(f);
}

fn at(epoch: u64) -> Instant {
    Instant::from_nanos(epoch * 1_000)
}

/// Buckets of a microsecond, in one ring: the threads meet.
fn time_window(buckets: u32) -> Arc<TimeWindow> {
    let span = Duration::from_micros(u64::from(buckets));
    Arc::new(TimeWindow::compact(span, buckets))
}

#[test]
fn no_record_is_lost_within_a_bucket() {
    loom::model(|| {
        let window = time_window(2);
        let other = Arc::clone(&window);
        let thread = thread::spawn(move || other.record(0, at(0), Observation::Failed));
        window.record(0, at(0), Observation::Slow);
        thread.join().unwrap();
        let counts = window.counts(0, at(0));
        assert_eq!((counts.total(), counts.failed(), counts.slow()), (2, 1, 1));
    });
}

#[test]
fn no_record_is_lost_across_a_rotation() {
    loom::model(|| {
        let window = time_window(2);
        window.record(0, at(7), Observation::Fine);
        let other = Arc::clone(&window);
        // Both find that the window must move, by one bucket and by two.
        let thread = thread::spawn(move || other.record(0, at(8), Observation::Failed));
        window.record(0, at(9), Observation::Fine);
        thread.join().unwrap();
        let counts = window.counts(0, at(9));
        assert_eq!((counts.total(), counts.failed()), (2, 1));
    });
}

#[test]
fn two_that_rotate_to_the_same_bucket_clear_it_once() {
    loom::model(|| {
        let window = time_window(1);
        window.record(0, at(3), Observation::Failed);
        let other = Arc::clone(&window);
        let thread = thread::spawn(move || other.record(0, at(4), Observation::Fine));
        window.record(0, at(4), Observation::Fine);
        thread.join().unwrap();
        let counts = window.counts(0, at(4));
        assert_eq!((counts.total(), counts.failed()), (2, 0));
    });
}

#[test]
fn a_new_era_begins_empty_and_loses_nothing() {
    loom::model(|| {
        let window = time_window(1);
        window.record(1, at(3), Observation::Failed);
        let other = Arc::clone(&window);
        let thread = thread::spawn(move || {
            other.record(1, at(3), Observation::Failed); // stale
            other.record(2, at(3), Observation::Fine);
        });
        window.record(2, at(3), Observation::Fine);
        thread.join().unwrap();
        let counts = window.counts(2, at(3));
        assert_eq!((counts.total(), counts.failed()), (2, 0));
    });
}

#[test]
fn a_reader_never_sees_more_slow_calls_than_calls() {
    loom::model(|| {
        let window = time_window(1);
        window.record(0, at(3), Observation::Fine);
        let other = Arc::clone(&window);
        let thread = thread::spawn(move || other.record(0, at(3), Observation::SlowAndFailed));
        let counts = window.counts(0, at(3));
        assert!(counts.slow() < counts.total());
        assert!(counts.failed_or_slow() <= 1);
        thread.join().unwrap();
    });
}

#[test]
fn three_writers_and_a_rotation_lose_nothing() {
    bounded_model(|| {
        let window = time_window(1);
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

/// A window of 24 calls whose current word has room for one more.
fn almost_full_word() -> Arc<CountWindow> {
    let window = CountWindow::last(24);
    for _ in 0..23 {
        window.record(0, Observation::Failed);
    }
    Arc::new(window)
}

#[test]
fn no_outcome_is_lost_across_words() {
    loom::model(|| {
        let window = almost_full_word();
        let other = Arc::clone(&window);
        let thread = thread::spawn(move || {
            other.record(0, Observation::Slow);
            other.record(0, Observation::Slow);
        });
        window.record(0, Observation::Fine);
        thread.join().unwrap();
        let counts = window.counts(0);
        // 26 were recorded, and the oldest two slid out.
        assert_eq!(
            (counts.total(), counts.failed(), counts.slow()),
            (24, 21, 2)
        );
    });
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
        let window = almost_full_word();
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
