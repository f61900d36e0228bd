//! A relay whose connections to its database break in every way.

use std::time::Duration;

use axiomatic_coordination::outbox::Config;
use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_postgres::outbox::Outbox;
use axiomatic_testbed::matrix::{Subject, are_backed_off, cells, refuse, try_at_random, try_each};
use axiomatic_testbed::postgres::Postgres;
use axiomatic_testbed::proxy::{Fault, FaultProxy, Way, Whom};
use tokio::time::timeout;

use crate::faults::scene::{Working, produce};
use crate::load::ledger::Broker;
use crate::load::{Load, config, options};
use crate::support::{FOR_EVER, Place, until};

/// Sooner than anybody gives up a test, and later than any statement answers.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);

/// Within the start of a session; within a statement and its rows.
pub(crate) const HANDSHAKE: [u64; 4] = [0, 5, 60, 400];
pub(crate) const STATEMENT: [u64; 4] = [0, 3, 100, 700];

/// A business that reaches its database, and a relay that may not.
struct Relayed {
    load: Load,
    url: String,
    producing: Outbox,
    proxy: FaultProxy,
    relay: Working,
    server: Postgres,
}

impl Relayed {
    async fn new(config: Config) -> Option<Relayed> {
        let server = Postgres::start().await?;
        let proxy = FaultProxy::to(server.port());
        let load = Load::new(Place::at(server.url())).await;
        let url = load.named(&server.url());
        let producing = load.outbox(&url, FOR_EVER).await;
        let through = load.named(&server.url_through(proxy.port()));
        let outbox = load.outbox(&through, PATIENCE).await;
        let relay = Working::start(outbox, Broker::new(&load.ledger, 8), config);
        Some(Relayed {
            load,
            url,
            producing,
            proxy,
            relay,
            server,
        })
    }

    async fn ends(self) {
        // Those that the proxy keeps from their clients end with it.
        drop(self.proxy);
        until("no session is idle in a transaction", async || {
            self.load.idle().await == 0
        })
        .await;
        let counted = self.relay.stop().await;
        println!("{counted}; {} store errors", counted.store_errors);
        assert!(counted.store_errors > 0, "the relay has not noticed");
        self.load.check().await;
        drop(self.server);
    }
}

/// What of it takes part in a fault.
struct Part<'a> {
    load: &'a Load,
    url: &'a str,
    producing: &'a Outbox,
}

impl Relayed {
    fn parts(&self) -> (&FaultProxy, Part<'_>) {
        let part = Part {
            load: &self.load,
            url: &self.url,
            producing: &self.producing,
        };
        (&self.proxy, part)
    }
}

impl Subject for Part<'_> {
    async fn work(&mut self) {
        produce(self.load, self.producing, self.url, 20).await;
    }

    async fn is_done(&mut self) -> bool {
        self.load.waiting().await == 0
    }

    async fn wrong(&mut self) -> Vec<String> {
        self.load.wrong().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_behind_every_fault_loses_nothing_makes_nothing_up_and_goes_on_by_itself() {
    let Some(relayed) = Relayed::new(config("relay")).await else {
        return;
    };
    let (proxy, mut part) = relayed.parts();
    try_each(proxy, &cells(&HANDSHAKE, &STATEMENT), &mut part).await;
    relayed.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_behind_faults_at_random_loses_nothing_and_makes_nothing_up() {
    let Some(relayed) = Relayed::new(config("relay")).await else {
        return;
    };
    let (proxy, mut part) = relayed.parts();
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let (seeds, lasting) = if is_deep { (20, 20) } else { (1, 4) };
    for seed in 0..seeds {
        try_at_random(proxy, seed, Duration::from_secs(lasting), &mut part).await;
    }
    relayed.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_refused_comes_back_no_more_often_than_its_backoff_says() {
    let (first, longest) = (Duration::from_millis(20), Duration::from_millis(200));
    let backoff = Backoff::exponential(first, longest).jitter(Jitter::Equal);
    let config = config("relay").outage_backoff(backoff).poll(backoff);
    let Some(relayed) = Relayed::new(config).await else {
        return;
    };
    let (proxy, mut part) = relayed.parts();
    let lasting = Duration::from_secs(3);
    let between = refuse(proxy, lasting, &mut part).await;
    // It asks for several things at a time, each for a connection; and then
    // waits for half of the longest wait at least, once it has reached that.
    let rounds = lasting.div_duration_f64(longest / 2) + 8.0;
    let most = 5.0 * rounds;
    let fewest = lasting.div_duration_f64(longest) / 3.0;
    are_backed_off(&between, fewest, most);
    relayed.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_behind_a_silent_network_is_told_and_may_begin_later() {
    let Some(place) = Place::find().await else {
        return;
    };
    let config: tokio_postgres::Config = place.url.parse().expect("an address");
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let proxy = FaultProxy::to(port);
    let through = place
        .url
        .replace(&format!(":{port}"), &format!(":{}", proxy.port()));
    let load = Load::new(place).await;
    let database = load.database(&through, PATIENCE);
    for fault in [Fault::Blackhole, Fault::Silence(Way::ToClient)] {
        proxy.inflict(&fault, Whom::All);
        let began = timeout(FOR_EVER, Outbox::new(&database, options())).await;
        let told = began.expect("it does not wait for ever");
        let error = told.expect_err("nobody answers");
        assert!(error.why().is_transient(), "{fault}: {error}");
        proxy.heal();
        until("it begins", async || {
            Outbox::new(&database, options()).await.is_ok()
        })
        .await;
        proxy.cut();
    }
}
