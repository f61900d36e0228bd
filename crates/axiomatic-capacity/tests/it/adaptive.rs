//! The limit that moves: what it is told, and what it then does.

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_capacity::adaptive::{
    AdaptiveLimit, Ask, Config, LimitAlgorithm, Order, Partitions, Sample, Sharing, Step, WhenFull,
    Why,
};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Mode, Outcome, Ratio, Reason, Rejected};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Held, MILLI, SECOND};

/// Keeps what it was told, and sets the limit that it is told.
#[derive(Clone, Debug)]
struct Told {
    samples: Arc<Mutex<Vec<Sample>>>,
    limit: Arc<Mutex<u32>>,
}

impl Told {
    fn of(limit: u32) -> Self {
        Told {
            samples: Arc::default(),
            limit: Arc::new(Mutex::new(limit)),
        }
    }

    fn set(&self, limit: u32) {
        *self.limit.lock().unwrap() = limit;
    }

    fn last(&self) -> Sample {
        *self.samples.lock().unwrap().last().unwrap()
    }

    fn steps(&self) -> usize {
        self.samples.lock().unwrap().len()
    }
}

impl LimitAlgorithm for Told {
    fn initial(&self) -> u32 {
        *self.limit.lock().unwrap()
    }

    fn step(&mut self, sample: &Sample) -> Step {
        self.samples.lock().unwrap().push(*sample);
        Step {
            limit: self.initial(),
            why: Why::Growing,
        }
    }
}

fn limit(told: &Told) -> (AdaptiveLimit, ManualClock) {
    let clock = ManualClock::new();
    let config = Config::new(told.clone())
        .named("database")
        .clock(Clock::Manual(clock.clone()));
    (config.build().unwrap(), clock)
}

/// One call that takes so long.
fn call(limit: &AdaptiveLimit, clock: &ManualClock, takes: Duration, outcome: Outcome) {
    let permit = limit.admit(clock.now()).unwrap();
    clock.advance(takes);
    permit.record(clock.now(), outcome);
}

#[test]
fn a_window_is_told_as_it_was() {
    let told = Told::of(5);
    let (limit, clock) = limit(&told);
    let began = clock.now();
    let three: Vec<_> = (0..3).map(|_| limit.admit(clock.now()).unwrap()).collect();
    drop(three);
    for millis in [8, 12, 9, 10, 11, 10] {
        call(
            &limit,
            &clock,
            Duration::from_millis(millis),
            Outcome::Success,
        );
    }
    call(&limit, &clock, 10 * MILLI, Outcome::Permanent);
    call(&limit, &clock, MILLI, Outcome::Ignored);
    let throttled = Outcome::Throttled { retry_after: None };
    call(&limit, &clock, MILLI, throttled);
    let all: Vec<_> = (0..5).map(|_| limit.admit(clock.now()).unwrap()).collect();
    assert_eq!(limit.admit(clock.now()).unwrap_err().reason(), Reason::Full);
    drop(all);
    assert_eq!(told.steps(), 0);
    clock.advance(20 * MILLI);
    // Nobody knows yet what is long, so a failure counts as one.
    call(&limit, &clock, MILLI, Outcome::Transient);
    assert_eq!(told.steps(), 0, "nine calls are too few");
    call(&limit, &clock, 13 * MILLI, Outcome::Success);
    let sample = told.last();
    assert_eq!((sample.began, sample.ended), (began, clock.now()));
    assert_eq!((sample.answered, sample.failed, sample.dropped), (8, 0, 2));
    assert_eq!(
        (sample.limit, sample.most_in_flight, sample.turned_away),
        (5, 5, 1)
    );
    assert_eq!(sample.shortest, Some(8 * MILLI));
    let median = sample.median.unwrap().as_micros();
    assert!((9_600..=10_400).contains(&median), "{median}");
}

#[test]
fn who_began_before_a_window_is_in_flight_in_it_too() {
    let told = Told::of(20);
    let (limit, clock) = limit(&told);
    let long: Vec<_> = (0..12).map(|_| limit.admit(clock.now()).unwrap()).collect();
    for _ in 0..10 {
        call(&limit, &clock, 10 * MILLI, Outcome::Success);
    }
    assert_eq!(told.steps(), 1);
    // Nobody is let in meanwhile.
    for permit in long {
        clock.advance(20 * MILLI);
        permit.record(clock.now(), Outcome::Success);
    }
    assert_eq!(told.steps(), 2);
    assert!(told.last().most_in_flight >= 12);
}

/// After a window with a median of 10 ms, 20 ms are long.
fn after_a_window() -> (Told, AdaptiveLimit, ManualClock) {
    let told = Told::of(5);
    let (limit, clock) = limit(&told);
    for _ in 0..10 {
        call(&limit, &clock, 10 * MILLI, Outcome::Success);
    }
    assert_eq!(told.steps(), 1);
    (told, limit, clock)
}

#[test]
fn what_came_to_nothing_soon_is_a_failure_and_after_long_a_drop() {
    let (told, limit, clock) = after_a_window();
    for _ in 0..3 {
        call(&limit, &clock, 5 * MILLI, Outcome::Transient);
        call(&limit, &clock, 25 * MILLI, Outcome::Transient);
    }
    for takes in [5, 25, 25] {
        let permit = limit.admit(clock.now()).unwrap();
        clock.advance(takes * MILLI);
        permit.cancelled(clock.now());
    }
    call(&limit, &clock, 10 * MILLI, Outcome::Success);
    let began = told.last();
    assert_eq!(
        told.steps(),
        1,
        "nine, since what was cancelled soon is nothing"
    );
    call(&limit, &clock, 10 * MILLI, Outcome::Success);
    let sample = told.last();
    assert_eq!((sample.answered, sample.failed, sample.dropped), (2, 3, 5));
    assert_eq!(sample.began, began.ended);
}

