//! The latency histogram against naive lists, and as it forgets.

use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::time::Instant;
use proptest::prelude::*;

const MILLI: Duration = Duration::from_millis(1);
const HALF_LIFE: Duration = Duration::from_secs(10);

fn at(time: Duration) -> Instant {
    Instant::from_nanos(3_600_000_000_000) + time
}

fn start() -> Instant {
    at(Duration::ZERO)
}

fn watching(percent: u16) -> LatencyHistogram {
    LatencyHistogram::new(Ratio::percent(percent), HALF_LIFE)
}

fn record(histogram: &LatencyHistogram, now: Instant, times: u64, latency: Duration) {
    (0..times).for_each(|_| histogram.record(now, latency));
}

fn is_near(told: Duration, truth: Duration) -> bool {
    16 * told.abs_diff(truth) <= truth
}

#[track_caller]
fn assert_near(told: Option<Duration>, truth: Duration) {
    assert!(
        told.is_some_and(|told| is_near(told, truth)),
        "{told:?} for {truth:?}"
    );
}

/// From nanoseconds to an hour, every octave as likely as the next.
fn latency() -> impl Strategy<Value = Duration> {
    (0..41u32, any::<u64>()).prop_map(|(octave, dice)| {
        let first = 1 << octave;
        Duration::from_nanos(first + dice % first)
    })
}

fn share() -> impl Strategy<Value = Ratio> {
    prop_oneof![
        4 => (0..=100u16).prop_map(Ratio::percent),
        1 => (0..=1_000_000u32).prop_map(Ratio::parts_per_million),
    ]
}

/// One of some steps that lie in buckets of their own, and whether the call
/// ended.
fn call() -> impl Strategy<Value = (u32, bool)> {
    (0..60u32, prop::bool::weighted(0.7))
}

fn step(step: u32) -> Duration {
    Duration::from_nanos((1_000.0 * 1.3f64.powf(f64::from(step))) as u64)
}

/// Quantiles by another way to the same end (Efron): each call has the same
/// weight, and one that was cut short leaves what it has to those that lasted
/// longer. What may be the answer, if rounding decides.
fn redistributed(calls: &[(u32, bool)], share: Ratio) -> Vec<Duration> {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|&(step, ended)| (step, !ended));
    let share = f64::from(share.as_parts_per_million()) / 1e6;
    let mut weights = vec![1.0 / calls.len() as f64; calls.len()];
    let mut sum = 0.0;
    let mut answers = Vec::new();
    for (i, &(at, ended)) in calls.iter().enumerate() {
        if ended {
            sum += weights[i];
            let is_last = calls.get(i + 1).is_none_or(|next| next != &(at, true));
            if is_last && sum > share - 1e-9 {
                answers.push(step(at));
                if sum > share + 1e-9 || share == 0.0 {
                    return answers;
                }
            }
        } else {
            let longer = weights.len() - i - 1;
            let part = weights[i] / longer.max(1) as f64;
            weights[i + 1..]
                .iter_mut()
                .for_each(|weight| *weight += part);
        }
    }
    answers.extend(calls.last().map(|&(last, _)| step(last)));
    answers
}

proptest! {
    #[test]
    fn quantiles_equal_those_of_a_list(
        mut latencies in prop::collection::vec(latency(), 1..300),
        share in share(),
    ) {
        let histogram = LatencyHistogram::new(share, HALF_LIFE);
        latencies.iter().for_each(|&latency| histogram.record(start(), latency));
        let quantile = |latencies: &mut Vec<Duration>, share: Ratio| {
            latencies.sort();
            let rank = share.ceil_of(latencies.len() as u64).max(1);
            latencies[rank as usize - 1]
        };
        let truth = quantile(&mut latencies, share);
        let told = histogram.quantile(share).unwrap();
        prop_assert!(is_near(told, truth), "{told:?} for {truth:?}");
        if latencies.len() as u64 >= histogram.warm_up() {
            // The clock stands still, so the estimate at hand is of all.
            prop_assert_eq!(histogram.watched(), Some(told));
            let truth = quantile(&mut latencies, Ratio::percent(50));
            prop_assert!(is_near(histogram.median().unwrap(), truth));
        } else {
            prop_assert_eq!((histogram.watched(), histogram.median()), (None, None));
        }
    }

    #[test]
    fn quantiles_with_calls_cut_short_equal_those_of_a_list(
        calls in prop::collection::vec(call(), 1..200),
        share in share(),
    ) {
        let histogram = watching(95);
        for &(at, ended) in &calls {
            if ended {
                histogram.record(start(), step(at));
            } else {
                histogram.record_at_least(start(), step(at));
            }
        }
        let told = histogram.quantile(share).unwrap();
        let answers = redistributed(&calls, share);
        prop_assert!(
            answers.iter().any(|&truth| is_near(told, truth)),
            "{told:?} for {answers:?}"
        );
    }

    #[test]
    fn threads_on_lines_of_their_own_add_up(calls in prop::collection::vec(call(), 0..200)) {
        let histogram = watching(95);
        std::thread::scope(|scope| {
            for part in calls.chunks(40) {
                scope.spawn(|| part.iter().for_each(|&(at, ended)| match ended {
                    true => histogram.record(start(), step(at)),
                    false => histogram.record_at_least(start(), step(at)),
                }));
            }
        });
        let ended = calls.iter().filter(|(_, ended)| *ended).count() as u64;
        let snapshot = histogram.snapshot();
        prop_assert_eq!(snapshot.ended(), ended);
        prop_assert_eq!(snapshot.cut_short(), calls.len() as u64 - ended);
    }
}

