//! What a limit does while Redis answers.

use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Mode, Pattern, Reason};
use axiomatic_redis::rate_limit::{Claim, OnFailure, Source};

use crate::support::{Shared, patient, slowly, some, until};

#[tokio::test]
async fn admits_the_burst_and_then_says_how_long_to_wait() {
    let Some(redis) = Shared::find() else { return };
    let config = patient(&*redis.prefix, slowly(3), OnFailure::FailClosed).named("three");
    let limiter = redis.build(config);
    for left in [2, 1, 0] {
        let decision = limiter.admit("a").await.unwrap();
        assert_eq!(decision.source(), Source::Store);
        assert_eq!(decision.remaining(), Some(left));
    }
    let rejected = limiter.admit("a").await.unwrap_err();
    assert_eq!(rejected.pattern(), Pattern::RateLimiter);
    assert_eq!(rejected.reason(), Reason::Limited);
    assert_eq!(rejected.name().as_str(), "three");
    let wait = rejected.retry_after().unwrap();
    assert!(wait <= Duration::from_secs(3_600), "{wait:?}");
    assert!(wait > Duration::from_secs(3_500), "{wait:?}");
    // Another key is another bucket.
    assert_eq!(limiter.admit("b").await.unwrap().remaining(), Some(2));
}

#[tokio::test]
async fn a_call_that_can_never_pass_is_refused_without_asking() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(patient(&*redis.prefix, slowly(3), OnFailure::FailClosed));
    let rejected = limiter.admit_weighing("a", some(4)).await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Limited);
    assert_eq!(rejected.retry_after(), None);
    assert_eq!(limiter.snapshot().round_trips(), 0);
    assert_eq!(
        limiter
            .admit_weighing("a", some(3))
            .await
            .unwrap()
            .remaining(),
        Some(0)
    );
}

#[tokio::test]
async fn several_limits_are_one_decision_and_one_round_trip() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(patient(&*redis.prefix, slowly(2), OnFailure::FailClosed));
    let global = limiter.quota(slowly(5)).unwrap();
    let claims = |tenant| [Claim::of("global").by(global), Claim::of(tenant)];
    for _ in 0..2 {
        limiter.admit_all(&claims("a")).await.unwrap();
    }
    // The tenant has nothing left, so the global limit is not charged.
    for _ in 0..10 {
        let rejected = limiter.admit_all(&claims("a")).await.unwrap_err();
        assert_eq!(rejected.reason(), Reason::Limited);
    }
    let decision = limiter.admit_all(&claims("b")).await.unwrap();
    // Of the two, the one with the least left: 2 of the global, 1 of the tenant.
    assert_eq!(decision.remaining(), Some(1));
    limiter.admit_all(&claims("b")).await.unwrap();
    let decision = limiter.admit_all(&claims("c")).await.unwrap();
    assert_eq!(decision.remaining(), Some(0));
    assert!(limiter.admit_all(&claims("d")).await.is_err());
    assert_eq!(limiter.peek("d").await.unwrap().remaining(), 2);
    assert_eq!(limiter.snapshot().round_trips(), 17);
}

#[tokio::test]
async fn a_key_that_is_claimed_twice_is_charged_twice() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(patient(&*redis.prefix, slowly(3), OnFailure::FailClosed));
    let twice = [Claim::of("a"), Claim::of("a")];
    limiter.admit_all(&twice).await.unwrap();
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 1);
    assert!(limiter.admit_all(&twice).await.is_err());
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 1);
}

/// Parts of a microsecond are of another size for each quota.
#[tokio::test]
async fn a_key_that_is_claimed_by_two_quotas_meets_both() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(patient(&*redis.prefix, slowly(3), OnFailure::FailClosed));
    let odd = Quota::new(some(7), Duration::from_secs(7 * 3_600 + 1)).burst(some(3));
    let odd = limiter.quota(odd).unwrap();
    let both = [Claim::of("a").by(odd), Claim::of("a")];
    limiter.admit_all(&both).await.unwrap();
    assert!(limiter.admit_all(&both).await.is_err());
    limiter.admit_all(&both[..1]).await.unwrap();
    assert!(limiter.admit_all(&both[1..]).await.is_err());
}

