//! What is enqueued, and what is written of it.

use std::collections::HashMap;
use std::num::NonZeroU64;

use axiomatic_coordination::outbox::{Message, TraceContext};
use axiomatic_sqlite::outbox::{self, Outbox};
use axiomatic_sqlite::{EnqueueError, Options, WhenFull};
use proptest::prelude::*;
use rusqlite::{Connection, Error};

use crate::support::{Place, insert};

/// Bodies, numbers and which of them is a first, in the order of the rows.
fn rows(connection: &Connection) -> Vec<(String, Option<i64>, Option<bool>)> {
    let sql = "SELECT CAST(body AS TEXT), sequence, first FROM outbox ORDER BY id";
    let mut rows = connection.prepare(sql).expect("prepares");
    let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("queries")
        .map(|row| row.expect("reads"))
        .collect()
}

fn backlog(connection: &Connection) -> i64 {
    let sql = "SELECT messages FROM outbox_backlog";
    connection
        .query_row(sql, (), |row| row.get(0))
        .expect("counts")
}

#[tokio::test]
async fn a_group_of_any_size_is_written_whole_and_in_order() {
    let place = Place::new();
    let database = place.open(Options::new());
    let mut expected = Vec::new();
    for size in 0..80 {
        let bodies: Vec<_> = (0..size).map(|n| format!("{size}/{n}")).collect();
        expected.extend(bodies.iter().map(|body| (body.clone(), None, None)));
        let run = database.writer().run(move |tx| {
            for body in bodies {
                tx.enqueue(Message::new("sizes", body))?;
            }
            Ok::<_, EnqueueError>(())
        });
        run.await.expect("commits");
    }
    assert_eq!(rows(&place.look()), expected);
    assert_eq!(backlog(&place.look()), expected.len() as i64);
}

#[tokio::test]
async fn all_that_a_message_says_is_written() {
    let place = Place::new();
    let database = place.open(Options::new());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let message = Message::new("orders", "body")
        .keyed("key")
        .of_tenant("tenant")
        .with_header("a", "b")
        .traced(
            TraceContext::parse(trace)
                .expect("is one")
                .with_state("c=d"),
        );
    let sent = message.clone();
    database
        .writer()
        .run(move |tx| tx.enqueue(sent))
        .await
        .expect("commits");
    let sql = "SELECT lane, message_id, topic, key, tenant, body, headers, trace_parent, \
               trace_state, abs(enqueued_at - unixepoch() * 1000000) < 60000000 FROM outbox";
    place
        .look()
        .query_row(sql, (), |row| {
            assert_eq!(row.get::<_, i64>(0)?, message.lane().to_stored());
            assert_eq!(row.get::<_, [u8; 16]>(1)?, message.id().into_bytes());
            assert_eq!(row.get::<_, String>(2)?, "orders");
            assert_eq!(row.get::<_, String>(3)?, "key");
            assert_eq!(row.get::<_, String>(4)?, "tenant");
            assert_eq!(row.get::<_, Vec<u8>>(5)?, b"body");
            assert_eq!(row.get::<_, Option<String>>(6)?, message.headers_to_json());
            assert_eq!(row.get::<_, String>(7)?, trace);
            assert_eq!(row.get::<_, String>(8)?, "c=d");
            assert!(row.get::<_, bool>(9)?, "now, in microseconds");
            Ok(())
        })
        .expect("one row");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_transaction_goes_on() {
    let place = Place::new();
    let database = place.open(Options::new().largest_body(3));
    let run = database.writer().run(|tx| {
        tx.enqueue(Message::new("sizes", "123")).expect("just fits");
        let refused = tx.enqueue(Message::new("sizes", "1234"));
        insert(tx, "ada")?;
        Ok::<_, Error>(refused)
    });
    let refused = run.await.expect("commits").expect_err("is too large");
    assert!(matches!(
        refused,
        EnqueueError::TooLarge {
            bytes: 4,
            at_most: 3
        }
    ));
    assert_eq!(place.count("account"), 1);
    assert_eq!(place.count("outbox"), 1);
}

#[tokio::test]
async fn a_full_outbox_rejects_or_warns() {
    let two = NonZeroU64::new(2).expect("not zero");
    for (when_full, taken) in [(WhenFull::Reject, 2), (WhenFull::Warn, 5)] {
        let place = Place::new();
        let database = place.open(Options::new().backlog(two, when_full));
        let mut refused = 0;
        // One transaction with three, then two with one each.
        for count in [3, 1, 1] {
            let run = database.writer().run(move |tx| {
                let all = (0..count).map(|n| tx.enqueue(Message::new("full", format!("{n}"))));
                Ok::<_, Error>(all.collect::<Vec<_>>())
            });
            for refusal in run
                .await
                .expect("commits")
                .into_iter()
                .filter_map(Result::err)
            {
                assert!(
                    matches!(refusal, EnqueueError::Full { backlog: 2, cap: 2 }),
                    "{refusal}"
                );
                refused += 1;
            }
        }
        assert_eq!((place.count("outbox"), refused), (taken, 5 - taken));
        assert_eq!(backlog(&place.look()), taken);

        let outbox = Outbox::new(&database, outbox::Options::default()).expect("is there");
        let mut own = place.look();
        let tx = own.transaction().expect("begins");
        let written = outbox.write(&tx, [Message::new("full", "own")]);
        assert_eq!(written.is_err(), when_full == WhenFull::Reject);
    }
}

#[tokio::test]
async fn on_a_connection_of_ones_own_messages_commit_and_roll_back_with_the_business() {
    let place = Place::new();
    let database = place.open(Options::new());
    let outbox = Outbox::new(&database, outbox::Options::default()).expect("is there");
    let mut own = place.look();
    for (name, commit) in [("kept", true), ("undone", false)] {
        let tx = own.transaction().expect("begins");
        insert(&tx, name).expect("inserts");
        let messages = ["a", "b"].map(|body| Message::new("accounts", body).keyed("k").ordered());
        outbox.write(&tx, messages).expect("writes");
        if commit {
            tx.commit().expect("commits");
            outbox.wake();
        }
    }
    let look = place.look();
    let expected = [("a", true), ("b", false)];
    let expected = expected
        .iter()
        .zip(1..)
        .map(|((body, first), n)| ((*body).to_owned(), Some(n), Some(*first)));
    assert_eq!(rows(&look), expected.collect::<Vec<_>>());
    assert_eq!(backlog(&look), 2);
    assert_eq!(place.count("account"), 1);
}

/// What can happen to the numbers of keys.
#[derive(Clone, Debug)]
enum Step {
    /// Messages in one transaction, by tenant and key, ordered or not.
    Commit(Vec<(usize, bool)>),
    /// As that, but rolled back.
    RollBack(Vec<(usize, bool)>),
    /// A key that was quiet for long is forgotten.
    Forget(usize),
    /// All was published.
    Publish,
}

/// A key, without and with tenants, and another one.
const KEYS: [(Option<&str>, &str); 4] =
    [(None, "a"), (Some(""), "a"), (Some("t"), "a"), (None, "b")];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let messages = || prop::collection::vec((0..KEYS.len(), prop::bool::weighted(0.8)), 0..12);
    let step = prop_oneof![
        4 => messages().prop_map(Step::Commit),
        2 => messages().prop_map(Step::RollBack),
        1 => (0..KEYS.len()).prop_map(Step::Forget),
        1 => Just(Step::Publish),
    ];
    prop::collection::vec(step, 0..20)
}

