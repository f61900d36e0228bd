//! Models of the latency histogram. In a model it has three buckets and two
//! lines, and two calls warm it up.

use axiomatic_core::Ratio;
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::time::Instant;
use std::time::Duration;

use super::both_ways;

/// A half-life is a millisecond.
fn at(half_life: u64) -> Instant {
    Instant::from_nanos(half_life * 1_000_000)
}

const LATENCY: Duration = Duration::from_nanos(1);

fn record(histogram: &LatencyHistogram, half_life: u64) {
    histogram.record(at(half_life), LATENCY);
}

fn record_at_least(histogram: &LatencyHistogram, half_life: u64) {
    histogram.record_at_least(at(half_life), LATENCY);
}

/// A warm one that has seen four calls of each kind in half-life 1.
fn warm() -> LatencyHistogram {
    let histogram = LatencyHistogram::new(Ratio::percent(95), LatencyHistogram::SHORTEST);
    for _ in 0..4 {
        record(&histogram, 1);
        record_at_least(&histogram, 1);
    }
    assert_eq!(histogram.watched(), Some(LATENCY));
    histogram
}

fn counts(histogram: &LatencyHistogram) -> (u64, u64) {
    let snapshot = histogram.snapshot();
    (snapshot.ended(), snapshot.cut_short())
}

#[test]
fn a_racing_halving_takes_half_and_no_record() {
    both_ways(
        warm,
        |histogram| record(histogram, 2),
        |histogram| record_at_least(histogram, 2),
        |histogram| {
            // Of four or five that it saw it left two; one that it did not
            // see stays.
            let (ended, cut_short) = counts(histogram);
            assert!((2..=3).contains(&ended), "{ended}");
            assert!((2..=3).contains(&cut_short), "{cut_short}");
            assert_eq!(histogram.watched(), Some(LATENCY));
        },
    );
}

#[test]
fn two_that_find_a_halving_due_halve_once() {
    both_ways(
        warm,
        |histogram| record(histogram, 2),
        |histogram| record(histogram, 2),
        |histogram| assert_eq!(counts(histogram), (3, 2)),
    );
}

#[test]
fn no_call_is_lost_as_it_warms_up() {
    both_ways(
        || LatencyHistogram::new(Ratio::percent(95), LatencyHistogram::SHORTEST),
        |histogram| {
            record(histogram, 1);
            record(histogram, 1);
        },
        |histogram| record_at_least(histogram, 1),
        |histogram| {
            assert_eq!(counts(histogram), (2, 1));
            // One that found another at it was not counted towards the
            // warm-up, and the next one is.
            record(histogram, 1);
            assert_eq!(histogram.watched(), Some(LATENCY));
        },
    );
}