#[tokio::test]
async fn what_is_refunded_can_be_taken_again_and_never_more_than_the_burst() {
    let Some(redis) = Shared::find() else { return };
    let limiter = redis.build(patient(&*redis.prefix, slowly(4), OnFailure::FailClosed));
    limiter.admit_weighing("a", some(4)).await.unwrap();
    assert!(limiter.admit("a").await.is_err());
    assert!(limiter.refund("a", some(3)).await);
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 3);
    assert!(limiter.refund("a", some(4)).await);
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 4);
    // A full bucket is no key.
    assert_eq!(redis.keys().len(), 0);
}

#[tokio::test]
async fn a_key_vanishes_when_its_bucket_is_full_again() {
    let Some(redis) = Shared::find() else { return };
    let quota = Quota::per_second(some(200)).burst(some(10));
    let limiter = redis.build(patient(&*redis.prefix, quota, OnFailure::FailClosed));
    for key in 0..50 {
        limiter.admit(&format!("{key}")).await.unwrap();
    }
    until("all keys are gone", async || redis.keys().is_empty()).await;
}

#[tokio::test]
async fn the_clock_of_a_client_does_not_matter() {
    let Some(redis) = Shared::find() else { return };
    let behind = ManualClock::new();
    behind.set(Instant::from_nanos(Clock::Precise.now().as_nanos() / 2));
    let clocks = [
        Clock::Precise,
        // Far behind everybody, and it stands still.
        Clock::Manual(behind),
        // Up to an hour ahead, and at every look another time.
        Clock::Source(|| {
            let now = Clock::Precise.now().as_nanos();
            Instant::from_nanos(now + now % 7 * 600_000_000_000)
        }),
    ];
    let limiters = clocks.map(|clock| {
        let config = patient(&*redis.prefix, slowly(30), OnFailure::FailClosed);
        redis.build(config.clock(clock))
    });
    for left in (0..30).rev() {
        let limiter = &limiters[left as usize % 3];
        assert_eq!(limiter.admit("a").await.unwrap().remaining(), Some(left));
    }
    let mut waits = Vec::new();
    for limiter in &limiters {
        let rejected = limiter.admit("a").await.unwrap_err();
        waits.push(rejected.retry_after().unwrap());
    }
    // They were told the same, one after the other.
    assert!(waits.is_sorted_by(|one, next| one >= next), "{waits:?}");
    assert!(waits[0] - waits[2] < Duration::from_secs(60), "{waits:?}");
}

#[tokio::test]
async fn in_shadow_everything_passes_and_what_would_not_is_counted() {
    let Some(redis) = Shared::find() else { return };
    let config = patient(&*redis.prefix, slowly(2), OnFailure::FailClosed);
    let limiter = redis.build(config.mode(Mode::Shadow));
    let mut sources = Vec::new();
    for _ in 0..4 {
        sources.push(limiter.admit("a").await.unwrap().source());
    }
    let (store, shadow) = (Source::Store, Source::Shadow);
    assert_eq!(sources, [store, store, shadow, shadow]);
    assert_eq!(limiter.snapshot().would_refuse(), 2);
    limiter.set_mode(Mode::Off);
    assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Off);
    assert_eq!(limiter.snapshot().round_trips(), 4);
    limiter.set_mode(Mode::Enforce);
    assert!(limiter.admit("a").await.is_err());
}

#[tokio::test]
async fn a_snapshot_is_a_line() {
    let Some(redis) = Shared::find() else { return };
    let config = patient(&*redis.prefix, slowly(1), OnFailure::FailClosed).named("line");
    let limiter = redis.build(config);
    let _ = limiter.admit("a").await;
    let _ = limiter.admit("a").await;
    assert_eq!(
        limiter.snapshot().to_string(),
        "rate limiter line: redis closed; 2 round trips, 0 failed; admitted 1 by store, \
         0 by lease, 0 by local share, 0 by failed open; refused 1 limited, 0 unreachable, \
         0 expired; leases hold 0"
    );
}
