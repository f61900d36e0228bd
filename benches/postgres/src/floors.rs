//! What one would write by hand: one table with the indexes a relay needs, one
//! statement in and one out, and nothing that survives a relay's death.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::queue::{BoxError, Producer, Queue, Row, Running, Seen, Step, Subject, TOPIC, Work};
use crate::server::Database;

/// In by UNNEST, out by id.
pub(crate) const BARE: Subject = Subject {
    name: "floor:bare",
    open: |database| bare(database, Wake::Never, Take::Oldest),
    part: 1,
    note: "",
};

/// The writer wakes the reader, in its transaction.
pub(crate) const NOTIFY: Subject = Subject {
    name: "floor:bare, NOTIFY inside",
    open: |database| bare(database, Wake::Inside, Take::Oldest),
    part: 1,
    note: "in the transaction",
};

/// Another connection wakes the reader, after the commit.
pub(crate) const NOTIFY_AFTER: Subject = Subject {
    name: "floor:bare, NOTIFY after",
    open: |database| bare(database, Wake::After, Take::Oldest),
    part: 1,
    note: "after the commit, from a connection of its own",
};

/// Only the first of each key, found as one would at first.
pub(crate) const NOT_EXISTS: Subject = Subject {
    name: "floor:heads by NOT EXISTS",
    open: |database| bare(database, Wake::Never, Take::HeadsByNotExists),
    part: 1,
    note: "",
};

/// Only the first of each key, by skipping from key to key in the index.
pub(crate) const LOOSE_SCAN: Subject = Subject {
    name: "floor:heads by loose scan",
    open: |database| bare(database, Wake::Never, Take::HeadsByLooseScan),
    part: 1,
    note: "",
};

#[derive(Copy, Clone, PartialEq)]
enum Wake {
    Never,
    Inside,
    After,
}

#[derive(Copy, Clone, PartialEq)]
enum Take {
    Oldest,
    HeadsByNotExists,
    HeadsByLooseScan,
}

struct Bare {
    database: Database,
    wake: Wake,
    take: Take,
}

const SCHEMA: &str = "
CREATE TABLE message (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane bigint NOT NULL,
    message_id uuid NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX message_by_lane ON message (lane, id);
CREATE TABLE blocked (lane bigint PRIMARY KEY);
";

const INSERT: &str = "
INSERT INTO message (lane, message_id, topic, key, body)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bytea[])
";

fn bare(database: Database, wake: Wake, take: Take) -> Step<'static, Box<dyn Queue>> {
    Box::pin(async move {
        database.connect().await?.batch_execute(SCHEMA).await?;
        Ok(Box::new(Bare {
            database,
            wake,
            take,
        }) as Box<dyn Queue>)
    })
}

impl Queue for Bare {
    fn producer(&self) -> Step<'_, Box<dyn Producer>> {
        Box::pin(async {
            let client = self.database.connect().await?;
            let insert = client.prepare(INSERT).await?;
            let waker = match self.wake {
                Wake::After => Some(self.database.connect().await?),
                Wake::Never | Wake::Inside => None,
            };
            Ok(Box::new(BareProducer {
                client,
                insert,
                wake: self.wake,
                waker,
            }) as Box<dyn Producer>)
        })
    }

    fn work(&self, how: Work, seen: Seen) -> Step<'_, Running> {
        Box::pin(async move {
            let mut workers = JoinSet::new();
            match how {
                Work::Drain { batch, clients } => {
                    for _ in 0..clients {
                        let worker = Worker::new(&self.database, self.take, batch).await?;
                        workers.spawn(drain(worker, seen.clone()));
                    }
                }
                Work::Wait => {
                    let (listener, notified) = self.database.listen("message").await?;
                    let client = self.database.connect().await?;
                    workers.spawn(wait(client, listener, notified, seen));
                }
            }
            Ok(Running::until(async move {
                workers.abort_all();
                while let Some(ended) = workers.join_next().await {
                    match ended {
                        Err(error) if error.is_cancelled() => {}
                        ended => ended??,
                    }
                }
                Ok(())
            }))
        })
    }

    fn emptied(&self) -> Step<'_, bool> {
        Box::pin(async {
            let client = self.database.connect().await?;
            let row = client
                .query_one("SELECT NOT EXISTS (SELECT FROM message)", &[])
                .await?;
            Ok(row.get(0))
        })
    }

    fn block(&self, rows: usize) -> Step<'_, ()> {
        Box::pin(async move {
            let stuck: Vec<Row> = (0..rows)
                .map(|n| crate::queue::row(n, "blocked".to_owned()))
                .collect();
            let lane = stuck[0].lane;
            self.prefill(stuck).await?;
            let client = self.database.connect().await?;
            client
                .execute("INSERT INTO blocked VALUES ($1)", &[&lane])
                .await?;
            Ok(())
        })
    }
}

struct BareProducer {
    client: Client,
    insert: Statement,
    wake: Wake,
    waker: Option<Client>,
}

