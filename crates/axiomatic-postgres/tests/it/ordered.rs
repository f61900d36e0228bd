//! Ordered messages: ids and numbers in the order of the commits.

use std::collections::HashMap;

use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::{MessageId, Why};
use axiomatic_postgres::outbox::{EnqueueError, Options, Outbox};
use proptest::prelude::*;
use sqlx_core::connection::Connection;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use tokio_postgres::{Client, IsolationLevel};

use crate::support::{Place, until};

fn ordered(key: impl Into<Box<str>>) -> Message {
    Message::new("t", "").keyed(key).ordered()
}

/// Numbers that differ from run to run only by the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// What a writer does in a transaction: messages by their keys.
struct Plan {
    messages: Vec<(MessageId, u64)>,
    commit: bool,
}

impl Plan {
    fn new(dice: &mut Dice) -> Plan {
        let count = 1 + dice.below(5);
        Plan {
            messages: (0..count)
                .map(|_| (MessageId::unique(), dice.below(6)))
                .collect(),
            commit: dice.below(5) > 0,
        }
    }

    fn messages(&self) -> impl Iterator<Item = Message> {
        let message = |(id, key): &(MessageId, u64)| ordered(format!("k{key}")).with_id(*id);
        self.messages.iter().map(message)
    }

    /// Writes down behind the enqueueing in which order the transactions of a
    /// key come: the row of the key is locked until the commit.
    fn log(&self, place: &Place) -> Vec<String> {
        let schema = &place.schema;
        let log = |(id, key): &(MessageId, u64)| {
            format!(
                "WITH next AS (UPDATE {schema}.version SET n = n + 1 WHERE key = 'k{key}' \
                 RETURNING n) INSERT INTO {schema}.log SELECT '{id}', n FROM next RETURNING n"
            )
        };
        self.messages.iter().map(log).collect()
    }
}

