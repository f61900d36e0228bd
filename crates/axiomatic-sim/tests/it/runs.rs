use std::collections::HashMap;
use std::time::Duration;

use axiomatic_core::hash::{Algorithm, Encoder, Hasher, Seed};
use axiomatic_core::time::Instant;
use axiomatic_core::{Pattern, Ratio, Reason, Rejected};
use axiomatic_sim::{
    Arrivals, Bin, Call, Client, Dependency, End, NaiveRetry, Policy, Rate, Scenario, Series,
    ServiceTime, Timeline,
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A bit of everything: a line for workers on both sides, faults of three
/// kinds, two dependencies, a load that changes.
fn eventful() -> Scenario {
    let takes = Timeline::always(ServiceTime::LogNormal {
        median: ms(30),
        p99: ms(150),
    })
    .during(ms(4_000)..ms(6_000), ServiceTime::Never)
    .during(
        ms(8_000)..ms(10_000),
        ServiceTime::Exponential { mean: ms(400) },
    );
    let errors = Timeline::always(Ratio::ZERO).ramp(ms(10_000)..ms(12_000), Ratio::percent(60));
    let load = Timeline::always(Rate::per_second(150)).then(ms(9_000), Rate::per_second(400));
    Scenario::new(
        Arrivals::poisson(load),
        Client::new(30, ms(500)).with_queue(40, ms(300)),
        Dependency::new(takes).failing(errors),
    )
    .and(
        Dependency::new(ServiceTime::Constant(ms(60)))
            .with_workers(8)
            .with_places(20),
    )
}

const END: Duration = Duration::from_secs(15);

/// Refuses every seventh call, and keeps a book.
#[derive(Default)]
struct Bookkeeper {
    asked: u64,
    under_way: HashMap<(u64, u32), Instant>,
    ended: HashMap<(u64, u32), (usize, End, Duration)>,
}

impl Policy for &mut Bookkeeper {
    type Permit = Call;

    fn admit(&mut self, call: Call, now: Instant) -> Result<Call, Rejected> {
        self.asked += 1;
        if self.asked % 7 == 0 {
            return Err(Rejected::new(Pattern::CircuitBreaker, Reason::Open));
        }
        let known = self.under_way.insert((call.request, call.attempt), now);
        assert_eq!(known, None, "{call:?} was asked twice");
        Ok(call)
    }

    fn record(&mut self, call: Call, now: Instant, end: End) {
        let key = (call.request, call.attempt);
        let sent = self.under_way.remove(&key).expect("it was admitted");
        self.ended.insert(key, (call.dependency, end, now - sent));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let story = eventful();
    let mut runs: Vec<Series> = Vec::new();
    for seed in 0..20 {
        let run = |()| story.run(seed, END, |_| NaiveRetry { attempts: 2 });
        let (once, again) = (run(()), run(()));
        assert_eq!(once, again, "seed {seed}");
        assert!(
            !runs.contains(&once),
            "seed {seed} gives the run of another"
        );
        runs.push(once);
    }
}

/// The hash of all numbers of a run. If it differs on another machine or
/// after an update, golden files everywhere are void: see `Random`.
#[test]
fn a_run_is_what_it_was_when_it_was_written_down() {
    let run = eventful().run(1, END, |_| NaiveRetry { attempts: 2 });
    let mut numbers = Encoder::new();
    for bin in run.every(Series::BIN) {
        let latency = bin.latency(Ratio::percent(90)).unwrap_or_default();
        numbers.number(bin.served).number(bin.wasted);
        numbers.number(latency.as_nanos() as u64);
    }
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    assert_eq!(hasher.hash(numbers.as_bytes()), 8_498_996_662_098_576_322);
}

#[test]
fn every_request_has_one_fate() {
    for seed in 0..20 {
        let mut book = Bookkeeper::default();
        let policy = (NaiveRetry { attempts: 3 }, &mut book);
        let run = eventful().run(seed, END, |_| policy);
        for bin in run.every(Series::BIN) {
            let fates = bin.served + bin.failed + bin.timed_out + bin.refused + bin.starved;
            assert_eq!(fates, bin.offered, "seed {seed}");
        }
        let total = run.total();
        assert!(
            [
                total.served,
                total.failed,
                total.timed_out,
                total.refused,
                total.starved
            ]
            .iter()
            .all(|count| *count > 0),
            "the story is not eventful: {total:?}"
        );
        assert!(book.under_way.is_empty(), "a call has no end");
        assert_eq!(book.ended.len() as u64, total.sent);
        let bad = book.ended.values().filter(|(_, end, _)| !end.is_good());
        assert_eq!(bad.count() as u64, total.wasted);
    }
}

#[test]
fn policies_meet_the_same_requests_and_the_same_luck() {
    let mut books = [(); 2].map(|()| Bookkeeper::default());
    // The second refuses others than the first.
    books[1].asked = 3;
    // Plenty of workers and no lines: whether others are sent changes
    // nothing for those that are.
    let story = Scenario::new(
        Arrivals::poisson(Rate::per_second(200)),
        Client::new(1_000, ms(500)),
        Dependency::new(ServiceTime::Exponential { mean: ms(100) }).failing(Ratio::percent(30)),
    );
    for book in &mut books {
        story.run(9, END, |_| (NaiveRetry { attempts: 2 }, book));
    }
    let [one, other] = &books;
    let both: Vec<_> = one
        .ended
        .keys()
        .filter(|key| other.ended.contains_key(*key))
        .collect();
    assert!(both.len() > 2_000 && both.len() < one.ended.len());
    for key in both {
        assert_eq!(
            one.ended[key], other.ended[key],
            "request and attempt {key:?}"
        );
    }
}

#[test]
fn a_timeout_bounds_the_wait_of_every_caller() {
    let run = eventful().run(3, END, |_| ());
    let longest = run.total().latency(Ratio::ONE);
    assert!(
        longest > Some(ms(500)) && longest <= Some(ms(800)),
        "{longest:?}"
    );
}

/// Fifty workers that wait a second for nothing serve nobody else: the other
/// half of the requests starves too.
#[test]
fn a_hung_dependency_starves_its_healthy_neighbour() {
    let healthy = Dependency::new(ServiceTime::Constant(ms(10)));
    let story = |takes| {
        Scenario::new(
            Arrivals::evenly(Rate::per_second(400)),
            Client::new(50, ms(1_000)).with_queue(20, ms(200)),
            Dependency::new(takes),
        )
        .and(healthy.clone())
    };
    let served = |takes| {
        let run = story(takes).run(1, ms(20_000), |_| ());
        run.within(ms(5_000)..ms(20_000)).goodput()
    };
    assert_eq!(served(ServiceTime::Constant(ms(10))), Ratio::ONE);
    let hung = served(ServiceTime::Never);
    assert!(hung < Ratio::percent(20), "{hung}");
}

#[test]
fn the_outer_of_two_policies_is_told_of_the_refusals_of_the_inner_one() {
    struct No;
    impl Policy for No {
        type Permit = ();
        fn admit(&mut self, _: Call, _: Instant) -> Result<(), Rejected> {
            Err(Rejected::new(Pattern::CircuitBreaker, Reason::Open))
        }
        fn record(&mut self, (): (), _: Instant, _: End) {}
    }
    let mut book = Bookkeeper::default();
    let run = eventful().run(1, END, |_| (&mut book, No));
    let Bin { sent, served, .. } = run.total();
    assert_eq!((sent, served), (0, 0));
    assert!(book.under_way.is_empty() && !book.ended.is_empty());
    let refused = |end: &End| *end == End::Refused(Reason::Open);
    assert!(book.ended.values().all(|(_, end, _)| refused(end)));
}

/// Next to a neighbour its requests come when they came, and all that differs
/// is how long the line is.
#[test]
fn clients_meet_at_the_dependency_and_nowhere_else() {
    let server = Dependency::new(ServiceTime::Exponential { mean: ms(10) }).with_workers(4);
    let client = Client::new(50, ms(500));
    let load = |rate| Arrivals::poisson(Rate::per_second(rate));
    let alone = Scenario::new(load(150), client, server);
    let both = alone.clone().beside(load(240), client);
    let offered = |series: &Series| -> Vec<u64> {
        let bins = series.every(Series::BIN);
        bins.iter().map(|bin| bin.offered).collect()
    };
    for seed in 0..5 {
        let quiet = alone.run(seed, END, |_| ());
        let crowded = both.run_each(seed, END, |_, _| ());
        assert_eq!(offered(&quiet), offered(&crowded[0]), "seed {seed}");
        assert_ne!(offered(&crowded[0]), offered(&crowded[1]), "seed {seed}");
        let p99 = |series: &Series| series.total().latency(Ratio::percent(99));
        assert!(p99(&quiet) < p99(&crowded[0]), "seed {seed}");
        assert_eq!(both.run(seed, END, |_| ()), crowded[0], "seed {seed}");
    }
}
