//! What is tried again and again on tables that are the same each time.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::time::Duration;

use axiomatic_coordination::inbox::{self, IdRule};
use axiomatic_coordination::outbox::{
    Buckets, Cause, Class, Departing, Failure, Fate, Fetch, Lane, Lease, Message, Operate, RelayId,
    Settled, Settlement, Store, Stored,
};
use axiomatic_postgres::Database;
use axiomatic_postgres::inbox::Inbox;
use axiomatic_postgres::outbox::{Keep, Notify, Options, Outbox};
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::{BOTH, Dropped, polled};
use crate::support::{Place, connect, until};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// What differs from one time to the other: times, and names that are drawn.
const VARYING: &[&str] = &[
    "id",
    "since",
    "until",
    "at",
    "published_at",
    "enqueued_at",
    "message_id",
    "blocked_until",
    "relay",
    "first_seen",
    "last_start",
    "sequence",
];

/// Two keys with three messages, one of them dead; all buckets but one are
/// held.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    /// The connection of a consumer, or of a producer.
    pub(crate) handler: Mutex<Client>,
    pub(crate) relay: RelayId,
    pub(crate) leases: Vec<Lease>,
    pub(crate) stored: Vec<Stored>,
    tables: Vec<String>,
    client: Client,
}

/// What the tables were when an operation was dropped, and when that was.
type Found = (usize, Dropped, Vec<String>);

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
        let inbox = inbox::Config::new(IdRule::BrokerId, Duration::ZERO).build();
        let inbox = inbox.expect("it can work");
        let inbox_options = axiomatic_postgres::inbox::Options::new();
        let inbox = Inbox::new(&database, inbox, inbox_options).await;
        let handler = connect(&named(&place)).await;
        Stage {
            outbox: Outbox::new(&database, options).await.expect("migrates"),
            inbox: inbox.expect("migrates"),
            handler: Mutex::new(handler.expect("PostgreSQL is there")),
            relay: RelayId::new("relay"),
            leases: Vec::new(),
            stored: Vec::new(),
            tables: Vec::new(),
            place,
            client,
        }
    }

    async fn act(&mut self) {
        let schema = &self.place.schema;
        let account = format!("CREATE TABLE {schema}.account (id uuid PRIMARY KEY)");
        self.client
            .batch_execute(&account)
            .await
            .expect("it is new");
        let mut client = self.place.client().await;
        let mut tx = client.transaction().await.expect("begins");
        let messages = [("a", "1"), ("a", "2"), ("b", "1")]
            .map(|(key, body)| Message::new("orders", body).keyed(key));
        self.outbox
            .enqueue(&mut tx, messages)
            .await
            .expect("writes");
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
        let released = self
            .outbox
            .release(&self.relay, &[empty], Departing::No)
            .await;
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
        let saves = self
            .tables
            .iter()
            .enumerate()
            .map(|(at, table)| format!("CREATE TABLE {schema}.saved_{at} AS TABLE {table};"));
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

    /// What the tables hold, but for what varies.
    async fn look(&self) -> Vec<String> {
        let mut all = Vec::new();
        for table in &self.tables {
            let rows = format!("SELECT (to_jsonb(t) - $1::text[])::text FROM {table} t");
            let rows = self.client.query(&rows, &[&VARYING]).await.expect("reads");
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
        // Before anybody uses a session that is in a transaction, and so ends
        // it.
        self.nobody_is_at_work().await;
        // There is one connection, so this is answered behind what was asked
        // before and is not heard.
        self.outbox.backlog().await.expect("the pool works");
        let handler = self.handler.lock().await;
        handler.batch_execute("SELECT 1").await.expect("it goes on");
        drop(handler);
        self.nobody_is_at_work().await;
    }

    pub(crate) async fn nobody_is_at_work(&self) {
        until("all sessions are idle", async || {
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
        let (mut found, done) = self.found_at_each_await(operation).await;
        if before != done {
            self.reset().await;
            found.push((
                usize::MAX,
                Dropped::AtOnce,
                self.locked_out(operation).await,
            ));
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

    /// Drops an operation at each of its awaits. Returns what the tables are
    /// then, and when it is complete.
    async fn found_at_each_await(&self, operation: Operation) -> (Vec<Found>, Vec<String>) {
        let mut found = Vec::new();
        let mut polls = 0;
        loop {
            for dropped in BOTH {
                self.reset().await;
                let completed = polled(operation(self), polls, dropped).await;
                self.is_whole().await;
                let tables = self.look().await;
                if completed.is_some() {
                    return (found, tables);
                }
                found.push((polls, dropped, tables));
            }
            polls += 1;
        }
    }

    /// The states in which an operation leaves the tables that is dropped at
    /// each of its awaits, and how often it was.
    pub(crate) async fn states_at_each_await(
        &self,
        operation: Operation,
    ) -> (usize, HashSet<Vec<String>>) {
        let (found, done) = self.found_at_each_await(operation).await;
        let states = found.iter().map(|(.., tables)| tables.clone());
        (found.len(), states.chain([done]).collect())
    }

    /// Nothing waits, and nobody holds anything.
    pub(crate) async fn clear(&self) {
        self.reset().await;
        let schema = &self.place.schema;
        let clear = format!(
            "DELETE FROM {schema}.outbox; DELETE FROM {schema}.outbox_lane; \
             DELETE FROM {schema}.outbox_dead; DELETE FROM {schema}.outbox_relay; \
             UPDATE {schema}.outbox_lease SET owner = NULL"
        );
        self.client.batch_execute(&clear).await.expect("clears");
    }

    /// Makes all leases end, as time would.
    pub(crate) async fn let_leases_expire(&self) {
        let schema = &self.place.schema;
        let expire = format!(
            "UPDATE {schema}.outbox_lease SET until = 'epoch' WHERE owner IS NOT NULL; \
             UPDATE {schema}.outbox_relay SET until = 'epoch'"
        );
        self.client.batch_execute(&expire).await.expect("expires");
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
            until("it waits for a lock", async || {
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

/// The server knows the sessions by the schema's name.
fn named(place: &Place) -> String {
    format!("{}?application_name={}", place.url, place.schema)
}

/// One connection.
fn database(place: &Place) -> Database {
    Database::new(&named(place), place.options().connections(1)).expect("an address")
}

pub(crate) fn failure() -> Failure {
    Failure {
        cause: Cause::Rejected(Class::Transient),
        error: "no".into(),
    }
}
