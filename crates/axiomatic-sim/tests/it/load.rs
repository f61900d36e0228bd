//! Statistics at fixed seeds, with bounds of four standard deviations where
//! the deviation is known, and said otherwise.

use std::time::Duration;

use axiomatic_sim::{Arrivals, Random, Rate, ServiceTime, Timeline};

/// How many arrive in each second, its end included: even arrivals come at
/// ends.
fn counts(arrivals: &Arrivals, seed: u64, seconds: usize) -> Vec<i64> {
    let mut random = Random::new(seed);
    let mut counts = vec![0; seconds];
    let mut at = Duration::ZERO;
    while let Some(next) = arrivals.next_after(at, &mut random) {
        at = next;
        match counts.get_mut((at - Duration::from_nanos(1)).as_secs() as usize) {
            Some(count) => *count += 1,
            None => break,
        }
    }
    counts
}

#[test]
fn poisson_arrivals_have_the_rate_and_the_variance_of_a_poisson_process() {
    for seed in 0..5 {
        let counts = counts(&Arrivals::poisson(Rate::per_second(100)), seed, 1_000);
        let sum: i64 = counts.iter().sum();
        // 100 000, give or take 4 × √100 000.
        assert!((sum - 100_000).abs() < 1_265, "seed {seed}: {sum}");
        let squares: i64 = counts.iter().map(|count| (count - 100).pow(2)).sum();
        // The variance is the mean; 4 × √(2 / 1000) of it.
        assert!((squares - 100_000).abs() < 18_000, "seed {seed}: {squares}");
    }
}

#[test]
fn even_arrivals_are_even() {
    let counts = counts(&Arrivals::evenly(Rate::per_second(50)), 1, 20);
    assert_eq!(counts, [50; 20]);
}

#[test]
fn steps_and_ramps_of_the_rate_are_followed() {
    let second = Duration::from_secs;
    let rate = Timeline::always(Rate::per_second(10))
        .then(second(10), Rate::NOTHING)
        .then(second(20), Rate::per_second(1_000))
        .ramp(second(30)..second(40), Rate::NOTHING);
    let even = counts(&Arrivals::evenly(rate.clone()), 1, 60);
    let sum = |counts: &[i64], from: usize, until: usize| counts[from..until].iter().sum::<i64>();
    assert_eq!(sum(&even, 0, 10), 100);
    assert_eq!(sum(&even, 10, 20), 0);
    assert_eq!(sum(&even, 20, 30), 10_000);
    // A ramp is taken in steps of 10 ms, at their beginning: half a step of
    // the whole height too many.
    assert!((5_000..=5_006).contains(&sum(&even, 30, 40)), "{even:?}");
    assert_eq!(sum(&even, 40, 60), 0);

    let poisson = counts(&Arrivals::poisson(rate), 1, 60);
    for (from, until, expected) in [(0, 10, 100), (10, 20, 0), (20, 30, 10_000), (30, 40, 5_005)] {
        let off = (sum(&poisson, from, until) - expected).pow(2);
        assert!(off <= 16 * expected, "{from} s: {poisson:?}");
    }
    assert_eq!(sum(&poisson, 40, 60), 0);
}

#[test]
fn a_load_that_never_comes_back_has_no_next_arrival() {
    let arrivals = Arrivals::poisson(Rate::NOTHING);
    assert_eq!(
        arrivals.next_after(Duration::ZERO, &mut Random::new(1)),
        None
    );
}

/// So many service times, the shortest first.
fn drawn(takes: ServiceTime) -> Vec<u64> {
    let mut random = Random::new(5);
    let draw = |_| takes.draw(&mut random).map(|time| time.as_micros() as u64);
    let mut times: Vec<u64> = (0..100_000).filter_map(draw).collect();
    times.sort_unstable();
    times
}

#[test]
fn service_times_have_the_moments_they_were_asked_for() {
    let [median, p99] = [Duration::from_millis(40), Duration::from_millis(400)];
    let near = |value: u64, expected: u64, per_mille: u64| {
        value.abs_diff(expected) * 1_000 <= expected * per_mille
    };

    let times = drawn(ServiceTime::LogNormal { median, p99 });
    assert!(near(times[50_000], 40_000, 20), "median {}", times[50_000]);
    assert!(near(times[99_000], 400_000, 50), "p99 {}", times[99_000]);

    let times = drawn(ServiceTime::Exponential { mean: median });
    let mean = times.iter().sum::<u64>() / 100_000;
    assert!(near(mean, 40_000, 13), "mean {mean}");
    // Without memory: ln 2 and ln 100 times the mean.
    assert!(near(times[50_000], 27_726, 20), "median {}", times[50_000]);
    assert!(near(times[99_000], 184_207, 50), "p99 {}", times[99_000]);

    let times = drawn(ServiceTime::Uniform {
        shortest: median,
        longest: p99,
    });
    let mean = times.iter().sum::<u64>() / 100_000;
    assert!(near(mean, 220_000, 10), "mean {mean}");
    assert!(times[0] >= 40_000 && times[99_999] <= 400_000);

    assert!(
        drawn(ServiceTime::Constant(median))
            .iter()
            .all(|time| *time == 40_000)
    );
    assert!(drawn(ServiceTime::Never).is_empty());
}
