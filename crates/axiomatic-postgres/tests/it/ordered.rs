//! Ordered messages: ids and numbers in the order of the commits.

mod commits;
mod numbers;

use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::{MessageId, Why};
use axiomatic_postgres::outbox::{EnqueueError, Options, Outbox};
use tokio_postgres::{Client, IsolationLevel};

use crate::support::{Place, until};

fn ordered(key: impl Into<Box<str>>) -> Message {
    Message::new("t", "").keyed(key).ordered()
}

#[tokio::test]
async fn only_those_of_the_same_key_wait_for_each_other() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let (mut one, mut two, mut three) = (
        place.client().await,
        place.client().await,
        place.client().await,
    );
    for is_known in [false, true] {
        let mut first = one.transaction().await.unwrap();
        let mut second = two.transaction().await.unwrap();
        let mut other = three.transaction().await.unwrap();
        outbox.enqueue(&mut first, [ordered("a")]).await.unwrap();
        outbox.enqueue(&mut other, [ordered("b")]).await.unwrap();
        let of_a_tenant = ordered("a").of_tenant("");
        outbox.enqueue(&mut other, [of_a_tenant]).await.unwrap();
        other.commit().await.unwrap();
        {
            let mut waits = std::pin::pin!(outbox.enqueue(&mut second, [ordered("a")]));
            let ends = tokio::time::timeout(std::time::Duration::from_millis(50), &mut waits);
            assert!(ends.await.is_err(), "known: {is_known}");
            first.commit().await.unwrap();
            waits.await.unwrap();
        }
        second.commit().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_key_that_could_not_be_serialized_gets_is_busy() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let (mut one, mut two) = (place.client().await, place.client().await);
    for level in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        for is_known in [false, true] {
            let key = format!("{level:?}");
            let begin = one.build_transaction().isolation_level(level);
            let mut tx = begin.start().await.unwrap();
            // Its snapshot is taken.
            tx.query("SELECT 1", &[]).await.unwrap();
            let mut between = two.transaction().await.unwrap();
            outbox
                .enqueue(&mut between, [ordered(key.as_str())])
                .await
                .unwrap();
            between.commit().await.unwrap();
            let refused = outbox.enqueue(&mut tx, [ordered(key)]).await;
            let Err(EnqueueError::Store(error)) = refused else {
                panic!("{refused:?}, known: {is_known}");
            };
            assert_eq!(error.why(), Why::Busy);
        }
        // Without another between, all is well.
        let begin = one.build_transaction().isolation_level(level);
        let mut tx = begin.start().await.unwrap();
        outbox.enqueue(&mut tx, [ordered("quiet")]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn of_two_that_wait_for_each_other_over_several_calls_one_is_busy() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let (mut one, mut two) = (place.client().await, place.client().await);
    let mut first = one.transaction().await.unwrap();
    let mut second = two.transaction().await.unwrap();
    outbox.enqueue(&mut first, [ordered("a")]).await.unwrap();
    outbox.enqueue(&mut second, [ordered("b")]).await.unwrap();
    let ended = tokio::join!(
        async {
            let ended = outbox.enqueue(&mut first, [ordered("b")]).await;
            first.rollback().await.unwrap();
            ended
        },
        async {
            let ended = outbox.enqueue(&mut second, [ordered("a")]).await;
            second.rollback().await.unwrap();
            ended
        }
    );
    let ((Err(EnqueueError::Store(error)), Ok(())) | (Ok(()), Err(EnqueueError::Store(error)))) =
        ended
    else {
        panic!("{ended:?}");
    };
    assert_eq!(error.why(), Why::Busy);
}

#[tokio::test]
async fn more_keys_than_there_are_locks_can_be_ordered_at_once() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let mut client = place.client().await;
    // In more than one statement, from both ends at once.
    let messages = |_| (0..12_000).flat_map(|n| [n, 11_999 - n]);
    for round in 0..2 {
        let mut tx = client.transaction().await.unwrap();
        let messages = messages(round).map(|n| ordered(format!("k{n}")));
        outbox.enqueue(&mut tx, messages).await.unwrap();
        tx.commit().await.unwrap();
    }
    let wrong = format!(
        "SELECT count(*) FROM (SELECT key, count(*) AS count, max(sequence) - min(sequence) AS range, \
         count(*) FILTER (WHERE first) AS firsts, bool_and(sequence <= id) AS below, \
         min(sequence) = min(sequence) FILTER (WHERE first) AS begins FROM {}.outbox GROUP BY key) \
         AS of_key WHERE count <> 4 OR range <> 3 OR firsts <> 1 OR NOT below OR NOT begins",
        place.schema
    );
    let wrong: i64 = client.query_one(&wrong, &[]).await.unwrap().get(0);
    assert_eq!(wrong, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_several_statements_lock_their_keys_in_one_order() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    // A statement locks what all have to lock: those of the second statement
    // are taken before those of the first are written.
    let write = async |first: &'static str, last: &'static str| {
        let mut client = place.client().await;
        for _ in 0..2 {
            let mut tx = client.transaction().await.unwrap();
            let between = (0..10_000).map(|n| Message::new("t", format!("{n}")));
            let messages = std::iter::once(ordered(first)).chain(between);
            let messages = messages.chain([ordered(last)]);
            outbox.enqueue(&mut tx, messages).await.unwrap();
            tx.commit().await.unwrap();
        }
    };
    tokio::join!(write("a", "b"), write("b", "a"));
    let sql = format!(
        "SELECT key, sequence FROM {}.outbox WHERE key IS NOT NULL ORDER BY key, id",
        place.schema
    );
    let rows = place.client().await.query(&sql, &[]).await.unwrap();
    for of_key in rows.chunks(4) {
        let numbers = of_key.iter().map(|row| row.get::<_, i64>(1));
        let begin: i64 = of_key[0].get(1);
        assert!(numbers.eq(begin..begin + 4), "{of_key:?}");
    }
}

#[tokio::test]
async fn a_key_whose_first_call_was_broken_off_begins_anew() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let mut client = place.client().await;
    let mut enqueue = async |count: usize| {
        let mut tx = client.transaction().await.unwrap();
        let messages = vec![ordered("k"); count].into_iter();
        let messages = messages.map(|message| message.with_id(MessageId::unique()));
        outbox.enqueue(&mut tx, messages).await.unwrap();
        tx.commit().await.unwrap();
    };
    enqueue(3).await;
    // As it stands between the two statements of a new key.
    let own = place.client().await;
    let mark = format!("UPDATE {}.outbox_sequence SET last = -3", place.schema);
    own.batch_execute(&mark).await.unwrap();
    enqueue(2).await;
    enqueue(1).await;
    let numbers = numbers(&own, &place).await;
    let (begun, again) = (numbers[0].0, numbers[3].0);
    assert!(again > begun + 2);
    let expected = [
        (begun, true),
        (begun + 1, false),
        (begun + 2, false),
        (again, true),
        (again + 1, false),
        (again + 2, false),
    ];
    assert_eq!(numbers, expected);
}