/// Latencies that end by chance at any moment, 100 ms on average: the same
/// ones for everybody.
fn exponential() -> impl Iterator<Item = Duration> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = (state >> 11) as f64 / (1u64 << 53) as f64;
        Duration::from_secs_f64(-0.1 * (1.0 - uniform).ln())
    })
}

/// The 90th percentile after thirty half-lives in each of which 2,000 calls
/// are given up at 1.1 times of what it was before.
fn after_giving_up(is_recorded: bool) -> Duration {
    let histogram = watching(90);
    let mut latencies = exponential();
    for round in 0..30 {
        let limit = histogram
            .watched()
            .map_or(Duration::MAX, |ninety| ninety * 11 / 10);
        for call in 0..2_000 {
            let now = at(HALF_LIFE * round + 5 * MILLI * call);
            match latencies.next().unwrap() {
                latency if latency <= limit => histogram.record(now, latency),
                _ if is_recorded => histogram.record_at_least(now, limit),
                _ => {}
            }
        }
    }
    histogram.watched().unwrap()
}

#[test]
fn what_was_cut_short_does_not_lower_the_estimate() {
    // Of an exponential with a mean of 100 ms: ln 10.
    let truth = Duration::from_micros(230_259);
    let told = after_giving_up(true);
    assert!(told.abs_diff(truth) < truth / 8, "{told:?}");
    let told = after_giving_up(false);
    assert!(told < truth / 3, "{told:?}");
}

#[test]
fn where_too_many_were_cut_short_the_longest_wait_is_told() {
    let histogram = watching(95);
    record(&histogram, start(), 90, 10 * MILLI);
    (0..10).for_each(|_| histogram.record_at_least(start(), 70 * MILLI));
    assert_near(histogram.watched(), 70 * MILLI);
    assert_near(histogram.quantile(Ratio::percent(90)), 10 * MILLI);
    assert_near(histogram.quantile(Ratio::percent(91)), 70 * MILLI);

    let outage = watching(95);
    (0..100).for_each(|_| outage.record_at_least(start(), 70 * MILLI));
    assert_near(outage.watched(), 70 * MILLI);
    assert_near(outage.median(), 70 * MILLI);
}

#[test]
fn there_is_no_estimate_before_there_are_enough_calls() {
    for (percent, enough) in [
        (50, 20),
        (80, 20),
        (90, 40),
        (95, 80),
        (99, 400),
        (100, 1_000),
    ] {
        let histogram = watching(percent);
        assert_eq!(histogram.warm_up(), enough, "{percent}");
        record(&histogram, start(), enough - 1, MILLI);
        assert_eq!(histogram.watched(), None);
        assert_eq!(histogram.median(), None);
        histogram.record_at_least(start(), MILLI);
        assert_near(histogram.watched(), MILLI);
        assert_near(histogram.median(), MILLI);
    }
    assert_eq!(watching(95).quantile(Ratio::percent(50)), None);
}

