//! What it does with windows made by hand, by chance, and by a server that is
//! a formula.

use std::time::Duration;

use axiomatic_core::Ratio;
use proptest::prelude::*;

use super::super::tests::window;
use super::super::{Bounds, LimitAlgorithm, Sample, Step, Why};
use super::{Seeker, SeekerConfig};
use crate::adaptive::AlgorithmError;

fn seeker() -> Seeker {
    Seeker::config(1).build().expect("the defaults work")
}

/// A server of so many workers, each of which takes so many milliseconds, under
/// too much load.
#[derive(Copy, Clone)]
struct Server {
    workers: u32,
    takes: u32,
}

/// A limiter before a server, window by window.
struct Run {
    seeker: Seeker,
    limit: u32,
    windows: u32,
}

impl Run {
    fn new(seeker: Seeker) -> Self {
        Run {
            limit: seeker.initial(),
            seeker,
            windows: 0,
        }
    }

    fn step(&mut self, sample: &Sample) -> Step {
        let step = self.seeker.step(sample);
        self.limit = step.limit;
        self.windows += 1;
        step
    }

    fn on(&mut self, server: Server, windows: u32) -> Vec<Step> {
        let steps = (0..windows).map(|_| {
            let Server { workers, takes } = server;
            let latency = takes * self.limit.max(workers) / workers;
            let answered = 100 * self.limit.min(workers) / takes;
            let sample = window().number(self.windows).limit(self.limit);
            let sample = sample.in_flight(self.limit).answered(answered.into());
            self.step(&sample.median_ms(latency.into()).make())
        });
        steps.collect()
    }
}

#[test]
fn it_finds_the_workers_and_a_short_line_from_below_and_from_above() {
    for first in [1, 20, 400] {
        let bounds = Bounds::between(1, 1_000).starting_at(first);
        let seeker = Seeker::config(1).within(bounds).build().expect("it works");
        let mut run = Run::new(seeker);
        let server = Server {
            workers: 50,
            takes: 20,
        };
        let _ = run.on(server, 600);
        assert!((50..=75).contains(&run.limit), "{first}: {}", run.limit);
    }
}

#[test]
fn a_limit_that_is_not_used_stays_where_it_is() {
    let mut seeker = seeker();
    for number in 0..10_000 {
        let sample = window().number(number).in_flight(1).answered(3);
        let step = seeker.step(&sample.make());
        assert_eq!((step.limit, step.why), (20, Why::Idle));
    }
}

#[test]
fn nothing_but_drops_ends_at_one_call_and_answers_lead_back() {
    let mut run = Run::new(seeker());
    let server = Server {
        workers: 20,
        takes: 20,
    };
    let _ = run.on(server, 100);
    for _ in 0..100 {
        let sample = window().number(run.windows).limit(run.limit);
        let sample = sample.in_flight(run.limit).answered(0).dropped(10);
        assert!(run.step(&sample.make()).limit >= 1);
    }
    assert_eq!(run.limit, 1);
    let _ = run.on(server, 100);
    assert!(run.limit >= 18, "{}", run.limit);
}

/// Calls take four windows: what ends in the next four began before.
#[test]
fn a_limit_that_has_shrunk_waits_for_a_round_trip() {
    let mut run = Run::new(seeker());
    for _ in 0..100 {
        let sample = window().number(run.windows).in_flight(1).median_ms(10);
        let _ = run.step(&sample.answered(10).make());
    }
    let whys = [500, 400, 400, 400, 400, 400].map(|median| {
        let sample = window().number(run.windows).limit(run.limit);
        let sample = sample.in_flight(run.limit).answered(1_000_000);
        run.step(&sample.median_ms(median).make()).why
    });
    assert_eq!(whys[0], Why::Queueing);
    assert_eq!(whys[1..5], [Why::Waiting; 4]);
    assert_eq!(whys[5], Why::Queueing);
}

#[test]
fn few_drops_among_many_answers_cut_nothing() {
    let mut seeker = seeker();
    for number in 0..100 {
        let sample = window().number(number).answered(100).dropped(5);
        assert_ne!(seeker.step(&sample.make()).why, Why::Overloaded);
    }
}

#[test]
fn what_takes_twice_as_long_for_good_becomes_the_baseline() {
    let mut run = Run::new(seeker());
    let fast = Server {
        workers: 50,
        takes: 20,
    };
    let _ = run.on(fast, 300);
    let slow = Server { takes: 40, ..fast };
    let steps = run.on(slow, 60);
    assert!(steps.iter().any(|step| step.why == Why::Probing));
    assert!(run.limit >= 50, "{}", run.limit);
    assert!(run.seeker.baseline() >= Some(Duration::from_millis(38)));
}

/// It learned at low load that calls take 100 ms. They take half as long now,
/// and the line makes them 100 ms and more.
#[test]
fn more_in_flight_without_more_answers_is_a_step_back_and_a_probe() {
    let mut run = Run::new(seeker());
    for _ in 0..100 {
        let sample = window().number(run.windows).in_flight(1).median_ms(100);
        let _ = run.step(&sample.answered(10).make());
    }
    let server = Server {
        workers: 10,
        takes: 50,
    };
    let steps = run.on(server, 40);
    let back = steps.iter().position(|step| step.why == Why::NoGain);
    let back = back.expect("a step back");
    assert!(steps[back].limit < steps[back - 1].limit);
    assert!(steps[back..].iter().any(|step| step.why == Why::Probing));
    let _ = run.on(server, 100);
    assert!(run.limit <= 16, "{}", run.limit);
}

