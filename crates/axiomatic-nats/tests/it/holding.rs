//! For how long a message is a consumer's, and what happens when it is not any
//! more.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axiomatic_nats::inbox::{Answer, Arrival, Config, Consumer};
use axiomatic_testbed::nats::Nats;
use tokio::time::sleep;

use crate::support::{FOR_EVER, Shared, client, make_stream, publish, publisher, pull, until};

/// Counts handlers that were dropped before they were done.
struct Dropped<'a>(Option<&'a AtomicUsize>);

impl Dropped<'_> {
    fn done(mut self) {
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
async fn a_message_whose_handler_takes_long_does_not_come_again() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 1).await;
    let wait = Duration::from_secs(1);
    let pull = pull(&stream, wait).await;
    let config = Config::new().handle_within(FOR_EVER);
    let consumer = Consumer::new(shared.context.clone(), pull, config).expect("it can work");
    let handle = consumer.handle();
    let run = consumer.run(
        async |_| {
            sleep(3 * wait).await;
            Ok::<_, Infallible>(Answer::Acknowledge)
        },
        until("it is handled", async || {
            handle.snapshot().acknowledged == 1
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!((ran.received, ran.lost), (1, 0), "{ran}");
    assert!(ran.prolonged >= 3, "{ran}");
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_stopped_and_its_message_comes_again() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 1).await;
    let pull = pull(&stream, 10 * FOR_EVER).await;
    let config = Config::new().handle_within(Duration::from_millis(100));
    let consumer = Consumer::new(shared.context.clone(), pull, config).expect("it can work");
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
async fn a_handler_whose_message_may_be_anothers_is_stopped() {
    let Some(server) = Nats::start() else {
        return;
    };
    let client = client(&server).await;
    let context = async_nats::jetstream::new(client);
    let stream = make_stream(&context, "S", |_| {}).await;
    publish(&publisher(&context, "S"), "a", 1).await;
    let pull = pull(&stream, Duration::from_secs(1)).await;
    let config = Config::new().handle_within(FOR_EVER);
    let consumer = Consumer::new(context, pull, config).expect("it can work");
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
            until("it has it in hand", async || {
                handle.snapshot().received == 1
            })
            .await;
            server.pause();
            until("it is stopped", async || handle.snapshot().lost == 1).await;
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
            server.resume();
            until("it is handled", async || {
                handle.snapshot().acknowledged == 1
            })
            .await;
        },
    );
    let ran = run.await.expect("it runs");
    assert_eq!(dropped.into_inner(), 1, "{ran}");
}
