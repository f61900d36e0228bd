//! What a limiter tells its callers, and what a client learns of a server's.

use std::time::Duration;

use axiomatic_capacity::rate_limit::{Algorithm, Config, Inheritance, Quota, RateLimiter};
use axiomatic_core::allowance::{Allowance, Heard};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Announce, Carrier, Context, Heed, Rejected};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::mechanism::{admitted, at, some};
use crate::support::{MILLI, SECOND};

fn limiter(quota: Quota) -> RateLimiter {
    Config::new(quota).named("search").build().unwrap()
}

fn ten_a_second() -> RateLimiter {
    limiter(Quota::per_second(some(10)))
}

/// A protocol whose answers say what is left, in both directions.
#[derive(Clone)]
struct Told;

#[derive(Default, Debug)]
struct Answer {
    left: Option<Allowance>,
    heard: Option<Heard>,
}

impl Carrier<u32> for Told {
    fn context(&self, _: &u32) -> Context {
        Context::default()
    }

    fn set_context(&self, _: &mut u32, _: Context) {}
}

impl Announce<Answer> for Told {
    fn announce(&self, answer: &mut Answer, allowance: impl FnOnce() -> Allowance) {
        answer.left = Some(allowance());
    }
}

impl Heed<Answer> for Told {
    fn heed(&self, answer: &Answer) -> Option<Heard> {
        answer.heard
    }
}

#[test]
fn a_policy_is_what_callers_can_keep_to() {
    let quota = Quota::per_minute(some(100)).burst(some(10));
    let policy = limiter(quota).policy();
    assert_eq!(policy.name().as_str(), "search");
    assert_eq!((policy.quota(), policy.window()), (10, 6 * SECOND));
}

#[test]
fn standing_says_until_when_nothing_comes_on_top() {
    let limiter = ten_a_second();
    assert_eq!(limiter.peek(at(0)).more_after(), 100 * MILLI, "at rest");
    assert!(limiter.admit_weighing(at(0), some(8)).is_ok());
    assert_eq!(limiter.peek(at(0)).more_after(), 100 * MILLI);
    assert_eq!(limiter.peek(at(30)).more_after(), 70 * MILLI);
    assert_eq!(limiter.peek(at(100)).available(), 3);
    let window = Config::new(limiter.quota())
        .algorithm(Algorithm::FixedWindow)
        .build()
        .unwrap();
    assert_eq!(window.peek(at(300)).more_after(), 700 * MILLI);
    let sliding = Config::new(limiter.quota())
        .algorithm(Algorithm::SlidingWindow)
        .build()
        .unwrap();
    assert_eq!(sliding.peek(at(300)).more_after(), 700 * MILLI);
    assert_eq!(admitted(&sliding, at(300)), 10);
    assert_eq!(sliding.peek(at(1_000)).more_after(), 100 * MILLI);
}

#[tokio::test]
async fn an_answer_says_what_is_left_where_that_was_asked_for() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(some(10)).burst(some(3));
    let config = Config::new(quota).clock(Clock::Manual(clock.clone()));
    let limiter = config.named("search").build().unwrap();
    let inner = service_fn(|_: u32| async { Ok::<_, Rejected>(Answer::default()) });
    let layer = limiter.layer().with_error::<Rejected>().with_binding(Told);
    let mut silent = layer.clone().layer(inner);
    let answer = silent.ready().await.unwrap().call(7).await.unwrap();
    assert_eq!(
        answer.left, None,
        "a client's own limit is nobody's business"
    );
    let mut telling = layer.announcing().layer(inner);
    let answer = telling.ready().await.unwrap().call(7).await.unwrap();
    let left = answer.left.unwrap();
    assert_eq!(left.remaining(), 1);
    assert_eq!(left.policy(), limiter.policy());
    assert_eq!(left.more_after(), 100 * MILLI);
}

#[test]
fn a_client_asks_for_no_more_than_a_server_allows_and_never_for_more_than_its_own() {
    let told = |quota, window| Heard::nothing().with_quota(quota).with_window(window);
    let limiter = ten_a_second();
    // A server that allows more is told nothing by that.
    limiter.heed(at(0), &told(1_000, SECOND));
    assert_eq!(limiter.quota(), Quota::per_second(some(10)));
    limiter.heed(at(0), &told(30, 60 * SECOND));
    assert_eq!(limiter.quota(), Quota::per_minute(some(30)).burst(some(10)));
    // It is raised again, up to what was configured.
    limiter.heed(at(0), &told(300, 60 * SECOND));
    assert_eq!(
        limiter.quota(),
        Quota::per_minute(some(300)).burst(some(10))
    );
    limiter.heed(at(0), &told(50, SECOND));
    assert_eq!(limiter.quota(), Quota::per_second(some(10)));
    // Nonsense is not heard.
    for nonsense in [
        told(0, SECOND),
        told(7, Duration::ZERO),
        told(u64::MAX, SECOND),
    ] {
        limiter.heed(at(0), &nonsense);
        assert_eq!(limiter.quota(), Quota::per_second(some(10)));
    }
    // What an operator says goes before.
    let five = Quota::per_second(some(5));
    limiter.update(at(0), five, Inheritance::AsIs).unwrap();
    limiter.heed(at(0), &told(50, SECOND));
    assert_eq!(limiter.quota(), five);
}

#[test]
fn of_what_a_server_has_left_there_is_no_more_here() {
    let limiter = ten_a_second();
    limiter.heed(at(0), &Heard::nothing().with_remaining(3));
    assert_eq!(admitted(&limiter, at(0)), 3);
    limiter.heed(at(0), &Heard::nothing().with_remaining(9));
    assert_eq!(admitted(&limiter, at(0)), 0, "it only ever lowers");
}

#[test]
fn a_refusal_is_heard_until_its_time_and_no_longer_than_an_hour() {
    let limiter = ten_a_second();
    limiter.heed(at(0), &Heard::nothing().with_retry_after(7 * SECOND));
    assert_eq!(admitted(&limiter, at(6_999)), 0);
    // Not all that was saved up meanwhile.
    assert_eq!(admitted(&limiter, at(7_000)), 1);
    assert_eq!(admitted(&limiter, at(7_100)), 1);
    limiter.heed(at(8_000), &Heard::nothing().with_retry_after(Duration::MAX));
    let wait = limiter.admit(at(8_000)).unwrap_err().retry_after().unwrap();
    assert_eq!(wait, RateLimiter::LONGEST_PAUSE);
}

#[tokio::test]
async fn a_learning_layer_hears_what_answers_say() {
    let clock = ManualClock::new();
    let config = Config::new(Quota::per_second(some(10))).clock(Clock::Manual(clock.clone()));
    let limiter = config.build().unwrap();
    let layer = limiter
        .learning_layer()
        .with_error::<Rejected>()
        .with_binding(Told);
    let mut service = layer.layer(service_fn(|remaining: u32| async move {
        let heard = Some(Heard::nothing().with_remaining(remaining.into()));
        Ok::<_, Rejected>(Answer { left: None, heard })
    }));
    assert!(service.ready().await.unwrap().call(1).await.is_ok());
    assert!(service.ready().await.unwrap().call(0).await.is_ok());
    let refused = service.ready().await.unwrap().call(5).await.unwrap_err();
    clock.advance(refused.retry_after().unwrap());
    assert!(service.ready().await.unwrap().call(5).await.is_ok());
}
