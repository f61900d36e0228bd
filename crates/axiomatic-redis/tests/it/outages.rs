//! Redis goes away and comes back.

use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Mode, Reason};
use axiomatic_failure::circuit_breaker::State;
use axiomatic_redis::rate_limit::{Config, Lease, OnFailure, RedisRateLimiter, Source};

use crate::support::{FOR_EVER, Server, Shared, patient, slowly, some, until};

const SHARE: OnFailure = OnFailure::LocalShare {
    peers: std::num::NonZeroU32::new(4).unwrap(),
    overshoot: std::num::NonZeroU32::new(8).unwrap(),
};

/// Left alone after five failures, for a tenth of a second.
fn config(on_failure: OnFailure) -> Config {
    let tenth = Duration::from_millis(100);
    patient("api", slowly(1_000), on_failure)
        .named("outage")
        .left_alone_for(tenth, tenth)
}

/// Calls until Redis decides again.
async fn recovered(limiter: &RedisRateLimiter) {
    until("Redis decides again", async || {
        matches!(limiter.admit("other").await, Ok(decision) if decision.source() == Source::Store)
    })
    .await;
}

#[tokio::test]
async fn closed_it_refuses_while_redis_is_away_and_says_why() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let limiter = server.build(config(OnFailure::FailClosed));
    limiter.admit("a").await.unwrap();
    server.kill();
    for _ in 0..100 {
        let rejected = limiter.admit("a").await.unwrap_err();
        assert_eq!(rejected.reason(), Reason::Unreachable);
        assert_eq!(
            rejected.to_string().split(';').next(),
            Some("rate limiter outage cannot reach its store")
        );
    }
    // The last were not even asked, and know for how long.
    let rejected = limiter.admit("a").await.unwrap_err();
    assert!(rejected.retry_after().is_some());
    assert_eq!(limiter.snapshot().unreachable(), 101);
    server.run();
    recovered(&limiter).await;
    assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Store);
}

#[tokio::test]
async fn open_it_lets_everything_pass_while_redis_is_away() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let limiter = server.build(config(OnFailure::FailOpen));
    limiter.admit_weighing("a", some(1_000)).await.unwrap();
    assert!(limiter.admit("a").await.is_err());
    server.kill();
    for _ in 0..100 {
        assert_eq!(
            limiter.admit("a").await.unwrap().source(),
            Source::FailedOpen
        );
    }
    assert_eq!(limiter.snapshot().admitted(Source::FailedOpen), 100);
    server.run();
    recovered(&limiter).await;
    assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Store);
}

#[tokio::test]
async fn with_a_share_each_process_keeps_to_its_own() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let limiter = server.build(config(SHARE));
    limiter.admit("a").await.unwrap();
    server.kill();
    for left in [1, 0] {
        let decision = limiter.admit("a").await.unwrap();
        assert_eq!(decision.source(), Source::LocalShare);
        assert_eq!(decision.remaining(), Some(left));
    }
    for _ in 0..10 {
        let rejected = limiter.admit("a").await.unwrap_err();
        assert_eq!(rejected.reason(), Reason::Limited);
        // A quarter of one an hour.
        let wait = rejected.retry_after().unwrap();
        assert!(wait > Duration::from_secs(4 * 3_500), "{wait:?}");
    }
    let rejected = limiter.admit_weighing("b", some(3)).await.unwrap_err();
    assert_eq!(rejected.retry_after(), None, "more than the share ever has");
    server.run();
    recovered(&limiter).await;
    assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Store);
}

#[tokio::test]
async fn a_share_is_not_filled_up_when_redis_comes_and_goes() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let limiter = server.build(config(SHARE));
    let mut by_share = 0;
    for _ in 0..3 {
        limiter.admit("a").await.unwrap();
        server.kill();
        for _ in 0..10 {
            by_share += u32::from(limiter.admit("a").await.is_ok());
        }
        server.run();
        recovered(&limiter).await;
    }
    assert_eq!(by_share, 2);
}

#[tokio::test]
async fn several_limits_have_a_share_each_and_all_or_none_is_charged() {
    use axiomatic_redis::rate_limit::Claim;
    let Some(mut server) = Server::start() else {
        return;
    };
    let limiter = server.build(config(SHARE));
    let global = limiter.quota(slowly(20)).unwrap();
    server.kill();
    let both = |tenant| [Claim::of("global").by(global), Claim::of(tenant)];
    let twice = [Claim::of("a"), Claim::of("a"), Claim::of("a")];
    assert!(limiter.admit_all(&twice).await.is_err());
    for _ in 0..2 {
        let decision = limiter.admit_all(&both("a")).await.unwrap();
        assert_eq!(decision.source(), Source::LocalShare);
    }
    // The tenant's part was given back when the global one was spent.
    assert!(limiter.admit_all(&both("b")).await.is_err());
    assert_eq!(limiter.admit("b").await.unwrap().remaining(), Some(1));
}

#[tokio::test]
async fn a_lease_is_spent_while_redis_is_away() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let lease = Lease::of(some(10)).lasting(Duration::from_secs(3_600));
    let limiter = server.build(config(OnFailure::FailClosed).lease(lease));
    limiter.admit("a").await.unwrap();
    server.kill();
    for _ in 0..9 {
        assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Lease);
    }
    let rejected = limiter.admit("a").await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Unreachable);
}

