//! Two relays, four producers and a stream, under faults of all kinds at
//! random: none is lost, and each key keeps its order.
//!
//! Some thousands of messages run always, and a million if `AXIOMATIC_DEEP` is
//! set, or as many as it says. What is in memory does not grow with them.
#![cfg(unix)]

#[allow(dead_code, reason = "each of the binaries needs a part of it")]
mod load;
#[allow(dead_code, reason = "each of the binaries needs a part of it")]
#[path = "it/support.rs"]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axiomatic_coordination::outbox::{Relay, Snapshot};
use axiomatic_testbed::chance::Chance;
use axiomatic_testbed::nats::Nats;
use axiomatic_testbed::postgres::{COMMIT, Postgres};
use axiomatic_testbed::proxy::{At, Fault, FaultProxy, Trigger, Way, Whom};
use tokio::sync::watch;

use self::load::producer::{Outcomes, Producer};
use self::load::stream::{self, keep_books};
use self::load::{Load, config};
use self::support::{FOR_EVER, Place};

/// So short that somebody takes over soon from those who are dropped.
const LEASE: Duration = Duration::from_millis(500);

/// For what was committed to be published, while faults go on: some seconds,
/// and more on a machine with other things to do.
const LONG_ENOUGH: Duration = Duration::from_secs(120);

/// How many faults of each kind there were.
#[derive(Debug, Default)]
struct Faults {
    sessions_ended: AtomicU64,
    relays_dropped: AtomicU64,
    relays_restarted: AtomicU64,
    brokers_cut: AtomicU64,
    databases_cut: AtomicU64,
    commits_cut: AtomicU64,
    silences: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// What all have.
struct Chaos {
    load: Load,
    database: String,
    /// To the database and to the broker, for everybody but the checks.
    through: [FaultProxy; 2],
    faults: Faults,
    over: watch::Sender<bool>,
    millis_between: u64,
}

impl Chaos {
    fn database_through(&self) -> String {
        let url = format!(
            "postgres://root@127.0.0.1:{}/postgres",
            self.through[0].port()
        );
        self.load.named(&url)
    }

    fn broker_through(&self) -> String {
        format!("nats://127.0.0.1:{}", self.through[1].port())
    }

    async fn is_over(&self) {
        let mut over = self.over.subscribe();
        let _ = over.wait_for(|over| *over).await;
    }

    /// A relay that is dropped now and then, or restarted, until it is over.
    async fn relay(&self, name: &'static str, seed: u64) -> Vec<Snapshot> {
        let mut chance = Chance::of(seed);
        let publisher = stream::publisher(&self.broker_through()).await;
        let url = self.database_through();
        let outbox = self.load.outbox(&url, Duration::from_secs(2)).await;
        let mut counted = Vec::new();
        while !*self.over.borrow() {
            let config = config(name).lease(LEASE);
            let relay = Relay::new(outbox.clone(), publisher.clone(), config);
            let relay = relay.expect("it can work");
            let handle = relay.handle();
            let life = Duration::from_millis(chance.below(50 * self.millis_between));
            let (stop, is_dropped) = match chance.below(3) {
                0 => (Duration::MAX, true),
                _ => (life, false),
            };
            let stop = async {
                tokio::select! {
                    () = tokio::time::sleep(stop) => count(&self.faults.relays_restarted),
                    () = self.is_over() => {}
                }
            };
            tokio::select! {
                ended = relay.run(stop) => drop(ended.expect("it goes on")),
                () = tokio::time::sleep(life), if is_dropped => {
                    count(&self.faults.relays_dropped);
                }
            }
            counted.push(handle.snapshot());
        }
        counted
    }

    async fn produce(&self, seed: u64, enough: u64, outcomes: &Outcomes) {
        // One of them is not cut off from the database.
        let url = match seed % 4 {
            0 => self.database.clone(),
            _ => self.database_through(),
        };
        let outbox = self.load.outbox(&self.database, FOR_EVER).await;
        let producer = Producer {
            url,
            schema: &self.load.place.schema,
            outbox: &outbox,
            chance: Chance::of(seed),
            keys: 500,
            batch: 40,
            drops: 25,
            pause: Duration::ZERO,
        };
        producer.until(enough, outcomes).await;
    }