async fn write_by_tokio(place: &Place, outbox: &Outbox, dice: &mut Dice, rounds: u64) {
    let mut client = place.client().await;
    for _ in 0..rounds {
        let plan = Plan::new(dice);
        let mut tx = client.transaction().await.unwrap();
        outbox.enqueue(&mut tx, plan.messages()).await.unwrap();
        for sql in plan.log(place) {
            tx.query(&sql, &[]).await.unwrap();
        }
        if plan.commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
}

async fn write_by_sqlx(place: &Place, outbox: &Outbox, dice: &mut Dice, rounds: u64) {
    let mut own = PgConnection::connect(&place.url).await.unwrap();
    for _ in 0..rounds {
        let plan = Plan::new(dice);
        let mut tx = own.begin().await.unwrap();
        outbox.enqueue(&mut *tx, plan.messages()).await.unwrap();
        for sql in plan.log(place) {
            let n = query_scalar::<_, i64>(AssertSqlSafe(sql));
            n.fetch_one(&mut *tx).await.unwrap();
        }
        if plan.commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
}

/// Eight writers of six keys, and whether somebody forgets keys meanwhile.
async fn ids_and_numbers_follow_the_commits(forget: bool) {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let client = place.client().await;
    let schema = &place.schema;
    let tables = format!(
        "CREATE TABLE {schema}.version (key text PRIMARY KEY, n bigint NOT NULL); \
         CREATE TABLE {schema}.log (message_id uuid PRIMARY KEY, n bigint NOT NULL); \
         INSERT INTO {schema}.version SELECT 'k' || n, 0 FROM generate_series(0, 5) n"
    );
    client.batch_execute(&tables).await.unwrap();
    let writers = futures::future::join_all((0..8).map(|seed| {
        let (place, outbox) = (&place, &outbox);
        async move {
            let mut dice = Dice(seed);
            if seed % 2 == 0 {
                write_by_tokio(place, outbox, &mut dice, 60).await;
            } else {
                write_by_sqlx(place, outbox, &mut dice, 60).await;
            }
        }
    }));
    let forgetting = async {
        let one = format!(
            "DELETE FROM {schema}.outbox_sequence WHERE (tenant, key) IN (SELECT tenant, key \
             FROM {schema}.outbox_sequence ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED)"
        );
        while forget {
            client.batch_execute(&one).await.unwrap();
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = writers => {}
        () = forgetting => {}
    }
    let rows = format!(
        "SELECT key, id, sequence, first, n FROM {schema}.outbox \
         JOIN {schema}.log USING (message_id) ORDER BY key, id"
    );
    let rows = client.query(&rows, &[]).await.unwrap();
    assert!(rows.len() > 500, "{} messages", rows.len());
    let mut last: HashMap<String, (i64, i64)> = HashMap::new();
    let mut firsts = 0;
    for row in rows {
        let (key, id): (String, i64) = (row.get(0), row.get(1));
        let (number, first): (i64, bool) = (row.get(2), row.get(3));
        let n: i64 = row.get(4);
        assert!(number <= id, "number {number} of row {id}");
        firsts += usize::from(first);
        match last.insert(key.clone(), (number, n)) {
            None => assert!(first, "{key}"),
            Some((last, before)) => {
                // Those of one transaction are logged in their order too.
                assert_eq!(n, before + 1, "{key}: row {id} is not behind its commit");
                if first {
                    assert!(number > last, "{key}: {number} begins behind {last}");
                } else {
                    assert_eq!(number, last + 1, "{key}");
                }
            }
        }
    }
    if forget {
        assert!(firsts > 20, "{firsts} times a key began anew");
    } else {
        assert_eq!(firsts, 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_numbers_of_a_key_follow_the_order_of_the_commits() {
    ids_and_numbers_follow_the_commits(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_forgotten_while_others_write_begins_above_all_its_numbers() {
    ids_and_numbers_follow_the_commits(true).await;
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

fn message(key: usize, is_ordered: bool) -> Message {
    let (tenant, key) = KEYS[key];
    let mut message = Message::new("keys", key).keyed(key);
    if let Some(tenant) = tenant {
        message = message.of_tenant(tenant);
    }
    if is_ordered {
        message.ordered()
    } else {
        message
    }
}

/// What the model knows of a key: its last number, and whether the store
/// remembers it.
type Model = HashMap<usize, (i64, bool)>;

async fn step(
    place: &Place,
    outbox: &Outbox,
    client: &mut Client,
    keys: &mut Model,
    step: Step,
) -> Result<(), TestCaseError> {
    let schema = &place.schema;
    match step {
        Step::Commit(messages) => {
            let before = format!("SELECT coalesce(max(id), 0) FROM {schema}.outbox");
            let before: i64 = client.query_one(&before, &[]).await.unwrap().get(0);
            let mut tx = outbox.buffered(client.transaction().await.unwrap());
            for (key, is_ordered) in &messages {
                tx.push(message(*key, *is_ordered)).unwrap();
            }
            tx.commit().await.unwrap();
            let rows = format!(
                "SELECT id, sequence, first FROM {schema}.outbox WHERE id > $1 ORDER BY id"
            );
            let rows = client.query(&rows, &[&before]).await.unwrap();
            prop_assert_eq!(rows.len(), messages.len());
            for (row, (key, is_ordered)) in rows.iter().zip(messages) {
                let (id, number): (i64, Option<i64>) = (row.get(0), row.get(1));
                let first: Option<bool> = row.get(2);
                prop_assert_eq!(
                    (number.is_some(), first.is_some()),
                    (is_ordered, is_ordered)
                );
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
        }
        Step::RollBack(messages) => {
            let mut tx = client.transaction().await.unwrap();
            let messages = messages.into_iter().map(|(key, is)| message(key, is));
            outbox.enqueue(&mut tx, messages).await.unwrap();
            tx.rollback().await.unwrap();
        }
        Step::Forget(key) => {
            let (tenant, name) = KEYS[key];
            let tenant = tenant.map_or(String::new(), |tenant| format!("={tenant}"));
            let sql =
                format!("DELETE FROM {schema}.outbox_sequence WHERE tenant = $1 AND key = $2");
            client.execute(&sql, &[&tenant, &name]).await.unwrap();
            if let Some((_, remembered)) = keys.get_mut(&key) {
                *remembered = false;
            }
        }
        Step::Publish => {
            let sql = format!("DELETE FROM {schema}.outbox");
            client.execute(&sql, &[]).await.unwrap();
        }
    }
    Ok(())
}

#[test]
fn the_numbers_of_a_key_step_by_one_and_begin_above_all_earlier_ones() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(place) = runtime.block_on(Place::find()) else {
        return;
    };
    let database = place.database();
    let outbox = runtime.block_on(Outbox::new(&database, Options::new()));
    let (outbox, mut client) = (outbox.unwrap(), runtime.block_on(place.client()));
    // One after the other on one outbox: what the model knows goes on.
    let mut keys = Model::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
    let client = std::cell::RefCell::new(&mut client);
    let keys = std::cell::RefCell::new(&mut keys);
    let ran = runner.run(&steps(), |steps| {
        for one in steps {
            let (client, keys) = (&mut client.borrow_mut(), &mut keys.borrow_mut());
            runtime.block_on(step(&place, &outbox, client, keys, one))?;
        }
        Ok(())
    });
    ran.unwrap();
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
