//! The broker stops, dies, or is not heard.

use std::time::Duration;

use axiomatic_coordination::outbox::Snapshot;
use axiomatic_testbed::nats::Nats;
use axiomatic_testbed::proxy::{Fault, FaultProxy, Way, Whom};
use tokio::task::JoinHandle;

use crate::faults::consumer::Consumer;
use crate::faults::scene::{Working, produce};
use crate::load::stream::{self, keep_books};
use crate::load::{Load, config};
use crate::support::{FOR_EVER, Place, until};

/// How long a stream knows ids again, where that is not what is tried.
const LONG: Duration = Duration::from_secs(120);

/// Somebody who ends with the test.
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn published(load: &Load, messages: u64) {
    let before = load.ledger.published();
    until("some are published", async || {
        load.ledger.published() >= before + messages
    })
    .await;
}

/// Waits until a relay has noticed that the broker does not answer.
async fn failed(relay: &Working, before: Snapshot) {
    until("nothing is confirmed", async || {
        let now = relay.handle.snapshot();
        now.unknown + now.outages > before.unknown + before.outages
    })
    .await;
}

/// What was settled is in the stream by now; the reader may be behind.
async fn read_all(load: &Load, committed: u64) {
    load.drained().await;
    until("all is read", async || load.ledger.published() >= committed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stops_or_dies_and_comes_back_gets_what_it_has_not_confirmed() {
    let (Some(place), Some(mut nats)) = (Place::find().await, Nats::start()) else {
        return;
    };
    stream::make(&nats.url(), LONG).await;
    let load = Load::new(place).await;
    let url = load.named(&load.place.url);
    let outbox = load.outbox(&url, FOR_EVER).await;
    let _reader = Reader(tokio::spawn(keep_books(nats.url(), load.ledger.clone())));
    let publisher = stream::publisher(&nats.url()).await;
    let relay = Working::start(outbox.clone(), publisher, config("relay"));
    for how in [Nats::stop, Nats::kill, Nats::stop] {
        let fail = async {
            published(&load, 100).await;
            let before = relay.handle.snapshot();
            tokio::task::block_in_place(|| how(&mut nats));
            // All may have been confirmed before.
            produce(&load, &outbox, &url, 100).await;
            failed(&relay, before).await;
            tokio::task::block_in_place(|| nats.run());
        };
        tokio::join!(produce(&load, &outbox, &url, 500), fail);
    }
    read_all(&load, load.committed().await).await;
    let counted = relay.stop().await;
    println!("{counted}; {} outages", counted.outages);
    assert!(counted.outages + counted.unknown > 0, "it has not noticed");
    load.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_confirmation_is_lost_is_sent_again_and_known_again() {
    let (Some(place), Some(nats)) = (Place::find().await, Nats::start()) else {
        return;
    };
    let mut stream = stream::make(&nats.url(), LONG).await;
    let proxy = FaultProxy::to(nats.port());
    let load = Load::new(place).await;
    let url = load.named(&load.place.url);
    let outbox = load.outbox(&url, FOR_EVER).await;
    let _reader = Reader(tokio::spawn(keep_books(nats.url(), load.ledger.clone())));
    let through = nats.url_through(proxy.port());
    let publisher = stream::publisher(&through).await;
    let relay = Working::start(outbox.clone(), publisher, config("relay"));
    for _ in 0..3 {
        let lose = async {
            published(&load, 100).await;
            let before = relay.handle.snapshot();
            proxy.inflict(&Fault::Silence(Way::ToClient), Whom::All);
            // If all had been sent by then, nothing would be lost.
            produce(&load, &outbox, &url, 100).await;
            failed(&relay, before).await;
            proxy.heal();
            proxy.cut();
        };
        tokio::join!(produce(&load, &outbox, &url, 300), lose);
    }
    read_all(&load, load.committed().await).await;
    let counted = relay.stop().await;
    println!("{counted}; {} outages", counted.outages);
    assert!(counted.duplicates > 0, "none was there already");
    let stored = stream.info().await.expect("it is there").state.messages;
    assert_eq!(stored, load.committed().await, "each is in the stream once");
    load.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_the_stream_does_not_know_again_has_no_second_effect() {
    let (Some(place), Some(nats)) = (Place::find().await, Nats::start()) else {
        return;
    };
    // Shorter than the publisher waits: what is sent again is stored again.
    let mut stream = stream::make(&nats.url(), Duration::from_millis(100)).await;
    let proxy = FaultProxy::to(nats.port());
    let load = Load::new(place).await;
    let url = load.named(&load.place.url);
    let outbox = load.outbox(&url, FOR_EVER).await;
    let _reader = Reader(tokio::spawn(keep_books(nats.url(), load.ledger.clone())));
    let consumer = Consumer::start(&load, &nats.url()).await;
    let through = nats.url_through(proxy.port());
    let publisher = stream::publisher(&through).await;
    let relay = Working::start(outbox.clone(), publisher, config("relay"));
    produce(&load, &outbox, &url, 50).await;
    load.drained().await;
    proxy.inflict(&Fault::Silence(Way::ToClient), Whom::All);
    produce(&load, &outbox, &url, 50).await;
    let mut stored = async || stream.info().await.expect("it is there").state.messages;
    let mut committed = 0;
    until("some are in the stream twice", async || {
        committed = load.committed().await;
        load.ledger.duplicates() > 0
    })
    .await;
    proxy.heal();
    proxy.cut();
    read_all(&load, committed).await;
    assert!(stored().await > committed, "each is there once");
    until("all have had their effects", async || {
        consumer.effects(&load).await.1 >= committed.cast_signed()
    })
    .await;
    until("copies have come as well", async || {
        consumer.duplicates() > 0
    })
    .await;
    let (effects, of) = consumer.effects(&load).await;
    assert_eq!((effects, of), (of, committed.cast_signed()), "each has one");
    relay.stop().await;
    load.check().await;
}
