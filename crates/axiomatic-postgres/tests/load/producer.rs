//! Producers: transactions that change accounts and enqueue as much.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::Message;
use axiomatic_postgres::outbox::Outbox;
use axiomatic_testbed::chance::Chance;
use tokio_postgres::Client;

use super::ledger::digest;
use crate::support::connect;

/// In the order of the keys, so that no two wait for each other.
const CHANGE: &str = "INSERT INTO {schema}.account AS account (key, last, digest) \
    SELECT key, 1, digest FROM unnest($1::text[], $2::int8[]) AS changed (key, digest) ORDER BY key \
    ON CONFLICT (key) DO UPDATE SET last = account.last + 1, \
    digest = account.digest # excluded.digest RETURNING key, last";

/// Who produces, and how.
pub(crate) struct Producer<'a> {
    pub(crate) url: String,
    pub(crate) schema: &'a str,
    pub(crate) outbox: &'a Outbox,
    pub(crate) chance: Chance,
    /// How many keys there are.
    pub(crate) keys: u64,
    /// How many messages a transaction has at most.
    pub(crate) batch: u64,
    /// One transaction in so many is dropped while it is at work; 0 for none.
    pub(crate) drops: u64,
    /// Between two transactions.
    pub(crate) pause: Duration,
}

/// What came of transactions.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// Messages that are known to be committed.
    pub(crate) committed: AtomicU64,
    /// Transactions that were given up by their producers.
    pub(crate) dropped: AtomicU64,
    /// Transactions that failed, and it is known that they did not commit.
    pub(crate) failed: AtomicU64,
    /// Commits of which nobody heard whether they were done.
    pub(crate) unknown: AtomicU64,
}

enum Failed {
    Before,
    AtCommit,
}

impl Producer<'_> {
    /// Produces until so many messages are known to be committed, by all
    /// producers together.
    pub(crate) async fn until(mut self, enough: u64, outcomes: &Outcomes) {
        let mut client = None;
        while outcomes.committed.load(Ordering::SeqCst) < enough {
            tokio::time::sleep(self.pause).await;
            let Some(connected) = &mut client else {
                // Whoever cuts connections does not end all of the business.
                let connect = tokio::time::timeout(Duration::from_secs(2), connect(&self.url));
                client = connect.await.ok().and_then(Result::ok);
                continue;
            };
            let is_dropped = self.drops > 0 && self.chance.below(self.drops) == 0;
            let within = match is_dropped {
                true => Duration::from_micros(self.chance.below(3_000)),
                false => Duration::from_secs(5),
            };
            let messages = 1 + self.chance.below(self.batch);
            let done = tokio::time::timeout(within, self.transact(connected, messages)).await;
            let count = match done {
                Ok(Ok(committed)) => {
                    outcomes.committed.fetch_add(committed, Ordering::SeqCst);
                    self.outbox.wake();
                    continue;
                }
                Ok(Err(Failed::Before)) => &outcomes.failed,
                Ok(Err(Failed::AtCommit)) => &outcomes.unknown,
                Err(_) => &outcomes.dropped,
            };
            count.fetch_add(1, Ordering::SeqCst);
            // A transaction that was dropped is rolled back, and the
            // connection goes on; one that failed may be broken, and is left.
            if !is_dropped {
                client = None;
            }
        }
    }

    /// Returns how many messages it has committed.
    async fn transact(&mut self, client: &mut Client, messages: u64) -> Result<u64, Failed> {
        let mut keys: Vec<_> = (0..messages)
            .map(|_| format!("key {:04}", self.chance.below(self.keys)))
            .collect();
        keys.sort();
        keys.dedup();
        let ids: Vec<_> = keys.iter().map(|_| MessageId::unique()).collect();
        let digests: Vec<_> = ids.iter().copied().map(digest).collect();
        let mut tx = client.transaction().await.map_err(|_| Failed::Before)?;
        let change = CHANGE.replace("{schema}", self.schema);
        let changed = tx.query(&change, &[&keys, &digests]).await;
        let changed = changed.map_err(|_| Failed::Before)?;
        let messages: Vec<_> = changed
            .iter()
            .map(|row| {
                let (key, number): (String, i64) = (row.get(0), row.get(1));
                let which = keys.iter().position(|other| *other == key);
                let id = ids[which.expect("it was asked for")];
                let is_ordered = key.as_bytes().last().is_some_and(|last| last % 2 == 0);
                let message = Message::identified(id, "orders", number.to_string());
                let message = message.keyed(key);
                if is_ordered {
                    message.ordered()
                } else {
                    message
                }
            })
            .collect();
        let enqueued = self.outbox.enqueue(&mut tx, messages).await;
        enqueued.map_err(|_| Failed::Before)?;
        tx.commit().await.map_err(|_| Failed::AtCommit)?;
        Ok(ids.len() as u64)
    }
}
