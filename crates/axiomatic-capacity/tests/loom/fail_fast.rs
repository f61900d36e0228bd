//! Models of fail-fast: one word, which some find too old and some clear.

use std::time::Duration;

use axiomatic_capacity::load_shed::fail_fast::{Config, FailFast, Verdict, Wait};
use axiomatic_core::models::model;
use axiomatic_core::time::Instant;
use loom::thread;

const PATIENCE: Duration = Duration::from_secs(1);

fn start() -> Instant {
    Instant::from_nanos(1_000)
}

/// With waits that began at the start.
fn stuck<const N: usize>() -> (FailFast, [Wait; N]) {
    let fail_fast = Config::new(PATIENCE).build().unwrap();
    let waits = std::array::from_fn(|_| {
        let mut wait = Wait::default();
        let _ = fail_fast.found_unready(&mut wait, start());
        wait
    });
    (fail_fast, waits)
}

/// Whichever comes first: a decision that was made before is not acted on
/// after.
#[test]
fn what_is_found_ready_is_not_failed_by_who_waited_before() {
    model(|| {
        let (fail_fast, [mut waits]) = stuck();
        let other = fail_fast.clone();
        let finds = thread::spawn(move || other.found_ready(&mut Wait::default()));
        let verdict = fail_fast.found_unready(&mut waits, start() + PATIENCE);
        finds.join().unwrap();
        assert!(!fail_fast.is_failing());
        let episodes = fail_fast.snapshot().episodes();
        assert_eq!(episodes, u64::from(verdict == Verdict::Refuse));
    });
}

#[test]
fn an_episode_is_begun_by_one() {
    model(|| {
        let (fail_fast, [mut mine, mut yours]) = stuck();
        let other = fail_fast.clone();
        let late = start() + PATIENCE;
        let thread = thread::spawn(move || other.found_unready(&mut yours, late));
        let verdict = fail_fast.found_unready(&mut mine, late);
        assert_eq!([verdict, thread.join().unwrap()], [Verdict::Refuse; 2]);
        assert_eq!(fail_fast.snapshot().episodes(), 1);
        assert!(fail_fast.is_failing());
    });
}
