//! A timeout that learns from what calls take.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Mode, Name, Outcome, Pattern, Ratio, Reason, Rejected};
use axiomatic_latency::timeout::{Adaptive, Config, ConfigError, Permit, Timeout};
use futures::FutureExt;
use tokio::time::sleep;
use tower::{Layer, Service, service_fn};

use super::{MILLI, answers_after, call, typed};

const LONGEST: Duration = Duration::from_secs(10);
const HALF_LIFE: Duration = Duration::from_secs(10);

fn at(time: Duration) -> Instant {
    Instant::from_nanos(50_000_000_000) + time
}

fn adaptive(percent: u16, times: u16) -> Adaptive {
    Adaptive::of(Ratio::percent(percent)).times(Ratio::percent(times))
}

fn built(adaptive: Adaptive) -> Timeout {
    Config::after(LONGEST)
        .named("adaptive")
        .adaptive(adaptive.half_life(HALF_LIFE))
        .build()
        .unwrap()
}

/// So many calls, all of which take so long and have this outcome.
fn calls(timeout: &Timeout, calls: u32, latency: Duration, outcome: Outcome) {
    calls_from(Duration::ZERO, timeout, calls, latency, outcome);
}

fn calls_from(from: Duration, timeout: &Timeout, calls: u32, latency: Duration, outcome: Outcome) {
    for _ in 0..calls {
        let permit = timeout.admit(at(from), None).unwrap();
        permit.record(at(from + latency), outcome);
    }
}

#[track_caller]
fn assert_near(told: Duration, truth: Duration) {
    assert!(
        16 * told.abs_diff(truth) <= truth + 16 * MILLI / 100,
        "{told:?}"
    );
}

#[test]
fn until_there_are_enough_calls_the_time_is_the_longest() {
    let timeout = built(adaptive(99, 200));
    calls(&timeout, 399, 20 * MILLI, Outcome::Success);
    assert_eq!(timeout.duration(), LONGEST);
    calls(&timeout, 1, 20 * MILLI, Outcome::Success);
    assert_near(timeout.duration(), 40 * MILLI);
    let permit = timeout.admit(at(LONGEST), None).unwrap();
    assert_eq!(
        permit.deadline().instant(),
        at(LONGEST) + timeout.duration()
    );
}

#[test]
fn the_time_is_some_times_a_quantile_between_the_shortest_and_the_longest() {
    for (latency, times, at_least, expected) in [
        (20, 125, 10, 25),
        (20, 200, 10, 40),
        (20, 10_000, 10, 2_000),
        (20, 200, 60, 60),
        (2, 200, 10, 10),
        (8_000, 200, 10, 10_000),
        (10_000_000, 10_000, 10, 10_000),
    ] {
        let timeout = built(adaptive(90, times).at_least(at_least * MILLI));
        calls(&timeout, 100, latency * MILLI, Outcome::Success);
        assert_near(timeout.duration(), expected * MILLI);
    }
    let timeout = built(adaptive(90, 200));
    calls(&timeout, 100, 20 * MILLI, Outcome::Success);
    timeout.update(5 * MILLI);
    assert_eq!(
        timeout.duration(),
        5 * MILLI,
        "a limit, whatever else is said"
    );
    let printed = timeout.snapshot().to_string();
    assert!(
        printed.starts_with("timeout adaptive: 5ms, enforce; median "),
        "{printed}"
    );
    assert_eq!(
        timeout.snapshot().latencies().map(|told| told.ended()),
        Some(100)
    );
}

#[test]
fn quick_failures_do_not_shorten_the_time() {
    let throttled = Outcome::Throttled { retry_after: None };
    for (outcome, expected) in [
        (Outcome::Transient, 400),
        (throttled, 400),
        (Outcome::Ignored, 400),
        // An answer that says no is an answer.
        (Outcome::Permanent, 20),
    ] {
        let timeout = built(adaptive(90, 2_000));
        calls(&timeout, 100, 20 * MILLI, Outcome::Success);
        for second in 1..5 {
            let from = second * Duration::from_secs(1);
            calls_from(from, &timeout, 500, MILLI, outcome);
            calls_from(from, &timeout, 1, 20 * MILLI, Outcome::Success);
        }
        assert_near(timeout.duration(), expected * MILLI);
    }
}

/// For longer than it takes to forget what came before, and from the start: a
/// review of 2026-11-26 saw 10 s become 10 ms, and a dependency that was well
/// again given up for it.
#[test]
fn an_outage_of_quick_failures_does_not_shorten_the_time() {
    let timeout = built(adaptive(99, 200));
    calls(&timeout, 500, MILLI, Outcome::Transient);
    assert_eq!(timeout.duration(), LONGEST, "nothing was ever answered");
    for second in 1..=50 {
        let from = Duration::from_secs(second);
        calls_from(from, &timeout, 100, 100 * MILLI, Outcome::Success);
    }
    let before = timeout.duration();
    for second in 51..=350 {
        let from = Duration::from_secs(second);
        calls_from(from, &timeout, 100, MILLI, Outcome::Transient);
    }
    assert!(timeout.duration() >= before, "{before:?}");
}

