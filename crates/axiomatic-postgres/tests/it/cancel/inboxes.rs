//! What a consumer does with a message.

use axiomatic_coordination::inbox::Delivery;
use tokio_postgres::Transaction;

use super::stage::{Operation, Stage, operation};

/// Handles a delivery: an account is made.
async fn handle(stage: &Stage, attempt: u32) -> Result<(), tokio_postgres::Error> {
    let delivery = Delivery::new("").with_broker_id("7").attempted(attempt);
    let effect = format!(
        "INSERT INTO {}.account VALUES ('00000000-0000-0000-0000-000000000007')",
        stage.place.schema
    );
    let effect = async |tx: &mut Transaction<'_>, _: &Delivery| tx.batch_execute(&effect).await;
    let mut client = stage.handler.lock().await;
    let handled = stage
        .inbox
        .handle(&mut client, "consumer", &delivery, effect);
    handled.await.map(drop).expect("works");
    Ok(())
}

#[tokio::test]
async fn a_message_is_handled_whole_or_not_at_all() {
    let Some(stage) = Stage::find().await else {
        return;
    };
    let first: Operation = operation!(|stage| handle(stage, 1));
    let drops = stage.drop_at_each_await("a first delivery", first).await;
    assert!(drops >= 6, "it waits for the server: {drops}");
}

#[tokio::test]
async fn a_redelivery_that_is_dropped_is_handled_or_an_attempt_that_began() {
    let Some(stage) = Stage::find().await else {
        return;
    };
    let again: Operation = operation!(|stage| handle(stage, 2));
    // An attempt is a state of its own, between the two.
    let (_, states) = stage.states_at_each_await(again).await;
    assert!(states.len() <= 3, "{states:#?}");
    for state in &states {
        let has = |table: &str| state.iter().any(|row| row.contains(table));
        assert_eq!(has(".account "), has(".inbox_seen"), "{state:#?}");
    }
}