#[test]
fn a_probe_is_short_and_the_limit_returns_to_what_it_was() {
    let mut run = Run::new(seeker());
    let server = Server {
        workers: 50,
        takes: 20,
    };
    let steps = run.on(server, 6_000);
    let mut probes = 0;
    let mut at = 1;
    while at < steps.len() {
        let lasted = steps[at..].iter();
        let lasted = lasted.take_while(|step| step.why == Why::Probing).count();
        if lasted > 0 && at + lasted < steps.len() {
            probes += 1;
            assert!(lasted <= 8, "{lasted} windows");
            assert_eq!(steps[at + lasted].limit, steps[at - 1].limit);
        }
        at += lasted + 1;
    }
    // Ten minutes: the first ones, and then one in 30 to 60 s.
    assert!((8..=25).contains(&probes), "{probes}");
}

#[test]
fn parameters_that_cannot_work_are_refused() {
    let config = Seeker::config(1);
    let bounds = Bounds::between(9, 3);
    let soon = Duration::from_millis(999);
    let (none, most) = (Ratio::ZERO, Ratio::percent(101));
    let table: [(SeekerConfig, AlgorithmError); 4] = [
        (config.within(bounds), AlgorithmError::Bounds(bounds)),
        (config.tolerating(most), AlgorithmError::Tolerance(most)),
        (config.with_drops(none), AlgorithmError::Drops(none)),
        (config.probing_every(soon), AlgorithmError::ProbeEvery(soon)),
    ];
    for (config, error) in table {
        assert_eq!(config.build().err(), Some(error));
    }
}

prop_compose! {
    /// Any window, whether it makes sense or not.
    fn any_sample()(
        began in 0u64..1 << 40,
        lasted in 0u64..1 << 34,
        limit in any::<u32>(),
        answered in prop_oneof![0u64..3, 0u64..1_000, any::<u64>()],
        median in prop::option::of(prop_oneof![0u64..1 << 30, any::<u64>()]),
        dropped in prop_oneof![Just(0), 0u64..100, any::<u64>()],
        most_in_flight in prop_oneof![0u32..100, any::<u32>()],
        turned_away in prop_oneof![Just(0), any::<u64>()],
    ) -> Sample {
        let sample = window().make();
        Sample {
            began: sample.began + Duration::from_nanos(began),
            ended: sample.began + Duration::from_nanos(began + lasted),
            limit,
            answered,
            median: median.map(Duration::from_nanos),
            shortest: median.map(Duration::from_nanos),
            failed: 0,
            dropped,
            most_in_flight,
            turned_away,
        }
    }
}

proptest! {
    #[test]
    fn the_limit_stays_within_its_bounds(
        samples in prop::collection::vec(any_sample(), 1..200),
        least in 1u32..50,
        more in 0u32..1_000,
    ) {
        let bounds = Bounds::between(least, least + more);
        let mut seeker = Seeker::config(1).within(bounds).build().expect("it works");
        for sample in samples {
            let step = seeker.step(&sample);
            prop_assert!((least..=least + more).contains(&step.limit));
            prop_assert!(seeker.limit.is_finite());
        }
    }

    #[test]
    fn less_in_flight_than_half_never_inflates_it(
        windows in prop::collection::vec((0u32..=10, 1u64..100, 1u64..500), 1..300),
    ) {
        let mut seeker = seeker();
        let mut limit = seeker.initial();
        for (number, (in_flight, answered, median)) in (0..).zip(windows) {
            let sample = window().number(number).limit(limit);
            let sample = sample.in_flight(in_flight.min(limit / 2));
            let step = seeker.step(&sample.answered(answered).median_ms(median).make());
            // A probe may end, but nothing more than it took comes back.
            prop_assert!(step.limit <= 20);
            limit = step.limit;
        }
    }

    #[test]
    fn there_is_one_decrease_in_a_round_trip(
        windows in prop::collection::vec((0u64..100, 0u64..100), 1..300),
    ) {
        let mut seeker = seeker();
        let mut limit = seeker.initial();
        let mut decreased_at = None;
        // While nothing was ever answered nobody knows what a round trip is.
        let mut is_known = false;
        let round_trip = Duration::from_millis(150);
        for (number, (answered, dropped)) in (0..).zip(windows) {
            let sample = window().number(number).limit(limit).in_flight(limit);
            let sample = sample.median_ms(150).answered(answered).dropped(dropped);
            let sample = sample.make();
            is_known |= answered > 0;
            let step = seeker.step(&sample);
            if step.limit < limit && step.why != Why::Probing {
                let is_early = decreased_at.is_some_and(|at| sample.began < at + round_trip);
                prop_assert!(!is_early || !is_known, "window {number}: {step:?}");
                decreased_at = Some(sample.ended);
            }
            limit = step.limit;
        }
    }
}
