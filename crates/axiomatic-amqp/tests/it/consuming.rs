//! Which messages a consumer has handled, how often, and how many at once.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axiomatic_amqp::ServerError;
use axiomatic_amqp::inbox::{
    Answer, Arrival, Config, ConfigError, Consumer, DeadLetters, DeliveryLimit, Queue,
};
use axiomatic_amqp::lapin::BasicProperties;
use axiomatic_amqp::lapin::types::{AMQPValue, FieldTable};
use tokio::sync::{Notify, Semaphore};

use crate::broker::{Broker, FOR_EVER, server, text, until};

/// Counts handlers that were dropped before they were done.
pub(crate) struct Dropped<'a>(pub(crate) Option<&'a AtomicUsize>);

impl Dropped<'_> {
    pub(crate) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn each_message_is_handled_once_and_then_acknowledged() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let (quorum, classic) = (broker.quorum(&[]).await, broker.declare(&[]).await);
    for queue in [
        Queue::quorum(&quorum, DeliveryLimit::Unlimited),
        Queue::classic(&classic),
    ] {
        let name = queue.name().to_owned();
        broker.publish_numbers(&name, 200).await;
        let handled = Mutex::new(Vec::new());
        let consumer = broker.consumer(queue, Config::new().in_hand(7));
        let handle = consumer.handle();
        let run = consumer.run(
            async |arrival: Arrival| {
                let body = String::from_utf8(arrival.delivery().body().to_vec()).unwrap();
                handled.lock().unwrap().push(body.parse::<u32>().unwrap());
                Ok::<_, Infallible>(Answer::Acknowledge)
            },
            until("all are acknowledged", async || {
                handle.snapshot().acknowledged == 200
            }),
        );
        let ran = run.await.expect("it runs");
        assert_eq!((ran.received, ran.redelivered), (200, 0), "{ran}");
        assert_eq!((ran.unanswered, ran.opened), (0, 1), "{ran}");
        let mut handled = handled.into_inner().unwrap();
        handled.sort_unstable();
        assert!(handled.into_iter().eq(0..200));
        // Its channel is closed: what it had not answered would be back.
        assert_eq!(broker.ready(&name).await, Some(0));
    }
}

#[tokio::test]
async fn a_message_is_the_servers_until_its_handler_has_answered() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a"]).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let dies = broker.consumer(queue, Config::new());
    let handle = dies.handle();
    let run = dies.run(
        async |_| pending::<Result<Answer, Infallible>>().await,
        pending::<()>(),
    );
    tokio::select! {
        ran = run => panic!("{ran:?}"),
        () = until("it has it in hand", async || handle.snapshot().received == 1) => {}
    }
    until("it is back", async || broker.ready(&name).await == Some(1)).await;
}

