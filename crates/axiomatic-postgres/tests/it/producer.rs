//! What is enqueued, and what is written of it.

use std::num::NonZeroU64;
use std::time::Duration;

use axiomatic_coordination::outbox::{Message, TraceContext};
use axiomatic_coordination::{MessageId, Why};
use axiomatic_postgres::outbox::{EnqueueError, Options, Outbox, WhenFull};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sqlx_core::connection::Connection;
use sqlx_postgres::PgConnection;
use tokio_postgres::{Client, NoTls};

use crate::support::{FOR_EVER, Place};

/// A schema of the test's own, and an outbox in it.
async fn outbox(options: Options) -> Option<(Place, Outbox)> {
    let place = Place::find().await?;
    let outbox = Outbox::new(&place.database(), options).await;
    Some((place, outbox.expect("an outbox")))
}

/// Bodies, in the order of the rows.
async fn bodies(client: &Client, place: &Place) -> Vec<String> {
    let sql = format!("SELECT body FROM {}.outbox ORDER BY id", place.schema);
    let rows = client.query(&sql, &[]).await.expect("reads");
    let body = |row: &tokio_postgres::Row| String::from_utf8(row.get(0)).expect("text");
    rows.iter().map(body).collect()
}

/// Two messages as they mostly are, one with headers, and one that is ordered.
fn of_each_kind(name: &str) -> [[Message; 2]; 2] {
    let message = |kind: &str| Message::new("t", format!("{name} {kind}"));
    [
        [message("1"), message("2").with_header("a", "b")],
        [message("3"), message("4").keyed("k").ordered()],
    ]
}

