//! Tokens that a process takes at once.

use std::time::Duration;

use axiomatic_core::Reason;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_redis::rate_limit::{Config, Lease, OnFailure, Source};

use crate::support::{Shared, patient, slowly, some, until};

const HOUR: Duration = Duration::from_secs(3_600);

fn leasing(redis: &Shared, at_once: u32, batch: u32) -> Config {
    let config = patient(&*redis.prefix, slowly(at_once), OnFailure::FailClosed);
    config.lease(Lease::of(some(batch)).lasting(HOUR))
}

#[tokio::test]
async fn a_lease_of_ten_makes_one_round_trip_of_ten() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(leasing(&redis, 1_000, 10));
    for _ in 0..1_000 {
        limiter.admit("a").await.unwrap();
    }
    let snapshot = limiter.snapshot();
    assert_eq!(snapshot.round_trips(), 100);
    assert_eq!(snapshot.admitted(Source::Store), 100);
    assert_eq!(snapshot.admitted(Source::Lease), 900);
    assert_eq!(snapshot.answered_locally(), 900);
    // They were all paid for: none is left, and none was made up.
    let rejected = limiter.admit("a").await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Limited);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_makes_one_round_trip_however_many_call_at_a_time() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(leasing(&redis, 10_000, 10));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let limiter = limiter.clone();
        callers.spawn(async move {
            for _ in 0..100 {
                limiter.admit("a").await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let snapshot = limiter.snapshot();
    assert_eq!(snapshot.round_trips(), 500);
    assert_eq!(snapshot.held(), 0);
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 5_000);
}

#[tokio::test]
async fn who_is_limited_is_told_so_without_asking_again() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(leasing(&redis, 10, 10));
    for _ in 0..10 {
        limiter.admit("a").await.unwrap();
    }
    for _ in 0..1_000 {
        let rejected = limiter.admit("a").await.unwrap_err();
        assert_eq!(rejected.reason(), Reason::Limited);
        assert!(rejected.retry_after().unwrap() <= HOUR);
    }
    assert_eq!(limiter.snapshot().round_trips(), 2);
    assert_eq!(limiter.snapshot().limited(), 1_000);
}

#[tokio::test]
async fn what_is_refunded_can_be_taken_although_it_was_refused_before() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(leasing(&redis, 10, 10));
    limiter.admit_weighing("a", some(10)).await.unwrap();
    assert!(limiter.admit("a").await.is_err());
    assert!(limiter.refund("a", some(1)).await);
    assert!(limiter.admit("a").await.is_ok());
}

#[tokio::test]
async fn what_is_left_is_shared_out_by_halves() {
    let Some(redis) = Shared::find() else { return };
    let greedy = redis.build(leasing(&redis, 10, 8));
    let other = redis.build(leasing(&redis, 10, 8));
    greedy.admit("a").await.unwrap();
    // Two are left in Redis: a lease of two, not a refusal.
    for source in [Source::Store, Source::Lease] {
        assert_eq!(other.admit("a").await.unwrap().source(), source);
    }
    assert!(other.admit("a").await.is_err());
    assert_eq!(greedy.snapshot().held(), 7);
}

#[tokio::test]
async fn all_processes_hold_no_more_than_a_batch_each_and_never_spend_more_than_there_is() {
    let Some(redis) = Shared::find() else { return };
    let limiters: Vec<_> = (0..3)
        .map(|_| redis.build(leasing(&redis, 500, 20)))
        .collect();
    let mut callers = tokio::task::JoinSet::new();
    for limiter in &limiters {
        for caller in 0..4u32 {
            let limiter = limiter.clone();
            callers.spawn(async move {
                let mut passed = 0;
                for n in 0..100 {
                    let cost = 1 + (n + caller) % 3;
                    if limiter.admit_weighing("a", some(cost)).await.is_ok() {
                        passed += cost;
                    }
                }
                passed
            });
        }
    }
    let passed: u32 = callers.join_all().await.into_iter().sum();
    let held: Vec<u64> = limiters.iter().map(|one| one.snapshot().held()).collect();
    assert!(held.iter().all(|held| *held <= 20), "{held:?}");
    let left = limiters[0].peek("a").await.unwrap().remaining();
    // Nothing was lost and nothing was made up.
    assert_eq!(u64::from(passed + left) + held.iter().sum::<u64>(), 500);
}

#[tokio::test]
async fn a_caller_who_leaves_loses_no_batch() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(leasing(&redis, 100, 10));
    {
        let asking = limiter.admit("a");
        tokio::pin!(asking);
        // As far as the first wait, and no further.
        let polled = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(asking.as_mut().poll(cx).is_pending())
        });
        assert!(polled.await);
    }
    until("the batch arrived", async || limiter.snapshot().held() == 9).await;
    assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Lease);
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 90);
}

#[tokio::test]
async fn what_is_left_is_given_back_at_the_end() {
    let Some(redis) = Shared::find() else { return };
    let watcher = redis.build(leasing(&redis, 100, 10));
    let remaining = async || watcher.peek("a").await.unwrap().remaining();
    let limiter = redis.build(leasing(&redis, 100, 10));
    limiter.admit("a").await.unwrap();
    assert_eq!(remaining().await, 90);
    limiter.close().await;
    assert_eq!(remaining().await, 99);
    // It works on, and who only drops it gives back as well.
    limiter.admit("a").await.unwrap();
    assert_eq!(remaining().await, 89);
    let clone = limiter.clone();
    drop(limiter);
    assert_eq!(clone.admit("a").await.unwrap().source(), Source::Lease);
    drop(clone);
    until("it was given back", async || remaining().await == 97).await;
}

#[tokio::test]
async fn what_has_expired_is_not_spent_and_is_given_back() {
    let Some(redis) = Shared::find() else { return };
    let hand = ManualClock::new();
    let lasting = Duration::from_millis(20);
    let config = patient(&*redis.prefix, slowly(100), OnFailure::FailClosed)
        .lease(Lease::of(some(10)).lasting(lasting))
        .clock(Clock::Manual(hand.clone()));
    let limiter = redis.build(config);
    limiter.admit("a").await.unwrap();
    hand.advance(lasting * 2);
    // Nobody calls, and it is given back all the same.
    until("it was given back", async || {
        limiter.peek("a").await.unwrap().remaining() == 99
    })
    .await;
    assert_eq!(limiter.snapshot().held(), 0);
    assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Store);
}

#[tokio::test]
async fn keys_without_a_place_have_no_lease_and_are_limited_all_the_same() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(leasing(&redis, 4, 4).keys(some(8)));
    for key in 0..100 {
        for _ in 0..4 {
            limiter.admit(&key.to_string()).await.unwrap();
        }
        assert!(limiter.admit(&key.to_string()).await.is_err());
    }
    let leases = limiter.snapshot().leases().unwrap();
    assert!(leases.live() <= 8, "{leases}");
    assert!(limiter.snapshot().held() <= 8 * 4);
}