impl Producer for BareProducer {
    fn commit<'a>(&'a mut self, rows: &'a [Row]) -> Step<'a, ()> {
        Box::pin(async move {
            let lanes: Vec<i64> = rows.iter().map(|row| row.lane).collect();
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            let topics = vec![TOPIC; rows.len()];
            let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
            let bodies: Vec<&[u8]> = rows.iter().map(|row| row.body.as_bytes()).collect();
            let tx = self.client.transaction().await?;
            tx.execute(&self.insert, &[&lanes, &ids, &topics, &keys, &bodies])
                .await?;
            if self.wake == Wake::Inside {
                tx.batch_execute("NOTIFY message").await?;
            }
            tx.commit().await?;
            if let Some(waker) = &self.waker {
                waker.batch_execute("NOTIFY message").await?;
            }
            Ok(())
        })
    }
}

/// One connection that takes batches.
struct Worker {
    client: Client,
    take: Statement,
    how: Take,
    batch: usize,
    /// The lane up to which the loose scan has come in its round.
    after: i64,
}

impl Worker {
    async fn new(database: &Database, how: Take, batch: usize) -> Result<Worker, BoxError> {
        let client = database.connect().await?;
        // The limit is part of the text: as a parameter it would be a tenth of
        // the table to a generic plan, which then reads the whole table.
        let take = match how {
            Take::Oldest => format!(
                "WITH next AS MATERIALIZED (
                     SELECT id FROM message ORDER BY id LIMIT {batch} FOR UPDATE SKIP LOCKED
                 )
                 DELETE FROM message WHERE id = ANY (ARRAY(SELECT id FROM next))
                 RETURNING id, lane, message_id, topic, key, body"
            ),
            Take::HeadsByNotExists => format!(
                "WITH next AS MATERIALIZED (
                     SELECT id FROM message AS own
                     WHERE NOT EXISTS (
                         SELECT FROM message AS older
                         WHERE older.lane = own.lane AND older.id < own.id
                     ) AND NOT EXISTS (SELECT FROM blocked WHERE blocked.lane = own.lane)
                     ORDER BY id LIMIT {batch} FOR UPDATE SKIP LOCKED
                 )
                 DELETE FROM message WHERE id = ANY (ARRAY(SELECT id FROM next))
                 RETURNING id, lane, message_id, topic, key, body"
            ),
            Take::HeadsByLooseScan => format!(
                "WITH RECURSIVE head AS (
                     (SELECT lane, id FROM message WHERE lane > $1 ORDER BY lane, id LIMIT 1)
                     UNION ALL
                     SELECT following.lane, following.id FROM head, LATERAL (
                         SELECT lane, id FROM message WHERE lane > head.lane
                         ORDER BY lane, id LIMIT 1
                     ) AS following
                 ), free AS MATERIALIZED (
                     SELECT id FROM head
                     WHERE NOT EXISTS (SELECT FROM blocked WHERE blocked.lane = head.lane)
                     LIMIT {batch}
                 ), next AS MATERIALIZED (
                     SELECT id FROM message WHERE id = ANY (ARRAY(SELECT id FROM free))
                     FOR UPDATE SKIP LOCKED
                 )
                 DELETE FROM message WHERE id = ANY (ARRAY(SELECT id FROM next))
                 RETURNING id, lane, message_id, topic, key, body"
            ),
        };
        let take = client.prepare(&take).await?;
        Ok(Worker {
            client,
            take,
            how,
            batch,
            after: i64::MIN,
        })
    }

    /// How many it took.
    async fn take(&mut self) -> Result<usize, BoxError> {
        if self.how != Take::HeadsByLooseScan {
            return Ok(self.client.query(&self.take, &[]).await?.len());
        }
        let rows = self.client.query(&self.take, &[&self.after]).await?;
        let reached = rows.iter().map(|row| row.get::<_, i64>(1)).max();
        self.after = reached
            .filter(|_| rows.len() == self.batch)
            .unwrap_or(i64::MIN);
        Ok(rows.len())
    }
}

async fn drain(mut worker: Worker, seen: Seen) -> Result<(), BoxError> {
    loop {
        match worker.take().await? {
            0 => tokio::time::sleep(Duration::from_millis(1)).await,
            taken => seen(taken),
        }
    }
}

/// A message is seen when it has been read; only then is it deleted.
async fn wait(
    client: Client,
    _listener: Client,
    mut notified: mpsc::UnboundedReceiver<()>,
    seen: Seen,
) -> Result<(), BoxError> {
    let read = client
        .prepare(
            // Without a lock, which would be a write to sync: nobody else reads.
            "SELECT id, lane, message_id, topic, key, body FROM message ORDER BY id LIMIT 100",
        )
        .await?;
    let delete = client
        .prepare("DELETE FROM message WHERE id = ANY ($1)")
        .await?;
    loop {
        // Of what was written before it listened, nobody notifies.
        loop {
            let rows = client.query(&read, &[]).await?;
            if rows.is_empty() {
                break;
            }
            seen(rows.len());
            let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            client.execute(&delete, &[&ids]).await?;
        }
        if notified.recv().await.is_none() {
            return Err("the listening connection ended".into());
        }
    }
}
