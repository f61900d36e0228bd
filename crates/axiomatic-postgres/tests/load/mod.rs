//! A business that does not end: producers, relays, and books that are kept of
//! what is published.

pub(crate) mod ledger;
pub(crate) mod producer;
pub(crate) mod stream;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::outbox::{Buckets, Config};
use axiomatic_core::backoff::Backoff;
use axiomatic_postgres::outbox::{Notify, Options, Outbox};
use axiomatic_postgres::{Database, Options as DatabaseOptions};

use self::ledger::Ledger;
use crate::support::{Place, until};

/// The business: how many messages of each key there were, and what they were
/// together. It changes in the transactions that enqueue.
const ACCOUNT: &str = "CREATE TABLE {schema}.account \
    (key text PRIMARY KEY, last bigint NOT NULL, digest bigint NOT NULL)";

/// A schema, the tables of a business in it, and the books of what is
/// published.
pub(crate) struct Load {
    pub(crate) place: Place,
    pub(crate) ledger: Arc<Ledger>,
}

impl Load {
    pub(crate) async fn new(place: Place) -> Load {
        Outbox::new(&place.database(), options())
            .await
            .expect("migrates");
        let account = ACCOUNT.replace("{schema}", &place.schema);
        let client = place.client().await;
        client.batch_execute(&account).await.expect("it is new");
        Load {
            place,
            ledger: Arc::default(),
        }
    }

    /// The outbox, by this address of its database. Faults may have begun.
    pub(crate) async fn outbox(&self, url: &str, patience: Duration) -> Outbox {
        let database = self.database(url, patience);
        loop {
            match Outbox::new(&database, options()).await {
                Ok(outbox) => return outbox,
                Err(error) => assert!(error.why().is_transient(), "{error}"),
            }
        }
    }

    pub(crate) fn database(&self, url: &str, patience: Duration) -> Database {
        let options = DatabaseOptions::new().schema(self.place.schema.as_str());
        let options = options.expect("a name").patience(patience);
        Database::new(url, options).expect("an address")
    }

    /// An address by which the sessions are known to be of this load.
    pub(crate) fn named(&self, url: &str) -> String {
        format!("{url}?application_name={}", self.place.schema)
    }

    /// How many messages wait.
    pub(crate) async fn waiting(&self) -> i64 {
        let sql = format!("SELECT count(*) FROM {}.outbox", self.place.schema);
        let client = self.place.client().await;
        client
            .query_one(&sql, &[])
            .await
            .expect("it is there")
            .get(0)
    }

    /// Waits until nothing does.
    pub(crate) async fn drained(&self) {
        until("all is published", async || self.waiting().await == 0).await;
    }

    /// How many messages were committed.
    pub(crate) async fn committed(&self) -> u64 {
        let sql = format!("SELECT sum(last)::int8 FROM {}.account", self.place.schema);
        let client = self.place.client().await;
        let sum: i64 = client.query_one(&sql, &[]).await.expect("sums").get(0);
        sum.unsigned_abs()
    }

    /// Whether the books say what the business says. All producers have ended.
    pub(crate) async fn check(&self) {
        let wrong = self.wrong().await;
        assert!(wrong.is_empty(), "{} are wrong: {wrong:#?}", wrong.len());
        assert_eq!(self.idle().await, 0, "sessions are idle in transactions");
    }

    /// What the books say otherwise than the business.
    pub(crate) async fn wrong(&self) -> Vec<String> {
        let sql = format!(
            "SELECT key, last, digest FROM {}.account",
            self.place.schema
        );
        let client = self.place.client().await;
        let accounts = client.query(&sql, &[]).await.expect("it is there");
        let accounts = accounts.iter().map(|row| {
            let last: i64 = row.get(1);
            (
                row.get::<_, String>(0),
                last.unsigned_abs(),
                row.get::<_, i64>(2),
            )
        });
        self.ledger.compare(accounts)
    }

    /// How many sessions are idle in a transaction.
    pub(crate) async fn idle(&self) -> i64 {
        let idle = "SELECT count(*) FROM pg_stat_activity \
                    WHERE state LIKE 'idle in transaction%' AND application_name = $1";
        let name = &self.place.schema;
        let client = self.place.client().await;
        let idle = client.query_one(idle, &[name]).await;
        idle.expect("counts").get(0)
    }
}

/// How the outbox is kept.
pub(crate) fn options() -> Options {
    Options::new()
        .buckets(Buckets::new(NonZeroU16::new(8).expect("not 0")))
        .notify(Notify::Debounced(Duration::from_millis(10)))
}

/// A relay that tries again soon, and is soon missed. It is no message's fault
/// that relays and servers fail here: none is given up as poison.
pub(crate) fn config(name: &'static str) -> Config {
    let ms = Duration::from_millis;
    let soon = Backoff::exponential(ms(1), ms(50));
    Config::new()
        .named(name)
        .lease(ms(1_000))
        .poison_after(u32::MAX)
        .backoff(soon)
        .outage_backoff(soon)
        .poll(soon)
}