#[test]
fn few_calls_are_a_window_after_ten_times_as_long() {
    let told = Told::of(5);
    let (limit, clock) = limit(&told);
    call(&limit, &clock, 150 * MILLI, Outcome::Success);
    assert_eq!(told.steps(), 0);
    clock.advance(SECOND);
    call(&limit, &clock, MILLI, Outcome::Success);
    assert_eq!(told.last().answered, 2);
}

#[test]
fn the_limit_is_what_the_algorithm_says_and_at_least_one() {
    let (told, limit, clock) = after_a_window();
    let window = || (0..10).for_each(|_| call(&limit, &clock, 10 * MILLI, Outcome::Success));
    told.set(2);
    window();
    assert_eq!(limit.limit(), 2);
    let both = [(); 2].map(|()| limit.admit(clock.now()).unwrap());
    assert!(limit.admit(clock.now()).is_err());
    drop(both);
    told.set(0);
    window();
    assert_eq!(limit.limit(), 1);
    let snapshot = limit.snapshot();
    assert_eq!((snapshot.limit(), snapshot.why()), (1, Why::Growing));
    assert_eq!(snapshot.sample(), Some(told.last()));
    let line = snapshot.to_string();
    let begins = "adaptive limit database: 0 of 1 in flight, 1 refused; growing, of 10 answers, 0 failures, 0 drops, ";
    assert!(line.starts_with(begins), "{line}");
}

#[test]
fn in_shadow_the_limit_moves_and_refuses_nobody_and_off_nothing_is_seen() {
    let (told, limit, clock) = after_a_window();
    limit.set_mode(Mode::Shadow);
    told.set(1);
    for _ in 0..10 {
        call(&limit, &clock, 10 * MILLI, Outcome::Success);
    }
    assert_eq!(limit.limit(), 1);
    let both = [(); 2].map(|()| limit.admit(clock.now()).unwrap());
    assert_eq!(
        (limit.snapshot().would_refuse(), limit.snapshot().refused()),
        (1, 0)
    );
    drop(both);
    limit.set_mode(Mode::Off);
    let steps = told.steps();
    for _ in 0..100 {
        call(&limit, &clock, 10 * MILLI, Outcome::Success);
    }
    assert_eq!(told.steps(), steps);
}

#[test]
fn partitions_have_their_share_of_whatever_the_limit_is() {
    let told = Told::of(10);
    let clock = ManualClock::new();
    let limit = Config::new(told.clone())
        .clock(Clock::Manual(clock.clone()))
        .partitions(Partitions::new(Sharing::Reserved).with("paid", Ratio::percent(50)))
        .build()
        .unwrap();
    let paid = limit.within(limit.partition("paid").unwrap());
    told.set(4);
    for _ in 0..10 {
        call(&paid, &clock, 10 * MILLI, Outcome::Success);
    }
    assert_eq!(limit.limit(), 4);
    let free: Vec<_> = std::iter::from_fn(|| limit.admit(clock.now()).ok()).collect();
    let own: Vec<_> = std::iter::from_fn(|| paid.admit(clock.now()).ok()).collect();
    assert_eq!((free.len(), own.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_layer_measures_calls_from_their_slot_to_their_answer() {
    let told = Told::of(1);
    let limit = Config::new(told.clone())
        .when_full(WhenFull::Wait {
            max_waiting: 20,
            max_wait: 10 * SECOND,
            order: Order::Fifo,
        })
        .build()
        .unwrap();
    let sleepy = service_fn(|(): ()| async {
        tokio::time::sleep(10 * MILLI).await;
        Ok::<_, Rejected>(())
    });
    let service = limit.queued_layer().with_error::<Rejected>().layer(sleepy);
    let calls = (0..12).map(|_| service.clone().oneshot(()));
    let all = futures::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
    let sample = told.last();
    // They waited for up to 110 ms, which is nobody's latency.
    let took = [sample.shortest.unwrap(), sample.median.unwrap()];
    assert!(took.iter().all(|took| *took < 11 * MILLI), "{took:?}");
    assert_eq!(sample.most_in_flight, 1);
    assert!(sample.turned_away > 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_after_long_is_evidence() {
    let told = Told::of(1);
    let limit = Config::new(told.clone()).build().unwrap();
    let held = Held::new();
    let mut service = limit.layer().with_error::<Rejected>().layer(held.service());
    held.let_end(11);
    for _ in 0..11 {
        tokio::time::advance(10 * MILLI).await;
        service.ready().await.unwrap().call(()).await.unwrap();
    }
    assert_eq!(told.steps(), 1);
    {
        let mut hangs = pin!(service.ready().await.unwrap().call(()));
        assert!(futures::poll!(&mut hangs).is_pending());
        tokio::time::advance(2 * SECOND).await;
    }
    assert_eq!((told.last().dropped, told.last().answered), (1, 1));
    assert_eq!(limit.snapshot().in_flight(), 0);
    let ask = Ask::default().weighing(NonZeroU32::MIN);
    assert!(limit.admit_owned(ask, limit.now()).is_ok());
}