#[tokio::test]
async fn messages_commit_and_roll_back_with_a_transaction_of_tokio_postgres() {
    let Some((place, outbox)) = outbox(Options::new()).await else {
        return;
    };
    let mut client = place.client().await;
    for (name, commit) in [("undone", false), ("kept", true), ("again", false)] {
        let mut tx = client.transaction().await.unwrap();
        for messages in of_each_kind(name) {
            outbox.enqueue(&mut tx, messages).await.unwrap();
        }
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let kept = ["kept 1", "kept 2", "kept 3", "kept 4"];
    assert_eq!(bodies(&client, &place).await, kept);
}

#[tokio::test]
async fn messages_commit_and_roll_back_with_a_transaction_of_deadpool() {
    let Some((place, outbox)) = outbox(Options::new()).await else {
        return;
    };
    let config = place.url.parse().unwrap();
    let manager = deadpool_postgres::Manager::new(config, NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).build().unwrap();
    let mut client = pool.get().await.unwrap();
    for (name, commit) in [("undone", false), ("kept", true), ("again", false)] {
        let mut tx = client.transaction().await.unwrap();
        for messages in of_each_kind(name) {
            outbox.enqueue(&mut tx, messages).await.unwrap();
        }
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let kept = ["kept 1", "kept 2", "kept 3", "kept 4"];
    assert_eq!(bodies(&client, &place).await, kept);
}

#[tokio::test]
async fn messages_commit_and_roll_back_with_a_transaction_of_sqlx() {
    let Some((place, outbox)) = outbox(Options::new()).await else {
        return;
    };
    let mut own = PgConnection::connect(&place.url).await.unwrap();
    for (name, commit) in [("undone", false), ("kept", true), ("again", false)] {
        let mut tx = own.begin().await.unwrap();
        let [some, more] = of_each_kind(name);
        outbox.enqueue(&mut *tx, some).await.unwrap();
        outbox.enqueue(&mut tx, more).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let kept = ["kept 1", "kept 2", "kept 3", "kept 4"];
    assert_eq!(bodies(&place.client().await, &place).await, kept);
}

#[tokio::test]
async fn what_is_buffered_is_written_with_the_commit_or_not_at_all() {
    let Some((place, outbox)) = outbox(Options::new()).await else {
        return;
    };
    let schema = &place.schema;
    let business = format!("CREATE TABLE {schema}.business (name text)");
    let insert = format!("INSERT INTO {schema}.business VALUES ('a')");
    let mut client = place.client().await;
    client.batch_execute(&business).await.unwrap();
    let mut own = PgConnection::connect(&place.url).await.unwrap();
    for (name, commit) in [("undone", false), ("kept", true)] {
        let mut tx = outbox.buffered(client.transaction().await.unwrap());
        tx.execute(&insert, &[]).await.unwrap();
        for message in of_each_kind(name).into_iter().flatten() {
            tx.push(message).unwrap();
        }
        assert_eq!(tx.buffered(), 4);
        if commit {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
        }

        let mut tx = outbox.buffered(own.begin().await.unwrap());
        let insert = sqlx_core::query::query(sqlx_core::sql_str::AssertSqlSafe(insert.as_str()));
        insert.execute(&mut **tx).await.unwrap();
        for message in of_each_kind("by sqlx").into_iter().flatten() {
            tx.push(message).unwrap();
        }
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let mut expected: Vec<_> = (1..5).map(|n| format!("kept {n}")).collect();
    expected.extend((1..5).map(|n| format!("by sqlx {n}")));
    assert_eq!(bodies(&client, &place).await, expected);
    let count = format!("SELECT count(*) FROM {schema}.business");
    let count = client.query_one(&count, &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 2);
}

#[tokio::test]
async fn an_error_of_the_server_rolls_back_what_was_buffered() {
    let Some((place, outbox)) = outbox(Options::new()).await else {
        return;
    };
    let mut client = place.client().await;
    let mut tx = outbox.buffered(client.transaction().await.unwrap());
    tx.push(Message::new("t", "lost")).unwrap();
    assert!(tx.execute("SELECT 1 / 0", &[]).await.is_err());
    // PostgreSQL takes a COMMIT of a transaction that it has aborted for a
    // ROLLBACK, and calls that success.
    let Err(EnqueueError::Store(error)) = tx.commit().await else {
        panic!("it cannot have committed");
    };
    assert_eq!(error.why(), Why::Refused);
    assert!(bodies(&client, &place).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_and_the_transaction_goes_on() {
    let Some((place, outbox)) = outbox(Options::new().largest_body(3)).await else {
        return;
    };
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = TraceContext::parse(trace).unwrap().with_state("a\0");
    let message = || Message::new("t", "123");
    let refused = [
        ("topic", Message::new("t\0", "")),
        ("key", message().keyed("\0")),
        ("tenant", message().of_tenant("a\0b")),
        ("header", message().with_header("\0", "")),
        ("header", message().with_header("a", "\0")),
        ("trace", message().traced(trace)),
        ("body", Message::new("t", "1234")),
    ];
    let mut client = place.client().await;
    let mut tx = client.transaction().await.unwrap();
    for (wrong, refused) in refused {
        // None of the call is written, whatever comes before it.
        let refused = outbox.enqueue(&mut tx, [message(), refused]).await;
        match refused {
            Err(EnqueueError::Nul { what }) => assert_eq!(what, wrong),
            Err(EnqueueError::TooLarge { bytes, at_most }) => {
                assert_eq!((wrong, bytes, at_most), ("body", 4, 3));
            }
            refused => panic!("{wrong}: {refused:?}"),
        }
    }
    // What is no text may have one.
    let zero = Message::new("t", vec![0, b'a']);
    outbox.enqueue(&mut tx, [message(), zero]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bodies(&client, &place).await, ["123", "\0a"]);
}

#[tokio::test]
async fn a_call_of_any_size_is_written_whole_and_in_order() {
    let Some((place, outbox)) = outbox(Options::new().largest_body(20 << 20)).await else {
        return;
    };
    let mut client = place.client().await;
    let mut expected = Vec::new();
    for size in [0, 1, 2, 9_999, 10_000, 10_001, 30_001] {
        let all: Vec<_> = (0..size).map(|n| format!("{size}/{n}")).collect();
        let mut tx = client.transaction().await.unwrap();
        let messages = all.iter().map(|body| Message::new("t", body.clone()));
        outbox.enqueue(&mut tx, messages).await.unwrap();
        tx.commit().await.unwrap();
        expected.extend(all);
    }
    assert_eq!(bodies(&client, &place).await, expected);
    // Large ones, one of them larger than a statement carries otherwise.
    let mut tx = client.transaction().await.unwrap();
    let messages = [5, 9, 9, 17, 1].map(|mib| Message::new("large", vec![b'x'; mib << 20]));
    outbox.enqueue(&mut tx, messages).await.unwrap();
    tx.commit().await.unwrap();
    let sizes = format!(
        "SELECT length(body) >> 20 FROM {}.outbox WHERE topic = 'large' ORDER BY id",
        place.schema
    );
    let sizes = client.query(&sizes, &[]).await.unwrap();
    let sizes = sizes.iter().map(|row| row.get::<_, i32>(0));
    assert!(sizes.eq([5, 9, 9, 17, 1]));
}

/// Text of any characters but NUL, and none.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        4 => "[^\0]{0,20}",
        2 => r#"[ '"\\{},NULäß€🦀]{0,8}"#,
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let headers = prop::collection::vec((text(), text()), 0..3);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let trace = prop::option::of((1_u128.., 1_u64.., prop::option::of(text())));
    let names = (text(), prop::option::of(text()), prop::option::of(text()));
    (
        any::<[u8; 16]>(),
        names,
        body,
        headers,
        trace,
        any::<bool>(),
    )
        .prop_map(
            |(id, (topic, key, tenant), body, headers, trace, is_ordered)| {
                let mut message = Message::identified(MessageId::from_bytes(id), topic, body);
                if let Some(key) = key {
                    message = message.keyed(key);
                }
                if let Some(tenant) = tenant {
                    message = message.of_tenant(tenant);
                }
                for (name, value) in headers {
                    message = message.with_header(name, value);
                }
                if let Some((trace, parent, state)) = trace {
                    let parent = format!("00-{trace:032x}-{parent:016x}-00");
                    let mut trace = TraceContext::parse(&parent).expect("is one");
                    if let Some(state) = state {
                        trace = trace.with_state(state);
                    }
                    message = message.traced(trace);
                }
                // Without a key it means nothing, and is not kept.
                if is_ordered && message.key().is_some() {
                    message.ordered()
                } else {
                    message
                }
            },
        )
}

/// The messages of all rows, and their lanes, in the order of the rows.
async fn stored(client: &Client, place: &Place) -> Vec<(Message, i64)> {
    let sql = format!(
        "SELECT uuid_send(message_id), topic, key, tenant, body, headers, trace_parent, \
         trace_state, sequence IS NOT NULL, lane FROM {}.outbox ORDER BY id",
        place.schema
    );
    let rows = client.query(&sql, &[]).await.unwrap();
    let message = |row: &tokio_postgres::Row| {
        let id: [u8; 16] = row.get::<_, Vec<u8>>(0).try_into().unwrap();
        let id = MessageId::from_bytes(id);
        let mut message =
            Message::identified(id, row.get::<_, String>(1), row.get::<_, Vec<u8>>(4));
        if let Some(key) = row.get::<_, Option<String>>(2) {
            message = message.keyed(key);
        }
        if let Some(tenant) = row.get::<_, Option<String>>(3) {
            message = message.of_tenant(tenant);
        }
        if let Some(headers) = row.get::<_, Option<&str>>(5) {
            message = message.with_headers_from_json(headers).unwrap();
        }
        if let Some(parent) = row.get::<_, Option<&str>>(6) {
            let mut trace = TraceContext::parse(parent).unwrap();
            if let Some(state) = row.get::<_, Option<String>>(7) {
                trace = trace.with_state(state);
            }
            message = message.traced(trace);
        }
        if row.get(8) {
            message = message.ordered();
        }
        (message, row.get(9))
    };
    rows.iter().map(message).collect()
}

#[test]
fn all_that_a_message_says_is_written() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some((place, outbox)) = runtime.block_on(outbox(Options::new())) else {
        return;
    };
    let mut client = runtime.block_on(place.client());
    let mut own = runtime.block_on(PgConnection::connect(&place.url)).unwrap();
    let client = std::cell::RefCell::new(&mut client);
    let own = std::cell::RefCell::new(&mut own);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(100));
    let cases = (prop::collection::vec(any_message(), 0..6), any::<bool>());
    let ran = runner.run(&cases, |(messages, by_sqlx)| {
        let expected = messages
            .iter()
            .map(|message| (message.clone(), message.lane().to_stored()));
        let expected: Vec<_> = expected.collect();
        runtime.block_on(async {
            let (client, own) = (&mut **client.borrow_mut(), &mut **own.borrow_mut());
            let sql = format!("DELETE FROM {}.outbox", place.schema);
            client.batch_execute(&sql).await.unwrap();
            if by_sqlx {
                let mut tx = own.begin().await.unwrap();
                outbox.enqueue(&mut *tx, messages).await.unwrap();
                tx.commit().await.unwrap();
            } else {
                let mut tx = client.transaction().await.unwrap();
                outbox.enqueue(&mut tx, messages).await.unwrap();
                tx.commit().await.unwrap();
            }
            prop_assert_eq!(stored(client, &place).await, expected);
            Ok(())
        })
    });
    ran.unwrap();
}

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