fn message(key: usize, ordered: bool) -> Message {
    let (tenant, key) = KEYS[key];
    let mut message = Message::new("keys", key).keyed(key);
    if let Some(tenant) = tenant {
        message = message.of_tenant(tenant);
    }
    if ordered { message.ordered() } else { message }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_numbers_of_a_key_step_by_one_and_begin_above_all_earlier_ones(steps in steps()) {
        let place = Place::new();
        let database = place.open(Options::new());
        let look = place.look();
        // What the model knows of a key: its last number, and whether the
        // store remembers it.
        let mut keys: HashMap<usize, (i64, bool)> = HashMap::new();
        for step in steps {
            match step {
                Step::Commit(messages) => {
                    let before: i64 = look
                        .query_row("SELECT coalesce(max(id), 0) FROM outbox", (), |row| row.get(0))
                        .expect("reads");
                    let sent = messages.clone();
                    let run = database.writer().run_blocking(move |tx| {
                        sent.into_iter().try_for_each(|(key, ordered)| tx.enqueue(message(key, ordered)))
                    });
                    run.expect("commits");
                    let sql = "SELECT id, sequence, first FROM outbox WHERE id > ?1 ORDER BY id";
                    let mut rows = look.prepare(sql).expect("prepares");
                    let mut rows = rows.query([before]).expect("queries");
                    for (key, ordered) in messages {
                        let row = rows.next().expect("reads").expect("a row each");
                        let id: i64 = row.get(0).expect("an id");
                        let number: Option<i64> = row.get(1).expect("a number or none");
                        let first: Option<bool> = row.get(2).expect("so or not");
                        prop_assert_eq!(number.is_some(), ordered);
                        let (Some(number), Some(first)) = (number, first) else {
                            continue;
                        };
                        match keys.get(&key) {
                            Some((last, true)) => prop_assert_eq!((number, first), (last + 1, false)),
                            Some((last, false)) => prop_assert!(number > *last && first),
                            None => prop_assert!(number > 0 && first),
                        }
                        prop_assert!(number <= id);
                        keys.insert(key, (number, true));
                    }
                    prop_assert!(rows.next().expect("reads").is_none());
                }
                Step::RollBack(messages) => {
                    let run = database.writer().run_blocking(move |tx| {
                        for (key, ordered) in messages {
                            tx.enqueue(message(key, ordered)).expect("room");
                        }
                        Err::<(), _>(())
                    });
                    prop_assert!(run.is_err());
                }
                Step::Forget(key) => {
                    let (tenant, name) = KEYS[key];
                    let tenant = tenant.map_or(String::new(), |tenant| format!("={tenant}"));
                    let sql = "DELETE FROM outbox_sequence WHERE tenant = ?1 AND key = ?2";
                    look.execute(sql, [&tenant, name]).expect("deletes");
                    if let Some((_, remembered)) = keys.get_mut(&key) {
                        *remembered = false;
                    }
                }
                Step::Publish => {
                    look.execute_batch("DELETE FROM outbox; UPDATE outbox_backlog SET messages = 0")
                        .expect("deletes");
                }
            }
        }
    }
}
