//! Which messages a consumer has handled, how often, and how many at once.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{Message, Publisher};
use axiomatic_nats::inbox::{
    Acknowledge, Answer, Arrival, Config, ConfigError, ConsumeError, Consumer,
};
use axiomatic_testbed::nats::Nats;
use tokio::sync::Semaphore;

use crate::support::{
    FOR_EVER, Shared, client, make_stream, publish, publisher, pull as pull_of, reconnected, sent,
    unacknowledged, until,
};

fn consumer(shared: &Shared, pull: &PullConsumer, config: Config) -> Consumer {
    Consumer::new(shared.context.clone(), pull.clone(), config).expect("it can work")
}

#[tokio::test]
async fn each_message_is_handled_once_and_then_acknowledged() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 200).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    let handled = Mutex::new(Vec::new());
    let consumer = consumer(&shared, &pull, Config::new().in_hand(7));
    let handle = consumer.handle();
    let run = consumer.run(
        async |arrival: Arrival| {
            handled.lock().unwrap().push(arrival.sequence());
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        until("all are acknowledged", async || {
            handle.snapshot().acknowledged == 200
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.received, ran.redelivered), (200, 0), "{ran}");
    let mut handled = handled.into_inner().unwrap();
    handled.sort_unstable();
    assert!(handled.into_iter().eq(1..=200));
    until("the server heard of all", async || {
        unacknowledged(&pull).await == 0
    })
    .await;
}

#[tokio::test]
async fn what_is_confirmed_is_known_to_the_server_when_it_counts() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 20).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    let config = Config::new().acknowledge(Acknowledge::Confirmed);
    let consumer = consumer(&shared, &pull, config);
    let handle = consumer.handle();
    let run = consumer.run(async |_| Ok::<_, Infallible>(Answer::Acknowledge), async {
        let all = || handle.snapshot().acknowledged == 20;
        until("all are acknowledged", async || all()).await;
        assert_eq!(unacknowledged(&pull).await, 0);
    });
    let ran = run.await.expect("it runs");
    assert_eq!(ran.unanswered, 0, "{ran}");
}

#[tokio::test]
async fn no_more_are_in_hand_than_configured_and_as_many_if_there_are() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 60).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    let consumer = consumer(&shared, &pull, Config::new().in_hand(5));
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
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    let publisher = shared.publisher();
    for topic in ["fails", "again", "never"] {
        let message = Message::new(topic, "");
        assert!(publisher.publish(&[sent(message)]).await.len() == 1);
    }
    // So long that nothing comes again by itself.
    let pull = pull_of(&stream, 10 * FOR_EVER).await;
    let consumer = consumer(&shared, &pull, Config::new());
    let handle = consumer.handle();
    let run = consumer.run(
        async |arrival: Arrival| {
            let (_, topic) = arrival.subject().rsplit_once('.').expect("a topic");
            let attempt = arrival.delivery().attempt().expect("it is counted").get();
            match (topic, attempt) {
                ("fails", 1..3) => Err("no"),
                ("again", 1..3) => Ok(Answer::Again(Duration::from_millis(10))),
                ("never", 1) => Ok(Answer::Terminate),
                ("never", _) => panic!("it was given up"),
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
    until("the server heard of all", async || {
        unacknowledged(&pull).await == 0
    })
    .await;
}

#[tokio::test]
async fn a_consumer_that_is_to_stop_finishes_what_it_has_in_hand() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 10).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    let consumer = consumer(&shared, &pull, Config::new().in_hand(4));
    let handle = consumer.handle();
    let go_on = Semaphore::new(0);
    let run = consumer.run(
        async |_| {
            let _permit = go_on.acquire().await.expect("it is open");
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        async {
            until("it has its hands full", async || {
                handle.snapshot().received == 4
            })
            .await;
            go_on.add_permits(10);
        },
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.acknowledged, ran.in_hand), (4, 0), "{ran}");
    until("the server heard of them", async || {
        let info = pull.get_info().await.expect("it is there");
        info.ack_floor.stream_sequence == 4 && info.num_ack_pending == 0
    })
    .await;
}

#[tokio::test]
async fn who_does_not_finish_in_time_is_not_waited_for() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 1).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    let config = Config::new().drain_within(Duration::from_millis(50));
    let consumer = consumer(&shared, &pull, config);
    let handle = consumer.handle();
    let run = consumer.run(
        async |_| pending::<Result<Answer, Infallible>>().await,
        until("it has it in hand", async || {
            handle.snapshot().received == 1
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.received, ran.acknowledged), (1, 0), "{ran}");
}

#[tokio::test]
async fn a_consumer_that_is_deleted_stops_and_says_so() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    for deleted_before in [false, true] {
        let consumer = consumer(&shared, &pull, Config::new());
        let run = consumer.run(
            async |_| Ok::<_, Infallible>(Answer::Acknowledge),
            pending::<()>(),
        );
        let delete = async {
            if !deleted_before {
                let waits = async || pull.get_info().await.is_ok_and(|info| info.num_waiting > 0);
                until("it asks", waits).await;
                stream
                    .delete_consumer("consumer")
                    .await
                    .expect("it was there");
            }
        };
        let (ran, ()) = tokio::join!(tokio::time::timeout(FOR_EVER, run), delete);
        let ran = ran.expect("it stops");
        assert!(matches!(ran, Err(ConsumeError::Deleted)), "{ran:?}");
    }
}

