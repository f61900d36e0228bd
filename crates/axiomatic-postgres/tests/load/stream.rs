//! A stream of JetStream between the relays and the books.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::{self, Context, stream};
use async_nats::{Client, ConnectOptions};
use axiomatic_nats::inbox::Arrival;
use axiomatic_nats::outbox::{Config, JetStream};
use futures::StreamExt;
use tokio::time::timeout;

use super::ledger::{Copy, Ledger};

/// The stream's name, and its subject.
pub(crate) const ORDERS: &str = "orders";

/// A client that looks for its server often when it is gone.
pub(crate) async fn connect(url: &str) -> Client {
    let options = ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .connection_timeout(Duration::from_secs(2))
        .request_timeout(Some(Duration::from_secs(5)));
    options.connect(url).await.expect("it runs")
}

/// Makes the stream.
pub(crate) async fn make(url: &str, duplicate_window: Duration) -> stream::Stream {
    let context = jetstream::new(connect(url).await);
    let stream = stream::Config {
        name: ORDERS.to_owned(),
        subjects: vec![ORDERS.to_owned()],
        duplicate_window,
        ..stream::Config::default()
    };
    context.create_stream(stream).await.expect("a stream")
}

/// A publisher that does not wait long for a confirmation.
pub(crate) async fn publisher(url: &str) -> JetStream {
    let config = Config::new().timeout(Duration::from_millis(500));
    let context = jetstream::new(connect(url).await);
    JetStream::new(context, config).expect("it can work")
}

/// Writes all that is in the stream into the books, in its order, for ever. The
/// server may be gone in between.
pub(crate) async fn keep_books(url: String, ledger: Arc<Ledger>) {
    let context = jetstream::new(connect(&url).await);
    let mut next = 1;
    loop {
        // In the middle of an outage it takes until somebody answers.
        let reading = read(&context, &ledger, &mut next);
        let _ = timeout(Duration::from_secs(60), reading).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads from a number on, until something comes between.
async fn read(context: &Context, ledger: &Ledger, next: &mut u64) -> Option<()> {
    let from = pull::Config {
        ack_policy: AckPolicy::None,
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: *next,
        },
        ..pull::Config::default()
    };
    let consumer = context.create_consumer_on_stream(from, ORDERS).await.ok()?;
    loop {
        let some = consumer.batch().max_messages(1_000);
        let some = some.expires(Duration::from_millis(100)).messages();
        let mut some = timeout(Duration::from_secs(2), some).await.ok()?.ok()?;
        while let Some(message) = timeout(Duration::from_secs(2), some.next()).await.ok()? {
            let arrival = Arrival::of(&message.ok()?);
            if arrival.sequence() != *next {
                // Some were sent to a connection that was cut.
                return None;
            }
            *next += 1;
            take(ledger, &arrival);
        }
    }
}

/// Writes one into the books.
pub(crate) fn take(ledger: &Ledger, arrival: &Arrival) {
    let delivery = arrival.delivery();
    let body = std::str::from_utf8(delivery.body()).expect("a number");
    let id = delivery.broker_id().expect("the publisher sets it");
    let epoch = delivery.epoch().expect("a number");
    ledger.take(&Copy {
        id: id.parse().expect("an id of ours"),
        key: delivery.key().expect("all have keys"),
        number: body.parse().expect("a number"),
        sequence: delivery.sequence().expect("a number"),
        epoch: epoch.expect("the relay says it").0,
    });
}
