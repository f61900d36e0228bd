//! What the children do.

use std::fs;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use axiomatic_coordination::outbox::{Buckets, Config, HeadPolicy, Relay};
use axiomatic_core::backoff::Backoff;
use axiomatic_postgres::Database;
use axiomatic_postgres::outbox::{Keep, Options, Outbox};
use tokio_postgres::Client;

use super::broker::Broker;
use super::consumer::Consumer;
use super::place::{PLACE, ROLE, SCHEMA};
use super::producer::{produce, produce_one};
use super::requests::request;
use super::streams::all_through_a_stream;
use crate::support::{self, FOR_EVER};

/// Long enough that no lease is lost to a machine that is busy.
pub(crate) const LONG_LEASE: Duration = Duration::from_secs(60);

/// How short the lease of a relay is that shall lose it.
pub(crate) const SHORT_LEASE: Duration = Duration::from_millis(300);

pub(crate) const TICK: Duration = Duration::from_millis(2);

/// How the outbox is kept.
pub(crate) fn options() -> Options {
    Options::new()
        .buckets(Buckets::new(NonZeroU16::new(4).unwrap()))
        .keep(Keep::Archive(Duration::from_secs(3600)))
}

/// Nothing, unless a parent says where and what.
#[test]
fn child() {
    let (Some(path), Ok(role)) = (std::env::var_os(PLACE), std::env::var(ROLE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let work = Work::open(path.into()).await;
        match role.as_str() {
            "all" => all(&work).await,
            "all through a stream" => all_through_a_stream(&work).await,
            "produce" => produce_all(&work).await,
            "produce for ever" => produce_for_ever(&work).await,
            "request" | "request briefly" | "resume" => request(&work, &role).await,
            relay => relay_until_told(&work, relay).await,
        }
    });
}

/// Where a child works.
pub(crate) struct Work {
    pub(crate) path: PathBuf,
    pub(crate) schema: String,
    pub(crate) url: String,
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    /// To look at the tables.
    client: Client,
}

impl Work {
    async fn open(path: PathBuf) -> Work {
        let schema = std::env::var(SCHEMA).unwrap();
        // The server survives: nobody has to wait for its disk. By the name,
        // the parent knows the sessions.
        let url = format!(
            "{}?application_name={schema}&options=-c%20synchronous_commit%3Doff",
            support::url()
        );
        let options_of = axiomatic_postgres::Options::new().schema(schema.as_str());
        let options_of = options_of.unwrap().patience(FOR_EVER);
        let database = Database::new(&url, options_of).unwrap();
        Work {
            outbox: Outbox::new(&database, options()).await.unwrap(),
            client: support::connect(&url).await.unwrap(),
            path,
            schema,
            url,
            database,
        }
    }

    fn relay(&self, name: &str, lease: Duration) -> Relay<Outbox, Broker> {
        let broker = Broker::of(&self.path.join("history"));
        Relay::new(self.outbox.clone(), broker, self.config(name, lease)).unwrap()
    }

    pub(crate) fn config(&self, name: &str, lease: Duration) -> Config {
        let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(5));
        let name: &'static str = match name {
            "first" => "first",
            "second" => "second",
            _ => "relay",
        };
        Config::new()
            .named(name)
            .lease(lease)
            .rows(8)
            .wave(3)
            .backoff(soon)
            .outage_backoff(soon)
            .poll(soon)
            .head_policy(HeadPolicy::ParkMessage)
    }

    async fn count(&self, sql: &str) -> i64 {
        let sql = sql.replace("{schema}", &self.schema);
        self.client.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// Whether each message that was published has had its effect.
    pub(crate) async fn is_consumed(&self) -> bool {
        let effects = self.count("SELECT count(*) FROM {schema}.effects").await;
        effects
            >= self
                .count("SELECT count(*) FROM {schema}.outbox_archive")
                .await
    }

    pub(crate) async fn until_drained(&self) {
        while self.count("SELECT count(*) FROM {schema}.outbox").await > 0 {
            tokio::time::sleep(TICK).await;
        }
    }

    /// Ready when there is a file `stop`.
    async fn told(&self) {
        while !self.path.join("stop").exists() {
            tokio::time::sleep(TICK).await;
        }
    }
}

/// Producers, a relay and a consumer, until everything is consumed.
async fn all(work: &Work) {
    let mut consumer = Consumer::open(work).await;
    let relay = work.relay("relay", LONG_LEASE);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let toil = async {
        tokio::join!(produce_all(work), consumer.work(), async {
            // Some of it is published while more is enqueued.
            tokio::time::sleep(TICK).await;
            work.until_drained().await;
        },);
        work.until_drained().await;
        // All is published: this is the last of it.
        consumer.work().await;
        stop.send(()).unwrap();
    };
    let run = relay.run(async { drop(stopped.await) });
    let (ended, ()) = tokio::join!(run, toil);
    ended.unwrap();
}

pub(crate) async fn produce_all(work: &Work) {
    tokio::join!(produce(work, 0), produce(work, 1), produce(work, 2));
}

/// One order after the other, until there is a file `stop`.
async fn produce_for_ever(work: &Work) {
    let mut client = support::connect(&work.url).await.unwrap();
    let mut number = 0;
    while !work.path.join("stop").exists() {
        produce_one(work, &mut client, number).await;
        number += 1;
        tokio::time::sleep(TICK).await;
    }
}

/// A relay with a short lease, until there is a file `stop`. Leaves behind
/// what it has counted.
async fn relay_until_told(work: &Work, name: &str) {
    let relay = work.relay(name, SHORT_LEASE);
    let counted = relay.run(work.told()).await.unwrap();
    let counted = format!("{} {}\n", counted.fenced, counted.leases_lost);
    fs::write(work.path.join(format!("counted-{name}")), counted).unwrap();
}
