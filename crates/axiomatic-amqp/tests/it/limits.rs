//! What a quorum queue does with what fails too often.

use std::sync::Mutex;
use std::time::Duration;

use axiomatic_amqp::inbox::{Answer, Arrival, Config, DeadLetters, DeliveryLimit, Queue, Snapshot};
use axiomatic_amqp::lapin::types::AMQPValue;
use axiomatic_core::backoff::Backoff;

use crate::broker::{Broker, text, until};

fn hasty() -> Config {
    let soon = Duration::from_millis(1);
    Config::new().backoff(Backoff::exponential(soon, soon))
}

/// Fails the first message of a queue each time, until the second one is
/// handled, which nobody publishes before the first is gone. Returns how often
/// the first came, how often it could still come, and what was counted.
async fn fail(broker: &Broker, queue: Queue) -> (Vec<(u32, Option<u32>, bool)>, Snapshot) {
    let name = queue.name().to_owned();
    broker.publish(&name, ["bad"]).await;
    let consumer = broker.consumer(queue, hasty().in_hand(1));
    let handle = consumer.handle();
    let came = Mutex::new(Vec::new());
    let run = consumer.run(
        async |arrival: Arrival| {
            if &arrival.delivery().body()[..] == b"good" {
                return Ok(Answer::Acknowledge);
            }
            let left = arrival.deliveries_left();
            let this = (arrival.deliveries(), left, arrival.is_last());
            came.lock().unwrap().push(this);
            Err("it always fails")
        },
        async {
            until("it came for the last time", async || {
                handle.snapshot().last_deliveries == 1
            })
            .await;
            // Behind the other, if that were there still.
            broker.publish(&name, ["good"]).await;
            let handled = || handle.snapshot().acknowledged == 1;
            until("the next is handled", async || handled()).await;
        },
    );
    let ran = run.await.expect("it runs");
    assert_eq!(broker.ready(&name).await, Some(0));
    (came.into_inner().unwrap(), ran)
}

const THREE_TIMES: [(u32, Option<u32>, bool); 3] =
    [(1, Some(2), false), (2, Some(1), false), (3, Some(0), true)];

#[tokio::test]
async fn a_quorum_queue_without_dead_letters_drops_what_failed_more_often_than_its_limit() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let limit = [("x-delivery-limit", AMQPValue::LongInt(2))];
    let name = broker.quorum(&limit).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Argument(2));
    let (came, ran) = fail(&broker, queue.dead_letters(DeadLetters::Dropped)).await;
    assert_eq!(came, THREE_TIMES);
    assert_eq!((ran.failed, ran.terminated), (3, 0), "{ran}");
}

#[tokio::test]
async fn a_quorum_queue_moves_what_failed_more_often_than_its_limit_to_its_dead_letters() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let dead = broker.declare(&[]).await;
    let name = broker
        .quorum(&[
            ("x-delivery-limit", AMQPValue::LongInt(2)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&dead)),
        ])
        .await;
    let queue = Queue::quorum(&name, DeliveryLimit::Argument(2))
        .dead_letters(DeadLetters::Exchange("".into()))
        .with_argument("x-dead-letter-routing-key", text(&dead));
    let (came, ran) = fail(&broker, queue).await;
    assert_eq!(came, THREE_TIMES);
    assert_eq!(ran.last_deliveries, 1, "{ran}");
    until("it is among the dead letters", async || {
        broker.take(&dead).await.as_deref() == Some("bad")
    })
    .await;
}

#[tokio::test]
async fn a_classic_queue_delivers_what_fails_for_ever_and_does_not_count() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.declare(&[]).await;
    broker.publish(&name, ["bad"]).await;
    let consumer = broker.consumer(Queue::classic(&name), hasty());
    let handle = consumer.handle();
    let came = Mutex::new(Vec::new());
    let run = consumer.run(
        async |arrival: Arrival| {
            assert_eq!(arrival.deliveries_left(), None);
            came.lock().unwrap().push(arrival.deliveries());
            Err::<Answer, _>("it always fails")
        },
        until("it came often", async || handle.snapshot().failed >= 30),
    );
    let ran = run.await.expect("it runs");
    assert_eq!(ran.last_deliveries, 0, "{ran}");
    let came = came.into_inner().unwrap();
    assert_eq!(came[0], 1);
    assert!(came[1..].iter().all(|deliveries| *deliveries == 2));
    assert_eq!(broker.ready(&name).await, Some(1));
}
