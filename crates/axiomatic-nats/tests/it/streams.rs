//! What is found out about streams before anything is published to them.

use std::time::Duration;

use async_nats::jetstream::stream::{RetentionPolicy, StorageType};
use axiomatic_nats::outbox::{
    Caveat, CheckError, Config, Durability, JetStream, Requirements, Unfit, Volatile,
};

use crate::support::Shared;

const SECOND: Duration = Duration::from_secs(1);

async fn unfit(shared: &Shared, requirements: &Requirements) -> Vec<Unfit> {
    let publisher = shared.publisher();
    match publisher.check(&shared.subject("a"), requirements).await {
        Err(CheckError::Unfit { stream, why }) => {
            assert_eq!(&*stream, shared.name());
            why
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_will_do_is_reported() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    shared.stream(|stream| stream.max_age = 600 * SECOND).await;
    let (a, b) = (shared.subject("a"), shared.subject("b"));
    let context = shared.context.clone();
    let checked = JetStream::checked(context, Config::new(), &Requirements::new(), &[&a, &b]).await;
    let (_, reports) = checked.expect("it will do");
    assert_eq!(reports.len(), 1, "both are of one stream");
    assert_eq!(&*reports[0].stream, shared.name());
    assert_eq!(reports[0].duplicate_window, 120 * SECOND);
    assert_eq!(
        reports[0].caveats,
        [Caveat::MaxAge(600 * SECOND), Caveat::OneReplica]
    );
}

#[tokio::test]
async fn a_subject_without_a_stream_is_found_out() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.publisher();
    let subject = shared.subject("a");
    let checked = publisher.check(&subject, &Requirements::new()).await;
    assert!(matches!(checked, Err(CheckError::NoStream { subject: said }) if *said == *subject));
    let checked = publisher.check("a b", &Requirements::new()).await;
    assert!(matches!(checked, Err(CheckError::Subject(_))));
}

#[tokio::test]
async fn a_stream_that_forgets_ids_while_a_relay_may_repeat_them_is_refused() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let window = 10 * SECOND;
    shared
        .stream(|stream| stream.duplicate_window = window)
        .await;
    let short = unfit(&shared, &Requirements::new()).await;
    let at_least = 120 * SECOND;
    assert_eq!(short, [Unfit::DuplicateWindow { window, at_least }]);
    let requirements = Requirements::new().duplicate_window_at_least(window);
    let horizon = 11 * SECOND;
    let later = unfit(&shared, &requirements.clone().retried_for(horizon)).await;
    assert_eq!(later, [Unfit::RetryHorizon { window, horizon }]);
    let subject = shared.subject("a");
    let publisher = shared.publisher();
    let checked = publisher.check(&subject, &requirements).await;
    assert!(checked.is_ok(), "{checked:?}");

    // What ages may be published again when it was nearly old enough.
    let aging = Config::new().durability(Durability::AckedAndAged(window));
    let publisher = JetStream::new(shared.context.clone(), aging).expect("it can work");
    let checked = publisher.check(&subject, &requirements).await;
    let Err(CheckError::Unfit { why, .. }) = checked else {
        panic!("{checked:?}");
    };
    let horizon = publisher.publish_timeout();
    assert_eq!(why, [Unfit::RetryHorizon { window, horizon }]);
}

#[tokio::test]
async fn a_stream_in_memory_is_refused_unless_allowed() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    shared
        .stream(|stream| stream.storage = StorageType::Memory)
        .await;
    assert_eq!(
        unfit(&shared, &Requirements::new()).await,
        [Unfit::InMemory]
    );
    let allowed = Requirements::new().volatile(Volatile::Allow);
    let publisher = shared.publisher();
    let checked = publisher.check(&shared.subject("a"), &allowed).await;
    assert!(checked.is_ok(), "{checked:?}");
}

#[tokio::test]
async fn a_stream_on_too_few_servers_or_without_interest_or_sealed_is_refused() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared
        .stream(|stream| {
            stream.retention = RetentionPolicy::Interest;
            stream.no_ack = true;
        })
        .await;
    let mut config = stream.cached_info().config.clone();
    config.sealed = true;
    shared
        .context
        .update_stream(config)
        .await
        .expect("it is sealed");
    let replicas = Unfit::Replicas {
        replicas: 1,
        at_least: 3,
    };
    assert_eq!(
        unfit(&shared, &Requirements::new().replicas_at_least(3)).await,
        [
            replicas,
            Unfit::NeverAcknowledges,
            Unfit::Sealed,
            Unfit::NobodyIsInterested
        ]
    );
}

#[tokio::test]
async fn a_stream_that_is_made_does_and_one_that_is_there_stays() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let requirements = Requirements::new().retried_for(300 * SECOND);
    let subjects = || [shared.subject(">")];
    let ensured = requirements.ensure(&shared.context, shared.name(), subjects());
    ensured.await.expect("it is made");
    let publisher = shared.publisher();
    let report = publisher.check(&shared.subject("a"), &requirements).await;
    assert_eq!(report.expect("it will do").duplicate_window, 300 * SECOND);
    let other = Requirements::new();
    let ensured = other.ensure(&shared.context, shared.name(), subjects());
    ensured.await.expect("it is there");
    let report = publisher.check(&shared.subject("a"), &other).await;
    assert_eq!(report.expect("it will do").duplicate_window, 300 * SECOND);
}
