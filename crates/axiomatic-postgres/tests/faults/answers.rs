//! Statements that take too long, as the server finds or as the relay does.

use std::time::Duration;

use axiomatic_testbed::postgres::Postgres;
use axiomatic_testbed::proxy::{Fault, FaultProxy, Way, Whom};

use crate::faults::scene::{Working, produce};
use crate::load::ledger::Broker;
use crate::load::{Load, config};
use crate::support::{FOR_EVER, Place, until};

/// Waits until a relay has failed so often at its store, as it does again and
/// again.
async fn errors(relay: &Working, more: u64) {
    let before = relay.handle.snapshot().store_errors;
    until("the relay hears of it", async || {
        relay.handle.snapshot().store_errors >= before + more
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_statements_the_server_cancels_goes_on_when_it_lets_them() {
    let Some(place) = Place::find().await else {
        return;
    };
    let load = Load::new(place).await;
    let url = load.named(&load.place.url);
    // The role of a relay that waits for nobody.
    let hasty = format!("{url}&options=-c%20statement_timeout%3D60ms");
    let producing = load.outbox(&url, FOR_EVER).await;
    let outbox = load.outbox(&hasty, FOR_EVER).await;
    let relay = Working::start(outbox, Broker::new(&load.ledger, 6), config("relay"));
    produce(&load, &producing, &url, 200).await;
    for table in ["outbox", "outbox_lease", "outbox_relay"] {
        // Somebody changes a table, and takes his time.
        let mut client = load.place.client().await;
        let tx = client.transaction().await.expect("begins");
        let lock = format!("LOCK TABLE {}.{table}", load.place.schema);
        tx.batch_execute(&lock).await.expect("it is his turn");
        errors(&relay, 2).await;
        tx.rollback().await.expect("ends");
        produce(&load, &producing, &url, 200).await;
        load.drained().await;
    }
    relay.stop().await;
    load.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_server_says_nothing_any_more_gives_it_up_and_goes_on_when_it_does() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let proxy = FaultProxy::to(server.port());
    let load = Load::new(Place::at(server.url())).await;
    let url = load.named(&server.url());
    let producing = load.outbox(&url, FOR_EVER).await;
    let through = load.named(&server.url_through(proxy.port()));
    let patience = Duration::from_millis(200);
    let outbox = load.outbox(&through, patience).await;
    let relay = Working::start(outbox, Broker::new(&load.ledger, 7), config("relay"));
    for fault in [Fault::Hold, Fault::Silence(Way::ToClient)] {
        produce(&load, &producing, &url, 200).await;
        load.drained().await;
        proxy.inflict(&fault, Whom::All);
        produce(&load, &producing, &url, 200).await;
        errors(&relay, 3).await;
        assert!(load.waiting().await > 0, "{fault}: nothing comes through");
        proxy.heal();
        load.drained().await;
    }
    relay.stop().await;
    load.check().await;
}