#[test]
fn calls_given_up_or_cancelled_count_as_having_lasted_so_long() {
    for ends in [
        (|mut permit: Permit| assert!(permit.elapsed().is_err())) as fn(Permit),
        |permit| permit.cancelled(at(LONGEST)),
    ] {
        let timeout = built(adaptive(90, 200));
        for _ in 0..100 {
            ends(timeout.admit(at(Duration::ZERO), None).unwrap());
        }
        let told = timeout.snapshot().latencies().unwrap();
        assert_eq!((told.ended(), told.cut_short()), (0, 100));
        assert_near(told.watched().unwrap(), LONGEST);
    }
    let timeout = built(adaptive(90, 200));
    drop(timeout.admit(at(Duration::ZERO), None).unwrap());
    assert_eq!(timeout.snapshot().latencies().unwrap().cut_short(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_layer_tells_what_became_of_each_call() {
    let timeout = built(adaptive(90, 200));
    timeout.update(50 * MILLI);
    let layer = typed(&timeout);
    for wait in [20, 80] {
        let service = layer.layer(answers_after(wait * MILLI));
        let answer = call(service, Context::default()).await;
        assert_eq!(answer.is_ok(), wait == 20);
    }
    // Fails, panics, and is dropped while it is under way.
    let rejected = Rejected::new(Pattern::Retry, Reason::Elapsed);
    let fails = service_fn(move |_: Context| async move { Err::<(), _>(rejected) });
    assert!(call(layer.layer(fails), Context::default()).await.is_err());
    let panics = service_fn(|_: Context| async {
        let answer = sleep(MILLI).map(|()| panic!("planted")).await;
        Ok::<(), Rejected>(answer)
    });
    let call_that_panics = call(layer.layer(panics), Context::default());
    assert!(tokio::spawn(call_that_panics).await.is_err());
    let mut service = layer.layer(answers_after(20 * MILLI));
    drop(service.call(Context::default()));

    let told = timeout.snapshot().latencies().unwrap();
    // Elapsed, panicked, dropped; a failure at once says nothing of how long
    // an answer takes.
    assert_eq!((told.ended(), told.cut_short()), (1, 3));
    // What a layer further in refuses says nothing.
    let refused = Rejected::new(Pattern::CircuitBreaker, Reason::Open);
    let refuses = service_fn(move |_: Context| async move { Err::<(), _>(refused) });
    assert!(
        call(layer.layer(refuses), Context::default())
            .await
            .is_err()
    );
    let told = timeout.snapshot().latencies().unwrap();
    assert_eq!((told.ended(), told.cut_short()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn in_shadow_it_learns_and_off_it_does_not() {
    for (mode, ended) in [(Mode::Shadow, 1), (Mode::Off, 0)] {
        let timeout = built(adaptive(90, 200));
        timeout.update(10 * MILLI);
        timeout.set_mode(mode);
        let service = typed(&timeout).layer(answers_after(30 * MILLI));
        assert!(call(service, Context::default()).await.is_ok());
        let told = timeout.snapshot().latencies().unwrap();
        assert_eq!((told.ended(), told.cut_short()), (ended, 0));
    }
}

#[test]
fn what_would_see_too_little_to_learn_from_is_refused() {
    let config = |adaptive| Config::after(LONGEST).adaptive(adaptive).build();
    let refused = |adaptive| config(adaptive).unwrap_err();
    let percent = Ratio::percent;
    assert_eq!(refused(adaptive(0, 200)), ConfigError::Quantile(percent(0)));
    assert_eq!(
        refused(adaptive(101, 200)),
        ConfigError::Quantile(percent(101))
    );
    assert_eq!(refused(adaptive(99, 124)), ConfigError::Times(percent(124)));
    assert_eq!(
        refused(adaptive(99, 10_001)),
        ConfigError::Times(percent(10_001))
    );
    let longer = LONGEST + MILLI;
    assert_eq!(
        refused(adaptive(99, 200).at_least(longer)),
        ConfigError::AtLeast(longer)
    );
    let nothing = Duration::ZERO;
    assert_eq!(
        refused(adaptive(99, 200).half_life(nothing)),
        ConfigError::HalfLife(nothing)
    );
    assert!(config(adaptive(100, 125).at_least(LONGEST)).is_ok());
    assert_eq!(
        ConfigError::Times(percent(124)).to_string(),
        "a call may take 125 % to 10000 % of the quantile, which 124 % is not"
    );
}

/// Calls to a dependency, in virtual time.
struct Simulation {
    timeout: Timeout,
    /// Whether the timeout is told of the calls that it has given up.
    is_told: bool,
    now: Duration,
    gap: Duration,
    dice: u64,
    /// By when they end, and in which order they began.
    under_way: BTreeMap<(Instant, u32), (Permit, bool)>,
    begun: u32,
}

impl Simulation {
    fn new(timeout: Timeout, a_second: u32) -> Self {
        Simulation {
            timeout,
            is_told: true,
            now: Duration::ZERO,
            gap: Duration::from_secs(1) / a_second,
            dice: 0x9e37_79b9_7f4a_7c15,
            under_way: BTreeMap::new(),
            begun: 0,
        }
    }

    /// Latencies that end by chance at any moment.
    fn exponential(&mut self, mean: Duration) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let uniform = (self.dice >> 11) as f64 / (1u64 << 53) as f64;
        mean.mul_f64(-(1.0 - uniform).ln())
    }

    /// Goes on for so many half-lives; `None` answers nothing. What share of
    /// the calls was given up, and how long they had at the end of each
    /// half-life.
    fn run(&mut self, half_lives: u32, mean: Option<Duration>) -> (f64, Vec<Duration>) {
        let (mut all, mut given_up) = (0, 0);
        let mut times = Vec::new();
        for _ in 0..half_lives {
            let end = self.now + HALF_LIFE;
            while self.now < end {
                self.now += self.gap;
                self.end_calls();
                let now = at(self.now);
                let permit = self.timeout.admit(now, None).unwrap();
                let latency = mean.map_or(Duration::MAX, |mean| self.exponential(mean));
                let deadline = permit.deadline().instant();
                let is_answered = now + latency <= deadline;
                let ends = deadline.min(now + latency);
                self.begun += 1;
                self.under_way
                    .insert((ends, self.begun), (permit, is_answered));
                all += 1;
                given_up += u32::from(!is_answered);
            }
            times.push(self.timeout.duration());
        }
        (f64::from(given_up) / f64::from(all), times)
    }

    fn end_calls(&mut self) {
        while let Some(first) = self.under_way.first_entry() {
            let ends = first.key().0;
            if ends > at(self.now) {
                return;
            }
            let (mut permit, is_answered) = first.remove();
            if is_answered {
                permit.record(ends, Outcome::Success);
            } else if self.is_told {
                let name = permit.elapsed().unwrap_err().name();
                assert_eq!(name, Name::from("adaptive"));
            }
        }
    }
}

const MEAN: Duration = Duration::from_millis(100);

/// 1.25 times the 90th percentile of an exponential, which is 2.3026 means.
fn truth() -> Duration {
    MEAN.mul_f64(1.25 * 10f64.ln())
}

#[test]
fn a_timeout_that_cuts_calls_off_does_not_creep_down() {
    for a_second in [20, 100, 500] {
        let mut simulation = Simulation::new(built(adaptive(90, 125)), a_second);
        simulation.run(5, Some(MEAN));
        let (given_up, mut times) = simulation.run(200, Some(MEAN));
        // An exponential lasts as much longer than 2.88 means in 5.6 % of the
        // cases.
        assert!((0.03..0.09).contains(&given_up), "{a_second}: {given_up}");
        times.sort();
        let (least, middle, most) = (times[0], times[100], times[199]);
        assert!(least > truth() / 2, "{a_second}: {least:?}");
        assert!(most < truth() * 2, "{a_second}: {most:?}");
        assert!(
            middle.abs_diff(truth()) < truth() / 8,
            "{a_second}: {middle:?}"
        );
    }
    // Whereas one that learns from those calls alone that it lets end does.
    let mut control = Simulation::new(built(adaptive(90, 125)), 100);
    control.is_told = false;
    let (given_up, times) = control.run(205, Some(MEAN));
    assert!(given_up > 0.15, "{given_up}");
    assert!(times[204] < truth() * 2 / 3, "{:?}", times[204]);
}

#[test]
fn a_timeout_follows_a_dependency_that_becomes_slow_and_quick_again() {
    let mut simulation = Simulation::new(built(adaptive(90, 125)), 100);
    simulation.run(10, Some(MEAN));
    // Ten times slower: three calls of four have too little time.
    simulation.run(3, Some(10 * MEAN));
    let (given_up, times) = simulation.run(10, Some(10 * MEAN));
    assert!(given_up < 0.1, "{given_up}");
    assert!(times.iter().all(|time| *time < 20 * truth()), "{times:?}");
    let (_, times) = simulation.run(8, Some(MEAN));
    assert!(times[7] < truth() * 5 / 4, "{times:?}");
}

#[test]
fn where_nothing_is_answered_the_time_is_the_longest_and_comes_back() {
    let mut simulation = Simulation::new(built(adaptive(90, 125)), 100);
    simulation.run(10, Some(MEAN));
    let (_, times) = simulation.run(5, None);
    assert_eq!(times.last(), Some(&LONGEST), "{times:?}");
    // Until a tenth of what counts still is of the outage, and a little.
    let (_, times) = simulation.run(8, Some(MEAN));
    assert!(times[7] < truth() * 5 / 4, "{times:?}");
    let longest_first = times.is_sorted_by_key(|time| Reverse(*time));
    assert!(longest_first, "{times:?}");
}
