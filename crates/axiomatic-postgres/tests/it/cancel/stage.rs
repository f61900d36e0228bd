//! What is tried again and again on tables that are the same each time.

use std::num::NonZeroU16;
use std::pin::Pin;
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{
    Buckets, Cause, Class, Departing, Failure, Fate, Fetch, Lane, Lease, Message, Operate, RelayId,
    Settled, Settlement, Store, Stored,
};
use axiomatic_postgres::Database;
use axiomatic_postgres::outbox::{Keep, Notify, Options, Outbox};
use tokio_postgres::Client;

use super::{BOTH, Dropped, polled};
use crate::support::Place;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Two keys with three messages, one of them dead; all buckets but one are
/// held.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) relay: RelayId,
    pub(crate) leases: Vec<Lease>,
    pub(crate) stored: Vec<Stored>,
    tables: Vec<String>,
    client: Client,
}

pub(crate) type Operation = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// An operation, as a future without a result.
macro_rules! operation {
    (|$stage:ident| $operation:expr) => {
        |$stage: &$crate::cancel::stage::Stage| {
            Box::pin(async move {
                let _ = $operation.await.expect("works");
            })
        }
    };
}
pub(crate) use operation;

impl Stage {
    pub(crate) async fn find() -> Option<Stage> {
        let place = Place::find().await?;
        let client = place.client().await;
        let mut stage = Stage::over(place, client).await;
        stage.act().await;
        stage.save().await;
        Some(stage)
    }

    async fn over(place: Place, client: Client) -> Stage {
        let database = database(&place);
        let buckets = Buckets::new(NonZeroU16::new(4).expect("not 0"));
        let options = Options::new().keep(Keep::Archive(HOUR)).buckets(buckets);
        // A connection more would be one that nobody here looks after.
        let options = options.notify(Notify::Off);
        Stage {
            outbox: Outbox::new(&database, options).await.expect("migrates"),
            relay: RelayId::new("relay"),
            leases: Vec::new(),
            stored: Vec::new(),
            tables: Vec::new(),
            place,
            database,
            client,
        }
    }

    async fn act(&mut self) {
        let schema = &self.place.schema;
        let account = format!("CREATE TABLE {schema}.account (id uuid PRIMARY KEY)");
        self.client.batch_execute(&account).await.expect("it is new");
        let mut client = self.place.client().await;
        let mut tx = client.transaction().await.expect("begins");
        let messages = [("a", "1"), ("a", "2"), ("b", "1")]
            .map(|(key, body)| Message::new("orders", body).keyed(key));
        self.outbox.enqueue(&mut tx, messages).await.expect("writes");
        tx.commit().await.expect("commits");
        let all: Vec<_> = self.outbox.buckets().all().collect();
        let there = self.outbox.attend(&self.relay, HOUR).await;
        there.expect("it is here");
        let leases = self.outbox.claim(&self.relay, &all, HOUR).await;
        self.leases = leases.expect("claims");
        self.stored = self.fetch().await;
        self.stored.sort_by_key(|stored| stored.row);
        assert_eq!(self.stored.len(), 3);
        // Nobody holds a bucket that is empty, and one message is dead.
        let buckets = self.outbox.buckets();
        let is_empty = |lease: &&Lease| {
            let mut stored = self.stored.iter();
            stored.all(|stored| buckets.of(stored.lane) != lease.bucket)
        };
        let empty = *self.leases.iter().find(is_empty).expect("one is");
        let released = self.outbox.release(&self.relay, &[empty], Departing::No).await;
        released.expect("releases");
        self.settle(2, Fate::Buried(failure())).await;
    }

    pub(crate) async fn fetch(&self) -> Vec<Stored> {
        let fetch = Fetch {
            leases: &self.leases,
            after: Lane::LAST,
            busy: &[],
            rows: 10,
            per_lane: 10,
            lanes: 10,
        };
        self.outbox.fetch(&fetch).await.expect("fetches").rows
    }

    /// Settles one of the messages.
    pub(crate) async fn settle(&self, which: usize, fate: Fate) {
        let fates = [self.under(which, self.settled(which, fate))];
        let kept = self.outbox.settle(&self.relay, &fates).await;
        assert_eq!(kept.expect("settles").len(), 1);
    }

    pub(crate) fn settled(&self, which: usize, fate: Fate) -> Settled {
        let Stored { row, lane, .. } = self.stored[which];
        Settled { row, lane, fate }
    }

    /// Something about a message, and the lease of its bucket.
    pub(crate) fn under<T>(&self, which: usize, what: T) -> Settlement<T> {
        let bucket = self.outbox.buckets().of(self.stored[which].lane);
        let lease = self.leases.iter().find(|lease| lease.bucket == bucket);
        Settlement {
            lease: *lease.expect("it is held"),
            rows: vec![what],
        }
    }