#[tokio::test]
async fn a_consumer_goes_on_when_its_server_is_back() {
    let Some(mut server) = Nats::start() else {
        return;
    };
    let client = client(&server).await;
    let context = async_nats::jetstream::new(client.clone());
    let stream = make_stream(&context, "S", |_| {}).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    let publisher = publisher(&context, "S");
    let consumer = Consumer::new(context, pull, Config::new().in_hand(3)).expect("it can work");
    let handle = consumer.handle();
    let run = consumer.run(async |_| Ok::<_, Infallible>(Answer::Acknowledge), async {
        publish(&publisher, "a", 10).await;
        until("some are handled", async || {
            handle.snapshot().acknowledged == 10
        })
        .await;
        let before = client.server_info().server_id;
        server.kill();
        server.run();
        reconnected(&client, &before).await;
        publish(&publisher, "a", 20).await;
        until("all are handled", async || {
            handle.snapshot().acknowledged >= 20
        })
        .await;
    });
    run.await.expect("it runs");
}

#[tokio::test]
async fn a_consumer_that_cannot_work_is_refused() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    let made = |ack_policy, ack_wait| {
        let config = pull::Config {
            ack_policy,
            ack_wait,
            ..pull::Config::default()
        };
        stream.create_consumer(config)
    };
    let refused = |pull: PullConsumer, config| {
        Consumer::new(shared.context.clone(), pull, config).expect_err("it cannot")
    };
    let silent = made(AckPolicy::None, Duration::ZERO).await.expect("made");
    let refusal = ConfigError::AckPolicy(AckPolicy::None);
    assert_eq!(refused(silent, Config::new()), refusal);
    let wait = Duration::from_millis(50);
    let hasty = made(AckPolicy::Explicit, wait).await.expect("made");
    let refusal = ConfigError::AckWaitTooShort(wait);
    assert_eq!(refused(hasty, Config::new()), refusal);
    let good = made(AckPolicy::Explicit, FOR_EVER).await.expect("made");
    let none = Config::new().in_hand(0);
    assert_eq!(refused(good.clone(), none), ConfigError::Zero("in_hand"));
    let never = Config::new().handle_within(Duration::ZERO);
    assert_eq!(refused(good, never), ConfigError::Zero("handle_within"));
}

#[tokio::test]
async fn an_arrival_has_what_was_published_and_how_often_it_came() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    let ours = Message::new("a", "body")
        .with_id(MessageId::from_u128(7))
        .keyed("key")
        .of_tenant("acme")
        .with_header("content-type", "text/plain");
    let published = shared.publisher().publish(&[sent(ours)]).await;
    assert_eq!(published.len(), 1);
    // One that another program published, without an id.
    let mut headers = HeaderMap::new();
    headers.append("x", "1");
    headers.append("x", "2");
    let other = shared
        .context
        .publish_with_headers(shared.subject("b"), headers, "other".into());
    other.await.expect("sent").await.expect("acknowledged");
    let pull = pull_of(&stream, FOR_EVER).await;
    let consumer = consumer(&shared, &pull, Config::new());
    let handle = consumer.handle();
    let arrivals = Mutex::new(Vec::new());
    let run = consumer.run(
        async |arrival: Arrival| {
            arrivals.lock().unwrap().push(arrival);
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        until("both have come", async || {
            handle.snapshot().acknowledged == 2
        }),
    );
    run.await.expect("it runs");
    let mut arrivals = arrivals.into_inner().unwrap();
    arrivals.sort_by_key(Arrival::sequence);
    let [ours, other] = &arrivals[..] else {
        panic!("{arrivals:?}");
    };
    let id = MessageId::from_u128(7).to_string();
    assert_eq!(ours.delivery().broker_id(), Some(&*id));
    assert_eq!(ours.delivery().key(), Some("key"));
    assert_eq!(ours.delivery().tenant(), Some("acme"));
    assert_eq!(ours.delivery().header("content-type"), Some("text/plain"));
    assert_eq!(ours.delivery().epoch().unwrap().unwrap().0, 1);
    assert_eq!(&ours.delivery().body()[..], b"body");
    assert!(!ours.delivery().may_be_a_repeat());
    assert_eq!(
        (ours.subject(), ours.stream()),
        (&*shared.subject("a"), shared.name())
    );
    let by_number = format!("{}:2", shared.name());
    assert_eq!(other.delivery().broker_id(), Some(&*by_number));
    assert_eq!(other.delivery().header("x"), Some("2"));
    assert_eq!(other.delivery().key(), None);
}

#[tokio::test]
async fn the_future_of_a_consumer_can_be_spawned() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    let pull = pull_of(&stream, FOR_EVER).await;
    let consumer = consumer(&shared, &pull, Config::new());
    let handler = |_: Arrival| async { Ok::<_, Infallible>(Answer::Acknowledge) };
    let spawned = tokio::spawn(consumer.run(handler, async {}));
    let ran = spawned.await.expect("it does not panic").expect("it runs");
    assert_eq!(ran.received, 0, "{ran}");
}
