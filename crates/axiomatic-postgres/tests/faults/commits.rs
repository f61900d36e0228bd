//! Connections that are cut in the middle of a commit: the producer does not
//! know whether it is done.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axiomatic_coordination::outbox::Message;
use axiomatic_testbed::chance::Chance;
use axiomatic_testbed::postgres::{COMMIT, Postgres};
use axiomatic_testbed::proxy::{At, FaultProxy, Trigger, Way};
use tokio::time::timeout;

use crate::faults::scene::{Working, produce};
use crate::load::ledger::Broker;
use crate::load::{Load, config};
use crate::support::{FOR_EVER, Place, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_published_exactly_if_the_business_of_an_unknown_commit_is_there() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let proxy = FaultProxy::to(server.port());
    let load = Load::new(Place::at(server.url())).await;
    let url = load.named(&server.url());
    let outbox = load.outbox(&url, FOR_EVER).await;
    let broker = Broker::new(&load.ledger, 4);
    let relay = Working::start(outbox.clone(), broker, config("relay"));
    let through = load.named(&server.url_through(proxy.port()));
    let cut = async {
        let mut chance = Chance::of(5);
        for cut in 1..=30 {
            let at = match chance.below(2) {
                0 => At::Before,
                _ => At::Answer,
            };
            let commit = Trigger::on(Way::ToServer, COMMIT, at);
            proxy.cut_when(commit.after(chance.below(6) as u32));
            while proxy.counts().triggered < cut {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    let (outcomes, ()) = tokio::join!(produce(&load, &outbox, &through, 1_500), cut);
    load.drained().await;
    println!("{outcomes:?}; {}", relay.stop().await);
    load.check().await;
    assert_eq!(outcomes.unknown.load(Ordering::SeqCst), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_cut_off_before_the_server_hears_of_it_is_none_and_one_behind_it_is() {
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
    let outbox = load.outbox(&load.place.url, FOR_EVER).await;
    for (at, waiting) in [(At::Before, 0), (At::Answer, 1)] {
        let mut client = connect(&through).await.expect("it forwards");
        proxy.cut_when(Trigger::on(Way::ToServer, COMMIT, at));
        let mut tx = client.transaction().await.expect("begins");
        let message = Message::new("orders", "1").keyed("key");
        outbox.enqueue(&mut tx, [message]).await.expect("enqueues");
        let commit = timeout(FOR_EVER, tx.commit()).await;
        commit
            .expect("it hears that it is cut")
            .expect_err("it is cut");
        assert_eq!(load.waiting().await, waiting, "{at:?}");
    }
}