#[tokio::test]
async fn no_more_are_in_hand_than_configured_and_as_many_if_there_are() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    broker.publish_numbers(&name, 60).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let consumer = broker.consumer(queue, Config::new().in_hand(5));
    let handle = consumer.handle();
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let go_on = Semaphore::new(0);
    let run = consumer.run(
        async |_| {
            let count = now.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(count, Ordering::Relaxed);
            let permit = go_on.acquire().await.expect("it is open");
            permit.forget();
            now.fetch_sub(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        async {
            until("as many as may be", async || {
                now.load(Ordering::Relaxed) == 5
            })
            .await;
            go_on.add_permits(60);
            let all = || handle.snapshot().acknowledged == 60;
            until("all are handled", async || all()).await;
        },
    );
    let ran = run.await.expect("it runs");
    assert_eq!(most.into_inner(), 5);
    assert_eq!((ran.received, ran.given_back), (60, 0), "{ran}");
}

#[tokio::test]
async fn what_fails_or_is_wanted_again_comes_again_and_what_is_given_up_does_not() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let dead = broker.declare(&[]).await;
    let arguments = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&dead)),
    ];
    let quorum = broker.quorum(&arguments).await;
    let classic = broker.declare(&arguments).await;
    for queue in [
        Queue::quorum(&quorum, DeliveryLimit::Unlimited),
        Queue::classic(&classic),
    ] {
        let name = queue.name().to_owned();
        let queue = queue
            .dead_letters(DeadLetters::Exchange("".into()))
            .with_argument("x-dead-letter-routing-key", text(&dead));
        broker.publish(&name, ["fails", "again", "never"]).await;
        let consumer = broker.consumer(queue, Config::new());
        let handle = consumer.handle();
        let times = Mutex::new([0; 3]);
        let run = consumer.run(
            async |arrival: Arrival| {
                let mut times = times.lock().unwrap();
                let mut once_more = |which: usize| {
                    times[which] += 1;
                    times[which]
                };
                match &arrival.delivery().body()[..] {
                    b"fails" if once_more(0) < 3 => Err("no"),
                    b"again" if once_more(1) < 3 => Ok(Answer::Again(Duration::from_millis(10))),
                    b"never" => {
                        assert_eq!(once_more(2), 1, "it was given up");
                        Ok(Answer::Terminate)
                    }
                    _ => Ok(Answer::Acknowledge),
                }
            },
            until("both are handled", async || {
                handle.snapshot().acknowledged == 2
            }),
        );
        let ran = run.await.expect("it runs");
        assert_eq!((ran.failed, ran.again, ran.terminated), (2, 2, 1), "{ran}");
        assert_eq!((ran.received, ran.redelivered), (7, 4), "{ran}");
        assert_eq!(broker.ready(&name).await, Some(0));
        until("it is among the dead letters", async || {
            broker.take(&dead).await.as_deref() == Some("never")
        })
        .await;
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_stopped_and_its_message_comes_again() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a"]).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let config = Config::new().handle_within(Duration::from_millis(100));
    let consumer = broker.consumer(queue, config);
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
        until("it is handled", async || {
            handle.snapshot().acknowledged == 1
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.overdue, ran.lost, ran.received), (1, 0, 2), "{ran}");
    assert_eq!(dropped.into_inner(), 1);
}

#[tokio::test]
async fn a_consumer_that_is_to_stop_finishes_what_it_has_in_hand() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    broker.publish_numbers(&name, 10).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let consumer = broker.consumer(queue, Config::new().in_hand(4));
    let handle = consumer.handle();
    let (go_on, is_to_stop) = (Semaphore::new(0), Notify::new());
    let run = consumer.run(
        async |_| {
            let _permit = go_on.acquire().await.expect("it is open");
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        async {
            let full = || handle.snapshot().received == 4;
            until("it has its hands full", async || full()).await;
            is_to_stop.notify_one();
        },
    );
    let then = async {
        is_to_stop.notified().await;
        go_on.add_permits(10);
    };
    let (ran, ()) = tokio::join!(run, then);
    let ran = ran.expect("it runs");
    assert_eq!((ran.acknowledged, ran.in_hand), (4, 0), "{ran}");
    assert_eq!(broker.ready(&name).await, Some(6));
}

#[tokio::test]
async fn who_does_not_finish_in_time_is_stopped_and_its_message_is_given_back() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a"]).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let config = Config::new().drain_within(Duration::from_millis(50));
    let consumer = broker.consumer(queue, config);
    let handle = consumer.handle();
    let dropped = AtomicUsize::new(0);
    let run = consumer.run(
        async |_| {
            let _here = Dropped(Some(&dropped));
            pending::<Result<Answer, Infallible>>().await
        },
        until("it has it in hand", async || {
            handle.snapshot().received == 1
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.received, ran.acknowledged), (1, 0), "{ran}");
    assert_eq!((ran.given_back, ran.unanswered), (1, 0), "{ran}");
    assert_eq!(dropped.into_inner(), 1);
    assert_eq!(broker.ready(&name).await, Some(1));
}

