//! What a consumer finds out about its queue.

use std::convert::Infallible;
use std::future::pending;

use axiomatic_amqp::inbox::{
    Answer, Config, ConsumeError, Consumer, DeadLetters, DeliveryLimit, Queue, Snapshot,
};
use axiomatic_amqp::lapin::types::AMQPValue;
use tokio::time::timeout;

use crate::broker::{Broker, FOR_EVER, text, until};

async fn ran(consumer: Consumer) -> Result<Snapshot, ConsumeError> {
    let run = consumer.run(
        async |_| Ok::<_, Infallible>(Answer::Acknowledge),
        pending::<()>(),
    );
    timeout(FOR_EVER, run).await.expect("it stops")
}

#[tokio::test]
async fn a_queue_that_is_another_than_was_said_is_refused() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let classic = broker.declare(&[]).await;
    let limit = ("x-delivery-limit", AMQPValue::LongInt(2));
    let drops = broker.quorum(std::slice::from_ref(&limit)).await;
    let dead = ("x-dead-letter-exchange", text("amq.fanout"));
    let good = broker.quorum(&[limit, dead]).await;
    let exchange = |name: &str| DeadLetters::Exchange(name.into());
    let two = DeliveryLimit::Argument(2);
    let others = [
        (
            "x-queue-type",
            Queue::quorum(&classic, DeliveryLimit::Unlimited),
        ),
        ("x-queue-type", Queue::classic(&drops)),
        ("durable", Queue::classic(&classic).transient()),
        (
            "x-delivery-limit",
            Queue::quorum(&good, DeliveryLimit::Argument(3)).dead_letters(exchange("amq.fanout")),
        ),
        (
            "x-delivery-limit",
            Queue::quorum(&good, DeliveryLimit::Unlimited).dead_letters(exchange("amq.fanout")),
        ),
        (
            "x-dead-letter-exchange",
            Queue::quorum(&drops, two).dead_letters(exchange("amq.fanout")),
        ),
        (
            "x-dead-letter-exchange",
            Queue::quorum(&good, two).dead_letters(exchange("amq.topic")),
        ),
        (
            "x-max-length",
            Queue::classic(&classic).with_argument("x-max-length", AMQPValue::LongInt(9)),
        ),
    ];
    for (what, queue) in others {
        let ran = ran(broker.consumer(queue.clone(), Config::new())).await;
        let Err(ConsumeError::AnotherQueue(error)) = ran else {
            panic!("{queue:?}: {ran:?}");
        };
        assert!(error.to_string().contains(what), "{queue:?}: {error}");
    }
    let queue = Queue::quorum(&good, two).dead_letters(exchange("amq.fanout"));
    for queue in [queue, Queue::named(&good), Queue::classic(&classic)] {
        let consumer = broker.consumer(queue, Config::new());
        let handle = consumer.handle();
        let run = consumer.run(
            async |_| Ok::<_, Infallible>(Answer::Acknowledge),
            until("it consumes", async || handle.snapshot().opened == 1),
        );
        run.await.expect("it runs");
    }
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_not_made_and_ends_the_consumer() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.name();
    for queue in [
        Queue::named(&name),
        Queue::classic(&name),
        Queue::quorum(&name, DeliveryLimit::Unlimited),
    ] {
        let ran = ran(broker.consumer(queue, Config::new())).await;
        assert!(matches!(ran, Err(ConsumeError::NoQueue(_))), "{ran:?}");
        assert_eq!(broker.ready(&name).await, None);
    }
}

#[tokio::test]
async fn a_queue_that_is_deleted_ends_its_consumer() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let (quorum, classic) = (broker.quorum(&[]).await, broker.declare(&[]).await);
    for queue in [
        Queue::quorum(&quorum, DeliveryLimit::Unlimited),
        Queue::classic(&classic),
    ] {
        let name = queue.name().to_owned();
        broker.publish(&name, ["a"]).await;
        let consumer = broker.consumer(queue, Config::new());
        let handle = consumer.handle();
        let run = consumer.run(
            async |_| pending::<Result<Answer, Infallible>>().await,
            pending::<()>(),
        );
        let delete = async {
            until("it has something in hand", async || {
                handle.snapshot().in_hand == 1
            })
            .await;
            broker.delete(&name).await;
        };
        let (ran, ()) = tokio::join!(timeout(FOR_EVER, run), delete);
        let ran = ran.expect("it stops");
        assert!(matches!(ran, Err(ConsumeError::NoQueue(_))), "{ran:?}");
        assert_eq!(handle.snapshot().lost, 1);
    }
}
