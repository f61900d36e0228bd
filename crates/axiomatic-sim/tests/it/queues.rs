//! Queues whose formula is known.

use std::time::Duration;

use axiomatic_sim::{Arrivals, Dependency, Random, Rate, ServiceTime};

/// The mean wait in line, in microseconds, of 400 000 requests that come at
/// this rate and take 10 ms on average.
fn mean_wait(seed: u64, per_second: u32, workers: usize) -> u64 {
    let mean = Duration::from_millis(10);
    let arrivals = Arrivals::poisson(Rate::per_second(per_second));
    let mut server = Dependency::new(ServiceTime::Exponential { mean }).with_workers(workers);
    let random = Random::new(seed);
    let (mut gaps, mut work) = (random.fork(0), random.fork(1));
    let (mut at, mut sum) = (Duration::ZERO, Duration::ZERO);
    let requests = 400_000;
    for _ in 0..requests {
        let Some(next) = arrivals.next_after(at, &mut gaps) else {
            break;
        };
        at = next;
        sum += server.call(at, &mut work).after.unwrap_or_default();
    }
    // What is not wait is work, whose mean is known.
    (sum.as_micros() as u64 / requests).saturating_sub(10_000)
}

#[track_caller]
fn assert_near(measured: u64, formula: u64) {
    let off = measured.abs_diff(formula) * 100 / formula;
    assert!(off <= 5, "{measured} µs, and by the formula {formula} µs");
}

/// ρ / (μ − λ): at 80 of 100 a second, 0.8 / 20 s.
#[test]
fn the_wait_in_an_m_m_1_queue_is_that_of_the_formula() {
    for seed in 1..=3 {
        assert_near(mean_wait(seed, 80, 1), 40_000);
        assert_near(mean_wait(seed, 50, 1), 10_000);
    }
}

/// Erlang's C for four workers at 80 % is 0.5964; over cμ − λ, that is 80 a
/// second, 7.455 ms.
#[test]
fn the_wait_in_an_m_m_c_queue_is_that_of_erlang() {
    for seed in 1..=3 {
        assert_near(mean_wait(seed, 320, 4), 7_455);
    }
}
