//! What a handler gets.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use axiomatic_amqp::inbox::{Answer, Arrival, Config, DeliveryLimit, Queue};
use axiomatic_amqp::lapin::BasicProperties;
use axiomatic_amqp::lapin::types::{AMQPValue, FieldTable};

use crate::broker::{Broker, text, until};

#[tokio::test]
async fn an_arrival_has_what_was_published_and_how_often_it_came() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    let mut headers = FieldTable::default();
    headers.insert("outbox-key".into(), text("key"));
    headers.insert("outbox-epoch".into(), text("1"));
    headers.insert("outbox-tenant".into(), text("acme"));
    headers.insert("number".into(), AMQPValue::LongInt(-7));
    headers.insert("flag".into(), AMQPValue::Boolean(true));
    headers.insert("fraction".into(), AMQPValue::Double(0.5));
    let ours = BasicProperties::default()
        .with_message_id("7".into())
        .with_content_type("text/plain".into())
        .with_headers(headers);
    broker.publish_with(&name, "ours", ours).await;
    // One that another program published, without an id.
    broker
        .publish_with(&name, "other", BasicProperties::default())
        .await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let consumer = broker.consumer(queue, Config::new().in_hand(1));
    let handle = consumer.handle();
    let arrivals = Mutex::new(Vec::new());
    let run = consumer.run(
        async |arrival: Arrival| {
            let answer = match arrival.deliveries() {
                1 => Answer::Again(Duration::ZERO),
                _ => Answer::Acknowledge,
            };
            arrivals.lock().unwrap().push(arrival);
            Ok::<_, Infallible>(answer)
        },
        until("both have come twice", async || {
            handle.snapshot().acknowledged == 2
        }),
    );
    run.await.expect("it runs");
    let arrivals = arrivals.into_inner().unwrap();
    let of = |body: &[u8], deliveries| {
        let mut found = arrivals.iter();
        let found =
            found.find(|one| one.delivery().body() == body && one.deliveries() == deliveries);
        found.expect("it came")
    };
    for deliveries in [1, 2] {
        let ours = of(b"ours", deliveries);
        let delivery = ours.delivery();
        assert_eq!(delivery.broker_id(), Some("7"));
        assert_eq!(delivery.key(), Some("key"));
        assert_eq!(delivery.tenant(), Some("acme"));
        assert_eq!(delivery.epoch().unwrap().unwrap().0, 1);
        assert_eq!(delivery.header("content-type"), Some("text/plain"));
        assert_eq!(delivery.header("number"), Some("-7"));
        assert_eq!(delivery.header("flag"), Some("true"));
        assert_eq!(delivery.header("fraction"), None);
        assert_eq!(delivery.attempt().unwrap().get(), deliveries);
        assert_eq!((ours.queue(), ours.exchange()), (&*name, ""));
        assert_eq!(ours.routing_key(), name);
        assert_eq!(ours.deliveries_left(), None);
        assert!(!ours.is_last());
        assert_eq!(of(b"other", deliveries).delivery().broker_id(), None);
    }
    assert!(!of(b"ours", 1).delivery().may_be_a_repeat());
}
