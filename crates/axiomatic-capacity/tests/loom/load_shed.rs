//! Models of what sheds load: one call a period decides, and no count is lost.

use std::time::Duration;

use axiomatic_capacity::load_shed::prioritizer::Config;
use axiomatic_capacity::load_shed::signal::Watched;
use axiomatic_capacity::load_shed::{Fairness, Prioritizer, Upstream, fairness, upstream};
use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::hash::Seed;
use axiomatic_core::models::{bounded_model, model};
use axiomatic_core::pressure::Pressure;
use axiomatic_core::time::Instant;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

const PERIOD: Duration = Duration::from_secs(1);

fn at(periods: u32) -> Instant {
    Instant::from_nanos(1_000_000_000) + PERIOD * periods
}

/// One that counts how often it looks, and whose period began at `at(0)`.
fn looking() -> (Prioritizer, Arc<AtomicU32>) {
    let looks = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&looks);
    let prioritizer = Config::new()
        .period(PERIOD)
        .signal(Watched::new("counting", move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
            Pressure::NONE
        }))
        .build()
        .unwrap();
    assert!(prioritizer.admit(at(0), Priority::default()).is_ok());
    (prioritizer, looks)
}

#[test]
fn one_call_a_period_decides() {
    bounded_model(|| {
        let (prioritizer, looks) = looking();
        let other = prioritizer.clone();
        // Ten periods, so that few calls are enough.
        let thread = thread::spawn(move || other.admit(at(10), Priority::default()).is_ok());
        assert!(prioritizer.admit(at(10), Priority::default()).is_ok());
        assert!(thread.join().unwrap(), "nobody waits for who decides");
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        // And it can be decided again.
        assert!(prioritizer.admit(at(20), Priority::default()).is_ok());
        assert_eq!(looks.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn no_request_is_uncounted() {
    bounded_model(|| {
        let (prioritizer, _) = looking();
        let other = prioritizer.clone();
        let thread = thread::spawn(move || {
            let _ = other.admit(at(0), Priority::SHEDDABLE);
            other.turned_away();
        });
        let _ = prioritizer.admit(at(0), Priority::SHEDDABLE);
        prioritizer.turned_away();
        thread.join().unwrap();
        let _ = prioritizer.admit(at(10), Priority::SHEDDABLE);
        assert_eq!(prioritizer.snapshot().offered(), 3);
        assert_eq!(prioritizer.snapshot().turned_away(), 2);
    });
}

#[test]
fn a_change_is_taken_over_once_whoever_decides() {
    bounded_model(|| {
        let (prioritizer, looks) = looking();
        let other = prioritizer.clone();
        let thread = thread::spawn(move || {
            other.watch(Watched::new("one more", |_| Pressure::FULL));
        });
        let _ = prioritizer.admit(at(10), Priority::default());
        thread.join().unwrap();
        let _ = prioritizer.admit(at(20), Priority::default());
        assert!(prioritizer.snapshot().is_overloaded());
        assert_eq!(looks.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn what_is_heard_is_believed_as_long_as_it_was_heard() {
    model(|| {
        let upstream: Upstream = upstream::Config::new()
            .believed_for(PERIOD)
            .build()
            .unwrap();
        let (low, high) = (
            AdmissionLevel::at(Priority::SHEDDABLE_PLUS, 0),
            AdmissionLevel::at(Priority::CRITICAL_PLUS, 0),
        );
        let other = upstream.clone();
        let thread = thread::spawn(move || other.hear(at(0), low));
        upstream.hear(at(5), high);
        let seen = upstream.level(at(5));
        // Of the low one, which is out of date by then, nothing is seen.
        assert!(seen == high || seen == AdmissionLevel::ALL, "{seen}");
        thread.join().unwrap();
    });
}

#[test]
fn who_forgets_never_forgets_more_than_there_is() {
    bounded_model(|| {
        let fairness: Fairness = fairness::Config::new()
            .seed(Seed::fixed(1))
            .half_life(PERIOD)
            .build()
            .unwrap();
        let rank = |fairness: &Fairness, periods| {
            fairness.rank(at(periods), 1, Priority::SHEDDABLE).level()
        };
        rank(&fairness, 0);
        let other = fairness.clone();
        let thread = thread::spawn(move || rank(&other, 1));
        let mine = rank(&fairness, 1);
        let theirs = thread.join().unwrap();
        // A count below nothing would be the largest there is.
        assert!(mine >= 56 && theirs >= 56, "{mine} {theirs}");
        assert!(rank(&fairness, 1) >= 56);
    });
}
