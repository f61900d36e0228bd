//! A consumer whose server is killed, stopped and configured otherwise: a
//! private one each time.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axiomatic_amqp::inbox::{
    Answer, Arrival, Config, ConsumeError, Consumer, DeadLetters, DeliveryLimit, Queue,
};
use axiomatic_coordination::Memory;
use axiomatic_testbed::rabbitmq::RabbitMq;
use tokio::time::timeout;

use crate::broker::{Broker, FOR_EVER, server, until};
use crate::inboxes::{booked, handle, inbox, queues};
use crate::losing::eager;

#[tokio::test]
async fn a_server_that_is_killed_or_ends_all_connections_repeats_no_effect() {
    let Some(mut rabbit) = RabbitMq::start() else {
        return;
    };
    let broker = Broker::at(rabbit.address());
    let queues = queues(&broker).await;
    // RabbitMQ 3.10 writes some seconds later which quorum queues there are. One
    // that is killed before that has lost them, with what it had confirmed.
    rabbit.ctl(["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
    for queue in queues {
        let name = queue.name().to_owned();
        broker.publish_numbers(&name, 40).await;
        let (database, inbox) = (Memory::new(), inbox());
        let consumer = broker.consumer(queue, eager().in_hand(4));
        let seen = consumer.handle();
        // Only so many may be answered for the time being.
        let (begun, allowed) = (AtomicUsize::new(0), AtomicUsize::new(6));
        let run = consumer.run(
            async |arrival| {
                let answer = handle(&database, &inbox, &arrival);
                let number = begun.fetch_add(1, Ordering::Relaxed);
                until_allowed(&allowed, number).await;
                Ok::<_, Infallible>(answer)
            },
            async {
                let begun_are = |count| begun.load(Ordering::Relaxed) >= count;
                until("four are committed", async || begun_are(10)).await;
                rabbit.kill();
                let lost = || seen.snapshot().lost >= 4;
                until("they are stopped", async || lost()).await;
                rabbit.run();
                let again = begun.load(Ordering::Relaxed) + 4;
                allowed.store(again - 4, Ordering::Relaxed);
                until("they are in hand again", async || begun_are(again)).await;
                rabbit.ctl(["close_all_connections", "a test"]);
                let lost = || seen.snapshot().lost >= 8;
                until("they are stopped", async || lost()).await;
                allowed.store(usize::MAX, Ordering::Relaxed);
                until("the server heard of all", async || {
                    seen.snapshot().in_hand == 0
                        && booked(&database) == 40
                        && broker.ready(&name).await == Some(0)
                })
                .await;
            },
        );
        let ran = run.await.expect("it runs");
        assert!(ran.redelivered >= 8 && ran.opened >= 3, "{ran}");
        assert_eq!(booked(&database), 40);
        assert_eq!(broker.ready(&name).await, Some(0));
    }
}

async fn until_allowed(allowed: &AtomicUsize, number: usize) {
    while allowed.load(Ordering::Relaxed) <= number {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_consumer_waits_for_a_server_that_is_not_there_yet() {
    let Some(mut rabbit) = RabbitMq::start() else {
        return;
    };
    let broker = Broker::at(rabbit.address());
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a"]).await;
    rabbit.stop();
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let consumer = broker.consumer(queue.clone(), eager());
    // One that is to stop before does so.
    let refused = consumer.run(
        async |_| Ok::<_, Infallible>(Answer::Acknowledge),
        tokio::time::sleep(Duration::from_millis(100)),
    );
    let ran = timeout(FOR_EVER, refused).await.expect("it stops");
    assert_eq!(ran.expect("it runs").opened, 0);
    let consumer = broker.consumer(queue, eager());
    let seen = consumer.handle();
    let run = consumer.run(async |_| Ok::<_, Infallible>(Answer::Acknowledge), async {
        rabbit.run();
        let handled = || seen.snapshot().acknowledged == 1;
        until("it is handled", async || handled()).await;
    });
    run.await.expect("it runs");
}

#[tokio::test]
async fn a_server_that_does_not_wait_so_long_ends_the_channel_and_its_handlers_are_stopped() {
    let Some(rabbit) = RabbitMq::start() else {
        return;
    };
    // It is looked at once in a minute, unless this is said too.
    for setting in ["consumer_timeout", "channel_tick_interval"] {
        let set = format!("application:set_env(rabbit, {setting}, 1000).");
        rabbit.ctl(["eval", &set]);
    }
    let broker = Broker::at(rabbit.address());
    let name = broker.quorum(&[]).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    broker.publish_numbers(&name, 2).await;
    let first = async |arrival: Arrival| {
        if !arrival.delivery().may_be_a_repeat() {
            pending::<()>().await;
        }
        Ok::<_, Infallible>(Answer::Acknowledge)
    };
    // What was said of the server is not so.
    let consumer = broker.consumer(queue.clone(), eager());
    let seen = consumer.handle();
    let run = consumer.run(
        first,
        until("both are handled", async || {
            seen.snapshot().acknowledged == 2
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.lost, ran.overdue, ran.interrupted), (2, 0, 1), "{ran}");
    // Now it is.
    broker.publish_numbers(&name, 2).await;
    let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
    let config = eager().handle_within(tenth).hold_at_most(tenth);
    let consumer = broker.consumer(queue, config.consumer_timeout(second));
    let seen = consumer.handle();
    let run = consumer.run(
        first,
        until("both are handled", async || {
            seen.snapshot().acknowledged == 2
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.lost, ran.overdue, ran.interrupted), (0, 2, 0), "{ran}");
}

#[tokio::test]
async fn what_a_policy_sets_cannot_be_seen_and_is_believed() {
    let Some(rabbit) = RabbitMq::start() else {
        return;
    };
    let broker = Broker::at(rabbit.address());
    let name = broker.quorum(&[]).await;
    let policy = r#"{"delivery-limit": 1}"#;
    let apply = ["set_policy", "limit", ".*", policy, "--apply-to", "queues"];
    rabbit.ctl(apply);
    for (limit, left) in [
        (DeliveryLimit::Elsewhere(1), [Some(1), Some(0)]),
        // Nothing contradicts that.
        (DeliveryLimit::Unlimited, [None, None]),
    ] {
        broker.publish(&name, ["bad"]).await;
        let queue = Queue::quorum(&name, limit).dead_letters(DeadLetters::Dropped);
        let consumer = broker.consumer(queue, Config::new());
        let seen = consumer.handle();
        let lefts = Mutex::new(Vec::new());
        let run = consumer.run(
            async |arrival: Arrival| {
                lefts.lock().unwrap().push(arrival.deliveries_left());
                Err::<Answer, _>("it always fails")
            },
            until("it is dropped", async || {
                let seen = seen.snapshot();
                let failed = seen.failed == 2 && seen.in_hand == 0;
                failed && broker.ready(&name).await == Some(0)
            }),
        );
        let ran = run.await.expect("it runs");
        assert_eq!(ran.received, 2, "{ran}");
        assert_eq!(lefts.into_inner().unwrap(), left);
        assert_eq!(broker.ready(&name).await, Some(0));
    }
    // Who may not configure the queue cannot verify it, and is told so.
    rabbit.ctl(["add_user", "reader", "secret"]);
    rabbit.ctl(["set_permissions", "reader", "^$", ".*", ".*"]);
    let address = rabbit.address().replace("guest:guest", "reader:secret");
    let of = |queue| Consumer::new(server(&address), queue, eager()).expect("it can work");
    let consumer = of(Queue::quorum(&name, DeliveryLimit::Unlimited));
    let run = consumer.run(
        async |_| Ok::<_, Infallible>(Answer::Acknowledge),
        pending::<()>(),
    );
    let ran = timeout(FOR_EVER, run).await.expect("it stops");
    assert!(matches!(ran, Err(ConsumeError::Refused(_))), "{ran:?}");
    let consumer = of(Queue::named(&name));
    let seen = consumer.handle();
    let run = consumer.run(
        async |_| Ok::<_, Infallible>(Answer::Acknowledge),
        until("it consumes", async || seen.snapshot().opened == 1),
    );
    timeout(FOR_EVER, run)
        .await
        .expect("it stops")
        .expect("it runs");
}
