//! Keys that strangers choose.

use axiomatic_redis::rate_limit::{Claim, OnFailure, Source};

use crate::support::{Server, Shared, patient, slowly, some};

#[tokio::test]
async fn no_key_reaches_another_limiter_or_another_slot() {
    let Some(redis) = Shared::find() else { return };
    let one = redis.build(patient(
        format!("{}/1", redis.prefix),
        slowly(1),
        OnFailure::FailClosed,
    ));
    let other = redis.build(patient(
        format!("{}/2", redis.prefix),
        slowly(1),
        OnFailure::FailClosed,
    ));
    let long = "x".repeat(100_000);
    let strange = ["", "}", "{a}", ":", "\r\nDEL *\r\n", "\0", "ключ", &long];
    for key in strange {
        assert!(one.admit(key).await.is_ok(), "{key:.20?}");
        assert!(one.admit(key).await.is_err(), "{key:.20?}");
        assert!(other.admit(key).await.is_ok(), "{key:.20?}");
    }
    for number in [1, 2] {
        let own = redis.beside(format!("{}/{number}", redis.prefix));
        assert_eq!(own.keys().len(), strange.len());
        assert!(own.keys().iter().all(|name| name.len() < 200));
    }
}

#[tokio::test]
async fn a_cluster_takes_several_limits_as_one_decision() {
    let arguments = &["--cluster-enabled", "yes"];
    let Some(server) = Server::start_with(arguments) else {
        return;
    };
    let _: String = server.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    crate::support::until("the cluster is up", async || {
        let info: String = server.say(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok")
    })
    .await;
    let limiter = server.build(patient("api", slowly(2), OnFailure::FailClosed));
    // Keys of other limiters would be in other slots, and be refused there.
    let slot = |key: &str| server.say::<u64>(&["CLUSTER", "KEYSLOT", key]);
    assert_ne!(slot("global"), slot("{tenant}"));
    assert_eq!(slot("{api}:global"), slot("{api}:{tenant}"));
    let claims = [Claim::of("global"), Claim::of("{tenant}").weighing(some(2))];
    let decision = limiter.admit_all(&claims).await.unwrap();
    assert_eq!(decision.source(), Source::Store);
    assert!(limiter.admit_all(&claims).await.is_err());
    assert_eq!(limiter.peek("global").await.unwrap().remaining(), 1);
}
