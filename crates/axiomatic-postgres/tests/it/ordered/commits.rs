//! Many writers of a few keys, and the order in which they commit.

use std::collections::HashMap;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::Message;
use axiomatic_postgres::outbox::{Options, Outbox};
use sqlx_core::connection::Connection;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;

use super::ordered;
use crate::support::Place;

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
        if !forget {
            std::future::pending::<()>().await;
        }
        loop {
            client.batch_execute(&one).await.unwrap();
            tokio::task::yield_now().await;
        }
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