    /// One fault after the other, until it is over.
    async fn fail(&self, seed: u64) {
        let mut chance = Chance::of(seed);
        let client = self.load.place.client().await;
        loop {
            let pause = Duration::from_millis(chance.below(4 * self.millis_between));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.is_over() => return,
            }
            match chance.below(7) {
                6 => {
                    // Sometimes for longer than a lease.
                    self.through[0].inflict(&Fault::Hold, Whom::All);
                    let silence = LEASE.mul_f64(chance.below(16) as f64 / 10.0);
                    tokio::time::sleep(silence).await;
                    self.through[0].heal();
                    count(&self.faults.silences);
                }
                0 => {
                    self.through[1].cut();
                    count(&self.faults.brokers_cut);
                }
                1 => {
                    self.through[0].cut();
                    count(&self.faults.databases_cut);
                }
                which @ 2..4 => {
                    let at = if which == 2 { At::Answer } else { At::Before };
                    let commit = Trigger::on(Way::ToServer, COMMIT, at);
                    self.through[0].cut_when(commit.after(chance.below(20) as u32));
                }
                _ => {
                    let end = "SELECT pg_terminate_backend(pid) FROM (SELECT pid \
                               FROM pg_stat_activity WHERE application_name = $1 \
                               ORDER BY random() LIMIT 1) AS one";
                    let end = client.query(end, &[&self.load.place.schema]).await;
                    end.expect("this session is not among them");
                    count(&self.faults.sessions_ended);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_every_key_keeps_its_order_whatever_fails() {
    let deep = std::env::var("AXIOMATIC_DEEP").ok();
    let is_deep = deep.is_some();
    // More than one is how many.
    let asked = deep.and_then(|deep| deep.parse().ok().filter(|many| *many > 1));
    let enough = asked.unwrap_or(if is_deep { 1_000_000 } else { 6_000 });
    let (Some(postgres), Some(nats)) = (Postgres::start().await, Nats::start()) else {
        return;
    };
    stream::make(&nats.url(), Duration::from_secs(120)).await;
    let load = Load::new(Place::at(postgres.url())).await;
    let chaos = Chaos {
        database: load.named(&postgres.url()),
        through: [postgres.port(), nats.port()].map(FaultProxy::to),
        load,
        faults: Faults::default(),
        over: watch::Sender::new(false),
        millis_between: if is_deep { 500 } else { 60 },
    };
    let reader = keep_books(nats.url(), chaos.load.ledger.clone());
    let reader = tokio::spawn(reader);
    let began = Instant::now();
    let outcomes = Outcomes::default();
    let mut is_drained = false;
    let work = async {
        let produce = |seed| chaos.produce(seed, enough, &outcomes);
        tokio::join!(produce(40), produce(41), produce(42), produce(43));
        let committed = chaos.load.committed().await;
        let ledger = &chaos.load.ledger;
        let waited = tokio::time::timeout(LONG_ENOUGH, async {
            while ledger.published() < committed || chaos.load.waiting().await > 0 {
                if ledger.is_wrong() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let waited = waited.await;
        chaos.over.send_replace(true);
        is_drained = waited.is_ok();
    };
    let relays = [chaos.relay("first", 50), chaos.relay("second", 51)];
    let [first, second] = relays;
    let (first, second, (), ()) = tokio::join!(first, second, chaos.fail(60), work);
    let took = began.elapsed();
    chaos
        .faults
        .commits_cut
        .store(chaos.through[0].counts().triggered, Ordering::SeqCst);
    reader.abort();
    let ledger = &chaos.load.ledger;
    println!(
        "{} messages in {took:?}; {} in the stream twice, {} late; {outcomes:?}; {:?}",
        ledger.published(),
        ledger.duplicates(),
        ledger.late(),
        chaos.faults
    );
    let sum = |of: fn(&Snapshot) -> u64| first.iter().chain(&second).map(of).sum::<u64>();
    println!(
        "{} relays; {} store errors, {} leases lost, {} writes fenced, {} unknown, {} duplicates",
        first.len() + second.len(),
        sum(|counted| counted.store_errors),
        sum(|counted| counted.leases_lost),
        sum(|counted| counted.fenced),
        sum(|counted| counted.unknown),
        sum(|counted| counted.duplicates),
    );
    assert!(sum(|counted| counted.store_errors) > 0, "no fault was felt");
    chaos.load.check().await;
    assert!(is_drained, "all is published while faults go on");
}