#[test]
fn after_a_half_life_a_call_counts_half() {
    let histogram = watching(50);
    record(&histogram, start(), 1_000, 10 * MILLI);
    (0..500).for_each(|_| histogram.record_at_least(start(), MILLI));
    let later = at(HALF_LIFE);
    // Who finds the halving due counts half with the others.
    histogram.record(later, 10 * MILLI);
    let snapshot = histogram.snapshot();
    assert_eq!((snapshot.ended(), snapshot.cut_short()), (500, 250));
    // As many new ones as there were old ones weigh twice as much.
    record(&histogram, later, 250, 30 * MILLI);
    assert_near(histogram.quantile(Ratio::percent(66)), 10 * MILLI);
    record(&histogram, later, 750, 30 * MILLI);
    assert_near(histogram.quantile(Ratio::percent(50)), 30 * MILLI);
    assert_near(histogram.quantile(Ratio::percent(33)), 10 * MILLI);
    // One halving a half-life, however many calls come.
    record(&histogram, at(2 * HALF_LIFE - MILLI), 10, MILLI);
    assert_eq!(histogram.snapshot().ended(), 1_510);
}

#[test]
fn a_halving_does_not_cool_down_what_is_as_busy_as_ever() {
    let histogram = watching(95);
    // 12 ms apart: 83 calls a second.
    for call in 0..10_000 {
        histogram.record(at(120 * MILLI * call), 10 * MILLI);
        assert_eq!(histogram.watched().is_some(), call + 1 >= 80, "{call}");
    }
}

#[test]
fn after_an_idle_time_it_begins_anew() {
    for (half_lives, left) in [(3, 125), (9, 1), (10, 0), (100_000, 0)] {
        let histogram = watching(95);
        record(&histogram, start(), 1_000, 10 * MILLI);
        let later = at(HALF_LIFE * half_lives);
        histogram.record(later, 20 * MILLI);
        assert_eq!(histogram.snapshot().ended(), left, "{half_lives}");
        assert_eq!(histogram.watched().is_some(), left >= 40);
        record(&histogram, later, 80, 20 * MILLI);
        assert!(histogram.watched().is_some());
        assert_eq!(histogram.snapshot().ended(), left + 80);
    }
}

#[test]
fn estimates_are_made_anew_as_time_passes_and_not_with_each_call() {
    let histogram = watching(50);
    record(&histogram, start(), 20, 10 * MILLI);
    record(&histogram, at(MILLI), 200, 30 * MILLI);
    // The first at a later time, and then when the age has doubled.
    assert_near(histogram.watched(), 10 * MILLI);
    histogram.record(at(2 * MILLI), 30 * MILLI);
    assert_near(histogram.watched(), 30 * MILLI);
}

#[test]
fn time_that_steps_back_is_harmless() {
    let histogram = watching(95);
    record(&histogram, at(HALF_LIFE * 50), 1_000, 10 * MILLI);
    record(&histogram, start(), 1_000, 30 * MILLI);
    assert_eq!(histogram.snapshot().ended(), 2_000, "nothing was halved");
    assert_near(histogram.watched(), 30 * MILLI);
    // The half-life runs from there.
    histogram.record(at(HALF_LIFE), 30 * MILLI);
    assert_eq!(histogram.snapshot().ended(), 1_000);
    for nanos in [0, u64::MAX, 0, u64::MAX - 1] {
        record(&histogram, Instant::from_nanos(nanos), 100, MILLI);
        histogram.record_at_least(Instant::from_nanos(nanos), Duration::MAX);
    }
}

#[test]
fn nonsense_is_taken_as_the_nearest_sense() {
    for half_life in [Duration::ZERO, Duration::MAX] {
        let histogram = LatencyHistogram::new(Ratio::percent(500), half_life);
        record(&histogram, start(), 1_000, Duration::MAX);
        assert_eq!(histogram.snapshot().share(), Ratio::ONE);
        let told = histogram.watched().unwrap();
        assert!(told > Duration::from_secs(68 * 60), "{told:?}");
        assert_eq!(histogram.quantile(Ratio::percent(300)), Some(told));
    }
}

#[test]
fn a_snapshot_prints_as_a_line() {
    let histogram = watching(95);
    histogram.record(start(), MILLI);
    assert_eq!(
        histogram.snapshot().to_string(),
        "too few calls yet; 1 ended, 0 cut short"
    );
    record(&histogram, start(), 98, Duration::from_nanos(4));
    histogram.record_at_least(start(), MILLI);
    assert_eq!(
        histogram.snapshot().to_string(),
        "median 4ns, 95 % within 4ns; 99 ended, 1 cut short"
    );
    assert!(format!("{histogram:?}").starts_with("LatencyHistogram"));
}
