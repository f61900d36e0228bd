//! How many messages may wait.

use std::num::NonZeroU64;
use std::time::Duration;

use axiomatic_coordination::outbox::Message;
use axiomatic_postgres::outbox::{EnqueueError, Options, Outbox, WhenFull};

use crate::producer::{bodies, outbox};
use crate::support::FOR_EVER;

#[tokio::test]
async fn a_full_outbox_rejects_until_there_is_room() {
    let two = NonZeroU64::new(2).unwrap();
    let options = Options::new().backlog(two, WhenFull::Reject);
    let Some((place, outbox)) = outbox(options).await else {
        return;
    };
    let mut client = place.client().await;
    let mut enqueue = async |count: usize| {
        let mut tx = client.transaction().await.unwrap();
        let messages = (0..count).map(|_| Message::new("t", ""));
        let enqueued = outbox.enqueue(&mut tx, messages).await;
        // Nothing was sent: the transaction can go on either way.
        tx.commit().await.unwrap();
        enqueued
    };
    enqueue(1).await.unwrap();
    // All of a call, or nothing of it.
    let refused = enqueue(2).await;
    let is_full = |refused: &Result<(), _>, waiting| {
        let Err(EnqueueError::Full { backlog, cap: 2 }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(*backlog, waiting);
    };
    is_full(&refused, 1);
    enqueue(1).await.unwrap();
    is_full(&enqueue(1).await, 2);
    // Another process, which has enqueued nothing, counts what is there.
    let other = Outbox::new(&place.database(), options).await.unwrap();
    let mut own = place.client().await;
    let mut tx = own.transaction().await.unwrap();
    is_full(&other.enqueue(&mut tx, [Message::new("t", "")]).await, 2);
    tx.rollback().await.unwrap();
    let publish = format!("DELETE FROM {}.outbox", place.schema);
    own.batch_execute(&publish).await.unwrap();
    let has_room = tokio::time::timeout(FOR_EVER, async {
        while enqueue(2).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    has_room.await.expect("there is room again");
}

#[tokio::test]
async fn a_full_outbox_that_only_warns_takes_everything() {
    let two = NonZeroU64::new(2).unwrap();
    let options = Options::new().backlog(two, WhenFull::Warn);
    let Some((place, outbox)) = outbox(options).await else {
        return;
    };
    let mut client = place.client().await;
    for _ in 0..3 {
        let mut tx = client.transaction().await.unwrap();
        let messages = (0..3).map(|_| Message::new("t", ""));
        outbox.enqueue(&mut tx, messages).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(bodies(&client, &place).await.len(), 9);
}