#[tokio::test]
async fn a_redis_that_is_away_is_asked_no_more_often_than_the_breaker_says() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let hand = ManualClock::new();
    let limiter = server.build(config(OnFailure::FailOpen).clock(Clock::Manual(hand.clone())));
    limiter.admit("a").await.unwrap();
    server.kill();
    for _ in 0..1_000 {
        limiter.admit("a").await.unwrap();
    }
    // The first, and five that failed.
    assert_eq!(limiter.snapshot().round_trips(), 6);
    assert_eq!(limiter.snapshot().failures(), 5);
    for probe in 1..=5 {
        hand.advance(Duration::from_millis(150));
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let limiter = limiter.clone();
            callers.spawn(async move { limiter.admit("a").await.unwrap().source() });
        }
        for source in callers.join_all().await {
            assert_eq!(source, Source::FailedOpen);
        }
        assert_eq!(limiter.snapshot().round_trips(), 6 + probe);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_come_back_share_one_connection() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let config = config(OnFailure::FailOpen);
    let limiter = server.build(config.timeout(Duration::from_secs(20)));
    limiter.admit("a").await.unwrap();
    server.kill();
    // A question that is sent while its connection breaks is sometimes neither
    // sent nor failed by the client, and ends by its timeout, which says
    // nothing of the connection. Then it is the second that finds it broken.
    for _ in 0..2 {
        assert_eq!(
            limiter.admit("a").await.unwrap().source(),
            Source::FailedOpen
        );
    }
    server.run();
    let before = server.connections();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let limiter = limiter.clone();
        callers.spawn(async move { limiter.admit("a").await.unwrap().source() });
    }
    for source in callers.join_all().await {
        assert_eq!(source, Source::Store);
    }
    // That of this question, and theirs.
    assert_eq!(server.connections() - before, 2);
}

#[tokio::test]
async fn a_redis_that_is_slow_holds_no_call_longer_than_the_timeout() {
    let Some(server) = Server::start() else {
        return;
    };
    let config = config(OnFailure::FailClosed).timeout(Duration::from_millis(20));
    let limiter = server.build(config);
    recovered(&limiter).await;
    server.pause();
    let all = tokio::time::timeout(FOR_EVER, async {
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let limiter = limiter.clone();
            callers.spawn(async move { limiter.admit("a").await.unwrap_err().reason() });
        }
        callers.join_all().await
    });
    let reasons = all.await.expect("nobody waits for a server that is paused");
    assert!(reasons.iter().all(|reason| *reason == Reason::Unreachable));
    assert_ne!(limiter.snapshot().breaker().state(), State::Closed);
    server.resume();
    recovered(&limiter).await;
    // What timed out may have been charged when the server woke up, and nothing
    // passed for it: fewer pass, not more.
    let left = limiter.peek("a").await.unwrap().remaining();
    assert!((500..=1_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_server_that_is_asked_to_pause_is_away_as_well() {
    let Some(server) = Server::start() else {
        return;
    };
    let config = config(SHARE).timeout(Duration::from_millis(20));
    let limiter = server.build(config);
    recovered(&limiter).await;
    let _: String = server.say(&["CLIENT", "PAUSE", "1000", "ALL"]);
    assert_eq!(
        limiter.admit("a").await.unwrap().source(),
        Source::LocalShare
    );
    recovered(&limiter).await;
}

#[tokio::test]
async fn a_connection_that_answers_no_more_is_replaced() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = server.build(config(OnFailure::FailOpen).timeout(Duration::from_millis(20)));
    recovered(&limiter).await;
    let before = server.connections();
    server.pause();
    // Five time out, and the breaker is open: the connection is given up.
    for _ in 0..5 {
        assert_eq!(
            limiter.admit("a").await.unwrap().source(),
            Source::FailedOpen
        );
    }
    server.resume();
    recovered(&limiter).await;
    assert!(server.connections() - before >= 2);
}

#[tokio::test]
async fn a_process_may_start_while_redis_is_away() {
    let Some(mut server) = Server::start() else {
        return;
    };
    server.kill();
    let limiter = server.build(config(SHARE));
    assert_eq!(
        limiter.admit("a").await.unwrap().source(),
        Source::LocalShare
    );
    server.run();
    recovered(&limiter).await;
}

#[tokio::test]
async fn in_shadow_an_outage_refuses_nobody() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let limiter = server.build(config(OnFailure::FailClosed).mode(Mode::Shadow));
    server.kill();
    for _ in 0..10 {
        assert_eq!(limiter.admit("a").await.unwrap().source(), Source::Shadow);
    }
    assert_eq!(limiter.snapshot().would_refuse(), 10);
}

#[tokio::test]
async fn strangers_keys_take_no_memory_while_redis_is_away() {
    let Some(redis) = Shared::find() else { return };
    // Nobody is there.
    let client = redis::Client::open("redis://127.0.0.1:1/").unwrap();
    let quota = Quota::new(some(1), Duration::from_secs(3_600)).burst(some(8));
    let config = patient(&*redis.prefix, quota, SHARE).keys(some(16));
    let limiter = config.build(client).unwrap();
    let mut passed = 0;
    for key in 0..10_000 {
        passed += u32::from(limiter.admit(&key.to_string()).await.is_ok());
    }
    let shares = limiter.snapshot().shares().unwrap();
    assert!(shares.live() <= 16, "{shares}");
    // Sixteen with a share of two each, of which each key takes one; and the
    // two of the share for all others.
    assert_eq!(passed, 18);
}
