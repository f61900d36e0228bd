//! Threads that meet in a set.

use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;

use super::{Limiter, bytes, config, number, start};

#[test]
fn many_threads_with_few_keys_and_fewer_slots_admit_what_one_would() {
    // One a day: what is admitted is what is there.
    let limiter: Limiter = config(Quota::per_day(number(50)), bytes(64))
        .build()
        .unwrap();
    let keys = 8;
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let limiter = &limiter;
                scope.spawn(move || {
                    let calls = (0..8_000).map(|call| limiter.admit(&(call % keys), start()));
                    calls.filter(Result::is_ok).count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(admitted, 8 * 50);
}

/// Both bring the same new key in each turn, at times of which each may be
/// earlier; a key is live for a while and goes, so that slots change hands.
#[test]
fn threads_that_bring_one_new_key_never_get_two_bursts_of_it() {
    let quota = Quota::per_second(number(1_000)).burst(number(3));
    let limiter: Limiter = config(quota, bytes(128)).build().unwrap();
    let barrier = std::sync::Barrier::new(2);
    let of_thread = |thread: u64| -> Vec<usize> {
        let turn = |turn: u64| {
            barrier.wait();
            let late = Duration::from_micros(turn * (thread + 1) % 7);
            let now = start() + Duration::from_micros(400 * turn) + late;
            (0..3).filter(|_| limiter.admit(&turn, now).is_ok()).count()
        };
        (0..10_000).map(turn).collect()
    };
    let counts = std::thread::scope(|scope| {
        [0, 1]
            .map(|thread| scope.spawn(move || of_thread(thread)))
            .map(|thread| thread.join().unwrap())
    });
    for (key, (one, other)) in counts[0].iter().zip(&counts[1]).enumerate() {
        assert!(one + other <= 3, "key {key}: {one} and {other}");
    }
}
