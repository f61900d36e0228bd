//! What the children do.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::inbox::{self, Delivery, IdRule};
use axiomatic_coordination::outbox::history::{Event, History, Log};
use axiomatic_coordination::outbox::{Buckets, Config, HeadPolicy, Message, Operate, Relay};
use axiomatic_core::backoff::Backoff;
use axiomatic_sqlite::inbox::{Handled, Inbox};
use axiomatic_sqlite::outbox::{Keep, Options, Outbox};
use axiomatic_sqlite::{Database, Durability};

use rusqlite::{Connection, TransactionBehavior};

use super::broker::Broker;
use super::place::{PLACE, ROLE};

const ORDERS: &str = "CREATE TABLE IF NOT EXISTS orders \
    (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, message BLOB NOT NULL) STRICT";

const EFFECTS: &str =
    "CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY, message BLOB NOT NULL) STRICT";

/// Long enough that no lease is lost to a machine that is busy.
const LONG_LEASE: Duration = Duration::from_secs(60);

/// How short the lease of a relay is that shall lose it.
pub(crate) const SHORT_LEASE: Duration = Duration::from_millis(300);

const TICK: Duration = Duration::from_millis(2);

/// Nothing, unless a parent says where and what.
#[test]
fn child() {
    let (Some(place), Ok(role)) = (std::env::var_os(PLACE), std::env::var(ROLE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let place = PathBuf::from(place);
    runtime.block_on(async {
        match role.as_str() {
            "all" => all(&place).await,
            "produce" => produce(&place).await,
            relay => relay_until_told(&place, relay).await,
        }
    });
}

/// Producers, a relay and a consumer, until everything is consumed.
async fn all(place: &Path) {
    let (database, outbox) = open(place).await;
    let consumer = Consumer::open(place).await;
    let relay = relay(place, &outbox, "relay", LONG_LEASE);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let work = async {
        tokio::join!(
            produce_into(place, &database, &outbox, 0),
            produce_into(place, &database, &outbox, 1),
            produce_into(place, &database, &outbox, 2),
            async {
                consumer.work().await;
            },
            async {
                // Some of it is published while more is enqueued.
                tokio::time::sleep(TICK).await;
                until_drained(&outbox).await;
            },
        );
        until_drained(&outbox).await;
        // All is published: this is the last of it.
        consumer.work().await;
        stop.send(()).unwrap();
    };
    let run = relay.run(async { drop(stopped.await) });
    let (ended, ()) = tokio::join!(run, work);
    ended.unwrap();
}

async fn produce(place: &Path) {
    let (database, outbox) = open(place).await;
    tokio::join!(
        produce_into(place, &database, &outbox, 0),
        produce_into(place, &database, &outbox, 1),
        produce_into(place, &database, &outbox, 2)
    );
}

/// A relay with a short lease, until there is a file `stop`. Leaves behind
/// what it has counted.
async fn relay_until_told(place: &Path, name: &str) {
    let (_database, outbox) = open(place).await;
    let relay = relay(place, &outbox, name, SHORT_LEASE);
    let stop = place.join("stop");
    let told = async {
        while !stop.exists() {
            tokio::time::sleep(TICK).await;
        }
    };
    let counted = relay.run(told).await.unwrap();
    let counted = format!("{} {}\n", counted.fenced, counted.leases_lost);
    fs::write(place.join(format!("counted-{name}")), counted).unwrap();
}

async fn open(place: &Path) -> (Database, Outbox) {
    // A process that ends takes nothing with it that it has written.
    let options = axiomatic_sqlite::Options::new().durability(Durability::ProcessCrash);
    let database = Database::open(place.join("business.db"), options).unwrap();
    let table = database.writer().run(|tx| tx.execute(ORDERS, ())).await;
    table.unwrap();
    let options = Options::new()
        .buckets(Buckets::new(NonZeroU16::new(4).unwrap()))
        .keep(Keep::Archive(Duration::from_secs(3600)));
    let outbox = Outbox::new(&database, options).unwrap();
    (database, outbox)
}

fn relay(place: &Path, outbox: &Outbox, name: &str, lease: Duration) -> Relay<Outbox, Broker> {
    let broker = Broker::of(&place.join("history"));
    let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(5));
    let name: &'static str = match name {
        "first" => "first",
        "second" => "second",
        _ => "relay",
    };
    let config = Config::new()
        .named(name)
        .lease(lease)
        .rows(8)
        .wave(3)
        .backoff(soon)
        .outage_backoff(soon)
        .poll(soon)
        .head_policy(HeadPolicy::ParkMessage);
    Relay::new(outbox.clone(), broker, config).unwrap()
}

async fn until_drained(outbox: &Outbox) {
    while outbox.backlog().await.unwrap().messages > 0 {
        tokio::time::sleep(TICK).await;
    }
}

