//! What becomes of the messages in hand when their channel is lost.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axiomatic_amqp::inbox::{Answer, Arrival, Config, DeliveryLimit, Queue};
use axiomatic_core::backoff::Backoff;
use tokio::sync::{Notify, Semaphore};

use crate::broker::{Broker, FOR_EVER, Proxy, until};
use crate::consuming::Dropped;

/// Comes back soon.
pub(crate) fn eager() -> Config {
    let (first, longest) = (Duration::from_millis(10), Duration::from_millis(200));
    Config::new().reopen(Backoff::exponential(first, longest))
}

fn quorum(name: &str) -> Queue {
    Queue::quorum(name, DeliveryLimit::Unlimited)
}

#[tokio::test]
async fn a_handler_whose_channel_is_lost_is_stopped_and_its_message_comes_again() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let proxy = Proxy::before(&broker).await;
    let name = broker.quorum(&[]).await;
    broker.publish_numbers(&name, 3).await;
    let consumer = proxy.consumer(quorum(&name), eager());
    let handle = consumer.handle();
    let dropped = AtomicUsize::new(0);
    let run = consumer.run(
        async |arrival: Arrival| {
            let here = Dropped(Some(&dropped));
            if !arrival.delivery().may_be_a_repeat() {
                pending::<()>().await;
            }
            here.done();
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        async {
            let in_hand = || handle.snapshot().in_hand == 3;
            until("all are in hand", async || in_hand()).await;
            proxy.cut();
            let handled = || handle.snapshot().acknowledged == 3;
            until("they are handled", async || handled()).await;
        },
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.lost, ran.redelivered), (3, 3), "{ran}");
    assert_eq!(dropped.into_inner(), 3);
    assert!(ran.opened >= 2 && ran.interrupted >= 1, "{ran}");
    assert_eq!(broker.ready(&name).await, Some(0));
}

/// A delivery tag is a number that counts from one on each channel. `b` and `c`
/// are 2 and 3 on the first, and 1 and 2 on the second: whoever answers `b` by
/// its old tag has acknowledged `c`.
#[tokio::test]
async fn what_was_delivered_on_a_channel_is_never_acknowledged_on_another() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let proxy = Proxy::before(&broker).await;
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a", "b", "c"]).await;
    let consumer = proxy.consumer(quorum(&name), eager().drain_within(Duration::ZERO));
    let handle = consumer.handle();
    let old = Semaphore::new(0);
    let run = consumer.run(
        async |arrival: Arrival| {
            match (&arrival.delivery().body()[..], arrival.deliveries()) {
                (b"a" | b"d", _) => {}
                (_, 1) => drop(old.acquire().await.expect("it is open")),
                _ => pending().await,
            }
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        async {
            until("two are in hand", async || {
                let seen = handle.snapshot();
                seen.in_hand == 2 && seen.acknowledged == 1
            })
            .await;
            proxy.cut();
            until("they are in hand again", async || {
                let seen = handle.snapshot();
                seen.redelivered >= 2 && seen.in_hand == 2
            })
            .await;
            // Whoever of the first time is still here answers now, and the
            // server hears that before it hears of this one.
            old.add_permits(10);
            broker.publish(&name, ["d"]).await;
            let handled = || handle.snapshot().acknowledged >= 2;
            until("another is handled", async || handled()).await;
        },
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.lost, ran.given_back), (2, 2), "{ran}");
    assert_eq!((ran.acknowledged, ran.opened), (2, 2), "{ran}");
    assert_eq!(broker.ready(&name).await, Some(2), "`b` and `c`");
}

#[tokio::test]
async fn a_channel_that_is_lost_while_its_consumer_stops_ends_it() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let proxy = Proxy::before(&broker).await;
    let name = broker.quorum(&[]).await;
    broker.publish_numbers(&name, 2).await;
    let config = eager().drain_within(10 * FOR_EVER);
    let consumer = proxy.consumer(quorum(&name), config);
    let handle = consumer.handle();
    let is_to_stop = Notify::new();
    let run = consumer.run(
        async |_| pending::<Result<Answer, Infallible>>().await,
        async {
            let in_hand = || handle.snapshot().in_hand == 2;
            until("it has them in hand", async || in_hand()).await;
            is_to_stop.notify_one();
        },
    );
    let then = async {
        is_to_stop.notified().await;
        // It cancels, in a round trip or two.
        broker.ready(&name).await;
        proxy.cut();
    };
    let (ran, ()) = tokio::join!(tokio::time::timeout(FOR_EVER, run), then);
    let ran = ran.expect("it does not wait").expect("it runs");
    assert_eq!((ran.lost, ran.opened), (2, 1), "{ran}");
    until("they are back", async || {
        broker.ready(&name).await == Some(2)
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_lost_with_its_channel_is_counted_and_its_message_comes_again() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let proxy = Proxy::before(&broker).await;
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a"]).await;
    let consumer = proxy.consumer(quorum(&name), eager());
    let handle = consumer.handle();
    let run = consumer.run(
        async |arrival: Arrival| {
            // It is held when the channel is lost: the server is never told.
            Ok::<_, Infallible>(match arrival.deliveries() {
                1 => Answer::Again(FOR_EVER),
                _ => Answer::Acknowledge,
            })
        },
        async {
            until("it is held", async || handle.snapshot().again == 1).await;
            proxy.cut();
            let handled = || handle.snapshot().acknowledged == 1;
            until("it is handled", async || handled()).await;
        },
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.unanswered, ran.lost), (1, 0), "{ran}");
    assert_eq!(broker.ready(&name).await, Some(0));
}
