use axiomatic_redis::rate_limit::{OnFailure, Source};

use crate::support::{Server, patient, slowly};

#[tokio::test]
async fn a_script_that_was_flushed_is_loaded_again_under_load() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = server.build(patient("api", slowly(10_000), OnFailure::FailClosed));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let limiter = limiter.clone();
        callers.spawn(async move {
            for _ in 0..200 {
                let decision = limiter.admit("a").await.unwrap();
                assert_eq!(decision.source(), Source::Store);
            }
        });
    }
    for _ in 0..20 {
        let _: String = server.say(&["SCRIPT", "FLUSH"]);
        tokio::task::yield_now().await;
    }
    callers.join_all().await;
    let snapshot = limiter.snapshot();
    assert_eq!(snapshot.failures(), 0);
    assert!(snapshot.scripts_loaded() > 0);
    // Each was charged once, also those that had to ask twice.
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 10_000 - 1_600);
}

#[tokio::test]
async fn a_value_that_is_no_arrival_time_is_a_failure_and_not_a_full_bucket() {
    let Some(server) = Server::start() else {
        return;
    };
    let limiter = server.build(patient("api", slowly(1), OnFailure::FailClosed));
    let _: String = server.say(&["SET", "{api}:a", "gibberish"]);
    let rejected = limiter.admit("a").await.unwrap_err();
    assert_eq!(rejected.reason(), axiomatic_core::Reason::Unreachable);
    assert!(limiter.admit("b").await.is_ok());
}