/// The numbers of all ordered messages in the order of the rows.
async fn numbers(client: &Client, place: &Place) -> Vec<(i64, bool)> {
    let sql = format!(
        "SELECT sequence, first FROM {}.outbox WHERE sequence IS NOT NULL ORDER BY id",
        place.schema
    );
    let rows = client.query(&sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn who_waits_for_a_key_and_is_dropped_leaves_nothing_open() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let (mut one, mut two) = (place.client().await, place.client().await);
    let mut first = one.transaction().await.unwrap();
    outbox.enqueue(&mut first, [ordered("a")]).await.unwrap();
    {
        let mut second = two.transaction().await.unwrap();
        let waits = outbox.enqueue(&mut second, [ordered("a")]);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), waits);
        assert!(waits.await.is_err());
    }
    first.commit().await.unwrap();
    // What is sent next comes behind the rollback.
    let count = format!("SELECT count(*) FROM {}.outbox", place.schema);
    until("the second one has rolled back", async || {
        two.query_one(&count, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    let mut third = two.transaction().await.unwrap();
    outbox.enqueue(&mut third, [ordered("a")]).await.unwrap();
    third.commit().await.unwrap();
    let numbers = numbers(&one, &place).await;
    assert_eq!(numbers[1], (numbers[0].0 + 1, false));
}
