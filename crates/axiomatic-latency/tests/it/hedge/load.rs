//! What hedging adds to the load, and what it is worth: calls at a steady rate
//! over a dependency with a long tail, which becomes slow as a whole, and well
//! again. In paused time, seeded.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::repeat::Always;
use axiomatic_latency::hedge::{Config, Delay, Hedge};
use axiomatic_sim::Random;
use tokio::time::{sleep, sleep_until};
use tower::{Layer, service_fn};

use super::backend::{Carried, MILLI, Request, Trouble, call, now};

const CALLS: u32 = 6_000;
const EVERY: Duration = Duration::from_millis(10);

/// What a phase of a minute was like.
#[derive(Debug)]
struct Phase {
    /// Attempts that the dependency saw.
    attempts: u32,
    /// What 99 % of the calls took at most.
    p99: Duration,
}

impl Phase {
    /// How many more attempts than calls there were, in per mille of the
    /// calls.
    fn extra(&self) -> u32 {
        (self.attempts - CALLS) * 1_000 / CALLS
    }
}

/// Three minutes: well, ten times slower throughout, well again. Even then one
/// answer in twenty takes twenty times as long as the others.
async fn story(hedge: &Hedge) -> [Phase; 3] {
    let attempts = Arc::new(AtomicU32::new(0));
    let random = Arc::new(Mutex::new(Random::new(7)));
    let slowness = Arc::new(AtomicU32::new(1));
    let (counted, slow) = (attempts.clone(), slowness.clone());
    let dependency = service_fn(move |_: Request| {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut random = random.lock().unwrap();
        let micros = 8_000 + random.below(4_000) as u32;
        let tail = if random.chance(Ratio::percent(5)) {
            20
        } else {
            1
        };
        let takes = MILLI / 1_000 * micros * tail * slow.load(Ordering::Relaxed);
        async move {
            sleep(takes).await;
            Ok::<u32, Trouble>(1)
        }
    });
    let layer = hedge.layer(Always).with_error().with_binding(Carried);
    let service = layer.layer(dependency);

    let mut phases = Vec::new();
    for factor in [1, 10, 1] {
        slowness.store(factor, Ordering::Relaxed);
        let before = attempts.load(Ordering::Relaxed);
        let began = tokio::time::Instant::now();
        let mut calls = Vec::new();
        for number in 0..CALLS {
            sleep_until(began + number * EVERY).await;
            let service = service.clone();
            calls.push(tokio::spawn(async move {
                let began = now();
                call(service, Request::default()).await.unwrap();
                now() - began
            }));
        }
        let mut took = Vec::new();
        for call in calls {
            took.push(call.await.unwrap());
        }
        took.sort();
        phases.push(Phase {
            attempts: attempts.load(Ordering::Relaxed) - before,
            p99: took[took.len() * 99 / 100],
        });
    }
    phases.try_into().unwrap()
}

// The rival adds 500 calls for 100 requests to a backend that is slow
// throughout (tower-resilience-hedge, `aggressive`).
#[tokio::test(start_paused = true)]
async fn slowness_throughout_adds_no_more_than_the_budget_and_ends() {
    let share = Ratio::percent(5);
    for (delay, slack) in [
        // What ten seconds deposited, once.
        (Delay::adding_at_most(share), 9),
        // And the floor of one a second.
        (Delay::quantile(Ratio::percent(90)), 19),
        (Delay::fixed(20 * MILLI), 19),
    ] {
        let hedge = Config::new(delay).build().unwrap();
        let [well, slow, again] = story(&hedge).await;
        for phase in [&well, &slow, &again] {
            assert!(phase.extra() <= 50 + slack, "{delay:?}: {phase:?}");
        }
        // Nobody forgets to hedge over it.
        for phase in [&well, &again] {
            assert!(phase.extra() >= 20, "{delay:?}: {phase:?}");
        }
        assert!(well.p99 < 60 * MILLI, "{delay:?}: {well:?}");
        // While the tail is learned anew there is a wait, and no more.
        assert!(again.p99 < 240 * MILLI, "{delay:?}: {again:?}");
        assert!(hedge.delay() < Some(250 * MILLI), "{:?}", hedge.delay());
    }
}

/// The other side of the test above: without a bound, a fixed delay doubles
/// the load, and without a hedge there is a tail.
#[tokio::test(start_paused = true)]
async fn without_a_budget_slowness_doubles_the_load_and_without_a_hedge_there_is_a_tail() {
    let all = RetryBudget::new("all", Deposits::of(Ratio::percent(100)).floor(0)).unwrap();
    let config = Config::new(Delay::fixed(20 * MILLI)).budget(all);
    let [well, slow, _] = story(&config.build().unwrap()).await;
    assert!(well.extra() < 70, "{well:?}");
    assert!(slow.extra() > 900, "{slow:?}");

    let none = RetryBudget::new("none", Deposits::of(Ratio::ZERO).floor(0)).unwrap();
    let config = Config::new(Delay::fixed(20 * MILLI)).budget(none);
    let [well, ..] = story(&config.build().unwrap()).await;
    assert_eq!(well.extra(), 0);
    assert!(well.p99 > 150 * MILLI, "{well:?}");
}