    /// Keeps what all tables have, for every attempt to begin with.
    pub(crate) async fn save(&mut self) {
        let schema = &self.place.schema;
        let tables = "SELECT c.oid::regclass::text FROM pg_class c \
                      WHERE relnamespace = $1::text::regnamespace AND relkind = 'r' \
                      AND relname NOT LIKE 'saved_%' AND relname <> 'schema_version' ORDER BY 1";
        let tables = self.client.query(tables, &[schema]).await.expect("lists");
        self.tables = tables.iter().map(|row| row.get(0)).collect();
        let saves = self.tables.iter().enumerate().map(|(at, table)| {
            format!("CREATE TABLE {schema}.saved_{at} AS TABLE {table};")
        });
        let saves: String = saves.collect();
        self.client.batch_execute(&saves).await.expect("saves");
        let quick = "SET synchronous_commit = off";
        self.client.batch_execute(quick).await.expect("sets");
    }

    async fn reset(&self) {
        let schema = &self.place.schema;
        let resets = self.tables.iter().enumerate().map(|(at, table)| {
            format!("DELETE FROM {table}; INSERT INTO {table} TABLE {schema}.saved_{at};")
        });
        let mut resets: String = resets.collect();
        resets += &format!("SELECT setval('{schema}.outbox_id_seq', 100)");
        self.client.batch_execute(&resets).await.expect("resets");
    }

    /// What the tables hold, but for times, names and ids that are drawn.
    async fn look(&self) -> Vec<String> {
        let mut all = Vec::new();
        for table in &self.tables {
            let rows = format!(
                "SELECT (to_jsonb(t) - ARRAY['since', 'until', 'published_at', 'at', \
                 'enqueued_at', 'message_id', 'blocked_until', 'relay', 'first_seen', \
                 'seen_at', 'id'])::text || coalesce(to_jsonb(t) ->> 'blocked_until', 'none') ~ '^2' \
                 FROM {table} t"
            );
            let rows = rows.replace(
                "::text || coalesce(to_jsonb(t) ->> 'blocked_until', 'none') ~ '^2'",
                "::text",
            );
            let rows = self.client.query(&rows, &[]).await.expect("reads");
            let mut rows: Vec<String> = rows
                .iter()
                .map(|row| format!("{table} {}", row.get::<_, String>(0)))
                .collect();
            rows.sort();
            all.extend(rows);
        }
        all
    }

    /// The connections go on, and no session is in a transaction.
    pub(crate) async fn is_whole(&self) {
        // There is one connection, so this is answered behind what was asked
        // before and is not heard.
        self.outbox.backlog().await.expect("the pool works");
        self.nobody_is_at_work().await;
    }

    pub(crate) async fn nobody_is_at_work(&self) {
        crate::support::until("all sessions are idle", async || {
            let busy = "SELECT count(*) FROM pg_stat_activity \
                        WHERE application_name = $1 AND state <> 'idle'";
            let busy = self.client.query_one(busy, &[&self.place.schema]).await;
            busy.expect("counts").get::<_, i64>(0) == 0
        })
        .await;
    }

    /// Drops an operation at each of its awaits: it is done, or it is not
    /// done. Returns how often it was dropped.
    pub(crate) async fn drop_at_each_await(&self, name: &str, operation: Operation) -> usize {
        self.reset().await;
        let before = self.look().await;
        let mut found = Vec::new();
        let mut polls = 0;
        let done = 'complete: loop {
            for dropped in BOTH {
                self.reset().await;
                let completed = polled(operation(self), polls, dropped).await;
                self.is_whole().await;
                let tables = self.look().await;
                if completed.is_some() {
                    break 'complete tables;
                }
                found.push((polls, dropped, tables));
            }
            polls += 1;
        };
        if before != done {
            self.reset().await;
            found.push((usize::MAX, Dropped::AtOnce, self.locked_out(operation).await));
        }
        for (polls, dropped, tables) in &found {
            let is_one = *tables == before || *tables == done;
            assert!(
                is_one,
                "{name}, {dropped:?} after {polls} polls: {tables:#?}, neither {before:#?} \
                 nor {done:#?}"
            );
            if *polls == 0 {
                assert_eq!(*tables, before, "{name} is begun before it is polled");
            }
        }
        found.len()
    }

    /// Drops an operation while its statement waits for somebody's locks.
    async fn locked_out(&self, operation: Operation) -> Vec<String> {
        let mut other = self.place.client().await;
        let tx = other.transaction().await.expect("begins");
        let lock = format!("LOCK TABLE {}", self.tables.join(", "));
        tx.batch_execute(&lock).await.expect("nobody is at work");
        let waits = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 \
                           AND wait_event_type = 'Lock'";
            crate::support::until("it waits for a lock", async || {
                let waiting = self.client.query_one(waiting, &[&self.place.schema]).await;
                waiting.expect("counts").get::<_, i64>(0) == 1
            })
            .await;
        };
        tokio::select! {
            () = operation(self) => panic!("it does not wait for the tables"),
            () = waits => {}
        }
        tx.rollback().await.expect("ends");
        self.is_whole().await;
        self.look().await
    }
}

/// One connection, which the server knows by the schema's name.
fn database(place: &Place) -> Database {
    let url = format!("{}?application_name={}", place.url, place.schema);
    Database::new(&url, place.options().connections(1)).expect("an address")
}

pub(crate) fn failure() -> Failure {
    Failure {
        cause: Cause::Rejected(Class::Transient),
        error: "no".into(),
    }
}

/// An id for whoever wants one.
pub(crate) fn id() -> MessageId {
    MessageId::unique()
}