#[tokio::test]
async fn what_is_held_is_given_back_at_once_when_its_consumer_is_to_stop() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a"]).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let config = Config::new().hold_at_most(2 * FOR_EVER);
    let consumer = broker.consumer(queue, config.drain_within(2 * FOR_EVER));
    let handle = consumer.handle();
    let run = consumer.run(
        async |_| Ok::<_, Infallible>(Answer::Again(2 * FOR_EVER)),
        until("it is held", async || handle.snapshot().again == 1),
    );
    let ran = tokio::time::timeout(FOR_EVER, run).await;
    let ran = ran.expect("it does not wait").expect("it runs");
    assert_eq!((ran.received, ran.unanswered), (1, 0), "{ran}");
    assert_eq!(broker.ready(&name).await, Some(1));
}

#[tokio::test]
async fn a_message_is_held_for_no_longer_than_it_may_be() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.quorum(&[]).await;
    broker.publish(&name, ["a"]).await;
    let queue = Queue::quorum(&name, DeliveryLimit::Unlimited);
    let config = Config::new().hold_at_most(Duration::from_millis(20));
    let consumer = broker.consumer(queue, config);
    let handle = consumer.handle();
    let run = consumer.run(
        async |arrival: Arrival| {
            Ok::<_, Infallible>(match arrival.deliveries() {
                1 => Answer::Again(10 * FOR_EVER),
                _ => Answer::Acknowledge,
            })
        },
        until("it is handled", async || {
            handle.snapshot().acknowledged == 1
        }),
    );
    run.await.expect("it runs");
}

#[tokio::test]
async fn a_consumer_that_cannot_work_is_refused() {
    let refused = |queue, config| {
        Consumer::new(server("amqp://127.0.0.1"), queue, config).expect_err("it cannot work")
    };
    let queue = || Queue::named("a");
    let none = Config::new().in_hand(0);
    assert_eq!(refused(queue(), none), ConfigError::Zero("in_hand"));
    let never = Config::new().handle_within(Duration::ZERO);
    assert_eq!(refused(queue(), never), ConfigError::Zero("handle_within"));
    let minute = Duration::from_secs(60);
    let long = Config::new()
        .handle_within(29 * minute)
        .hold_at_most(minute);
    let refusal = ConfigError::LongerThanTheServerWaits {
        longest: 30 * minute,
        consumer_timeout: 30 * minute,
    };
    assert_eq!(refused(queue(), long), refusal);
    let hasty = server("amqp://127.0.0.1").timeout(Duration::ZERO);
    let hasty = Consumer::new(hasty, queue(), Config::new()).expect_err("it cannot work");
    assert_eq!(hasty, ConfigError::Server(ServerError::NoTime));
    let nameless = refused(Queue::named(""), Config::new());
    assert_eq!(nameless, ConfigError::Zero("the queue's name"));
    for limit in [DeliveryLimit::Argument(3), DeliveryLimit::Elsewhere(3)] {
        let drops = refused(Queue::quorum("a", limit), Config::new());
        assert_eq!(drops, ConfigError::DropsAtTheLimit(3));
        let meant = Queue::quorum("a", limit).dead_letters(DeadLetters::Dropped);
        let server = server("amqp://127.0.0.1");
        Consumer::new(server, meant, Config::new()).expect("it is meant");
    }
}

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

#[tokio::test]
async fn the_future_of_a_consumer_can_be_spawned() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    let name = broker.declare(&[]).await;
    let consumer = broker.consumer(Queue::classic(&name), Config::new());
    let handler = |_: Arrival| async { Ok::<_, Infallible>(Answer::Acknowledge) };
    let spawned = tokio::spawn(consumer.run(handler, async {}));
    let ran = spawned.await.expect("it does not panic").expect("it runs");
    assert_eq!(ran.received, 0, "{ran}");
}
