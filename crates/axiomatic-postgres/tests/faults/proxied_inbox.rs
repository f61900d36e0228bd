//! A consumer with an inbox whose connections to the database of the business
//! break in every way.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_coordination::inbox::{Config, Delivery, IdRule};
use axiomatic_postgres::inbox::{Handled, Inbox, Options};
use axiomatic_testbed::chance::Chance;
use axiomatic_testbed::matrix::{Subject, cells, try_at_random, try_each};
use axiomatic_testbed::postgres::Postgres;
use axiomatic_testbed::proxy::FaultProxy;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls, Transaction};

use super::proxied::{HANDSHAKE, PATIENCE, STATEMENT};
use crate::support::{FOR_EVER, Place};

const CONSUMER: &str = "bank";

/// A broker in the process that delivers until it is acknowledged, and now and
/// then once more; a consumer; and somebody who looks at what came of it.
struct Consumed {
    look: Client,
    place: Place,
    begun: u64,
    acknowledged: Arc<AtomicU64>,
    deliver: mpsc::UnboundedSender<u64>,
}

struct Consumer {
    inbox: Inbox,
    url: String,
    insert: String,
    session: Option<Session>,
    chance: Chance,
}

/// A connection that is closed when it is given up. Without that, who drives a
/// client that is gone waits for the answers that it had asked for; and a server
/// that is not heard keeps the transaction, and its locks.
struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Session {
    async fn begin(url: &str) -> Option<Session> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.ok()?;
        let driver = tokio::spawn(async { drop(connection.await) });
        Some(Session { client, driver })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Consumer {
    /// Delivers a message until it is acknowledged.
    async fn deliver(&mut self, id: u64) {
        let mut attempt = 1;
        loop {
            let delivery = Delivery::new("paid")
                .with_broker_id(id.to_string())
                .attempted(attempt);
            let handled = timeout(PATIENCE * 3, self.handle(&delivery)).await;
            attempt += 1;
            // An acknowledgement may be lost.
            let is_heard = self.chance.below(5) > 0;
            match handled {
                Ok(Some(handled)) => {
                    let is_done = matches!(handled, Handled::Done(()) | Handled::Duplicate);
                    assert!(is_done, "{handled:?}");
                    if is_heard {
                        return;
                    }
                }
                // It is not known what became of the connection.
                Ok(None) | Err(_) => self.session = None,
            }
            sleep(Duration::from_millis(self.chance.below(10))).await;
        }
    }

    async fn handle(&mut self, delivery: &Delivery) -> Option<Handled<()>> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::begin(&self.url).await?),
        };
        let insert = self.insert.as_str();
        let effect = async |tx: &mut Transaction<'_>, delivery: &Delivery| {
            tx.execute(insert, &[&delivery.broker_id()]).await.map(drop)
        };
        let handled = self
            .inbox
            .handle(&mut session.client, CONSUMER, delivery, effect);
        handled.await.ok()
    }
}

impl Consumed {
    async fn start(server: &Postgres, proxy: &FaultProxy) -> Consumed {
        let place = Place::at(server.url());
        let config = Config::new(IdRule::BrokerId, FOR_EVER);
        // It is no message's fault that connections break.
        let config = config.starts(NonZeroU32::MAX).build();
        let (config, database) = (config.expect("it can work"), place.database());
        let inbox = Inbox::new(&database, config, Options::new()).await;
        let inbox = inbox.expect("migrates");
        let look = place.client().await;
        let table = format!("CREATE TABLE {}.effects (message text)", place.schema);
        look.batch_execute(&table).await.expect("it is new");
        let (deliver, mut delivered) = mpsc::unbounded_channel();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let mut consumer = Consumer {
            inbox,
            url: server.url_through(proxy.port()),
            insert: format!("INSERT INTO {}.effects VALUES ($1)", place.schema),
            session: None,
            chance: Chance::of(9),
        };
        let counted = Arc::clone(&acknowledged);
        tokio::spawn(async move {
            while let Some(id) = delivered.recv().await {
                consumer.deliver(id).await;
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Consumed {
            look,
            place,
            begun: 0,
            acknowledged,
            deliver,
        }
    }
}

impl Subject for Consumed {
    async fn work(&mut self) {
        // What waits behind a fault has its turn when it is over.
        let waiting = self.begun - self.acknowledged.load(Ordering::SeqCst);
        for _ in waiting..5 {
            self.begun += 1;
            self.deliver.send(self.begun).expect("it is there");
        }
    }

    async fn is_done(&mut self) -> bool {
        self.acknowledged.load(Ordering::SeqCst) == self.begun
    }

    async fn wrong(&mut self) -> Vec<String> {
        let effects = format!(
            "SELECT message, count(*) FROM {}.effects GROUP BY message",
            self.place.schema
        );
        let effects = self.look.query(&effects, &[]).await.expect("counts");
        let mut effects: HashMap<String, i64> =
            effects.iter().map(|row| (row.get(0), row.get(1))).collect();
        let mut wrong = Vec::new();
        for id in 1..=self.begun {
            match effects.remove(&id.to_string()) {
                Some(1) => {}
                other => wrong.push(format!("{id} has {other:?} effects")),
            }
        }
        wrong.extend(effects.keys().map(|id| format!("{id} is a phantom")));
        wrong
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_its_effect_once_whatever_fault_its_consumer_is_behind() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let proxy = FaultProxy::to(server.port());
    let mut consumed = Consumed::start(&server, &proxy).await;
    try_each(&proxy, &cells(&HANDSHAKE, &STATEMENT), &mut consumed).await;
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let (seeds, lasting) = if is_deep { (20, 20) } else { (1, 3) };
    for seed in 0..seeds {
        let lasting = Duration::from_secs(lasting);
        try_at_random(&proxy, seed, lasting, &mut consumed).await;
    }
    println!("{} messages", consumed.begun);
}