/// One producer's transactions: an order and its message in each; some are
/// rolled back. The last producer has a connection of its own.
async fn produce_into(place: &Path, database: &Database, outbox: &Outbox, producer: usize) {
    let history = Log::open(place.join("history")).unwrap();
    let mut own = (producer == 2).then(|| own_connection(place));
    for number in 0..8 {
        let key = ["a", "b", "c"][(producer + number) % 3];
        let body = match producer * 8 + number {
            3 | 17 => "unknown",
            5 | 20 => "late",
            13 => "never",
            _ => "fine",
        };
        let mut message = Message::new("orders", body);
        if number != 7 {
            message = message.keyed(key);
        }
        if key == "a" {
            message = message.ordered();
        }
        let refuses = number % 4 == 2;
        if refuses {
            let id = message.id();
            history.record(&Event::RolledBack { id }).unwrap();
        }
        let committed = match &mut own {
            Some(own) => commit_alone(own, outbox, message, refuses),
            None => commit_with_others(database, message, refuses).await,
        };
        assert_eq!(committed, !refuses);
        reach("producer.committed");
        tokio::task::yield_now().await;
    }
}

fn order(connection: &Connection, message: &Message) {
    let order = "INSERT INTO orders (key, message) VALUES (?1, ?2)";
    let mut order = connection.prepare_cached(order).unwrap();
    let inserted = order.execute((message.key(), message.id().into_bytes()));
    inserted.unwrap();
    reach("producer.written");
}

async fn commit_with_others(database: &Database, message: Message, refuses: bool) -> bool {
    let done = database.writer().run(move |tx| {
        order(tx, &message);
        tx.enqueue(message).unwrap();
        if refuses { Err("refused") } else { Ok(()) }
    });
    done.await.is_ok()
}

fn commit_alone(own: &mut Connection, outbox: &Outbox, message: Message, refuses: bool) -> bool {
    let tx = own.transaction_with_behavior(TransactionBehavior::Immediate);
    let tx = tx.unwrap();
    order(&tx, &message);
    outbox.write(&tx, [message]).unwrap();
    reach("producer.enqueued");
    if refuses {
        tx.rollback().unwrap();
        return false;
    }
    tx.commit().unwrap();
    reach("producer.committed_alone");
    outbox.wake();
    true
}

fn own_connection(place: &Path) -> Connection {
    let own = Connection::open(place.join("business.db")).unwrap();
    own.busy_timeout(Duration::from_secs(10)).unwrap();
    own.pragma_update(None, "synchronous", "normal").unwrap();
    own
}

/// Somebody who hears of what is published, and has a database.
struct Consumer {
    database: Database,
    inbox: Inbox,
    history: PathBuf,
    acknowledged: PathBuf,
}

impl Consumer {
    async fn open(place: &Path) -> Self {
        let options = axiomatic_sqlite::Options::new().durability(Durability::ProcessCrash);
        let database = Database::open(place.join("consumer.db"), options).unwrap();
        let table = database.writer().run(|tx| tx.execute(EFFECTS, ())).await;
        table.unwrap();
        let config = inbox::Config::new(IdRule::BrokerId, Duration::ZERO);
        Consumer {
            inbox: Inbox::new(&database, config.build().unwrap()).unwrap(),
            database,
            history: place.join("history"),
            acknowledged: place.join("acknowledged"),
        }
    }

    /// Handles what was published and not acknowledged, one delivery for each
    /// publication, until there is no more.
    async fn work(&self) {
        let acknowledged = fs::read(&self.acknowledged).unwrap_or_default();
        let mut done = acknowledged.len();
        // What comes first may have been begun by a process that ended.
        let mut attempt = if done > 0 { 2 } else { 1 };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.acknowledged);
        let mut file = file.unwrap();
        loop {
            let history = History::read(&self.history).unwrap();
            let published = history.events().iter().filter_map(|event| match event {
                Event::Published { id, .. } => Some(*id),
                _ => None,
            });
            let Some(id) = published.into_iter().nth(done) else {
                return;
            };
            let delivery = Delivery::new("")
                .with_broker_id(id.to_string())
                .attempted(attempt);
            let effect = move |tx: &mut axiomatic_sqlite::Transaction<'_>, _: &Delivery| {
                let effect = "INSERT INTO effects (message) VALUES (?1)";
                tx.execute(effect, [id.into_bytes()])
            };
            let writer = self.database.writer();
            let handled = self.inbox.handle(writer, "consumer", delivery, effect);
            assert_ne!(handled.await.unwrap(), Handled::Quarantined);
            reach("consumer.handled");
            file.write_all(b".").unwrap();
            reach("consumer.acknowledged");
            (done, attempt) = (done + 1, 1);
        }
    }
}
