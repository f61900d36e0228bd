//! What is said of messages whose server was stopped, paused or killed, and
//! what is in the stream afterwards.

use std::pin::pin;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::stream::{RetentionPolicy, Stream};
use axiomatic_coordination::outbox::{Envelope, Publisher, Verdict};
use axiomatic_nats::outbox::{Config, JetStream, Subjects};
use axiomatic_testbed::nats::Nats;
use futures::{FutureExt, StreamExt};

use crate::support::{
    FOR_EVER, client, count, envelope, envelopes, is_confirmed, make_stream, publish, publisher,
    pull, reconnected, until,
};

const UNKNOWN: [Verdict; 3] = [const { Verdict::Unknown }; 3];

struct Scene {
    server: Nats,
    client: async_nats::Client,
    stream: Stream,
    publisher: JetStream,
}

impl Scene {
    /// What a publication says, which must not be later than for ever.
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let published = tokio::time::timeout(FOR_EVER, self.publisher.publish(messages));
        published.await.expect("in time")
    }

    /// A publisher that waits so long for its private server.
    async fn waiting(timeout: Duration) -> Option<Scene> {
        let server = Nats::start()?;
        let client = client(&server).await;
        let context = async_nats::jetstream::new(client.clone());
        let stream = make_stream(&context, "S", |_| {}).await;
        let config = Config::new()
            .subjects(Subjects::under("S"))
            .timeout(timeout);
        Some(Scene {
            server,
            client,
            stream,
            publisher: JetStream::new(context, config).expect("it can work"),
        })
    }

    async fn is_disconnected(&self) {
        until("the client sees it", async || {
            self.client.connection_state() == State::Disconnected
        })
        .await;
    }

    async fn restart(&mut self) {
        let before = self.client.server_info().server_id;
        self.server.run();
        reconnected(&self.client, &before).await;
    }
}

#[tokio::test]
async fn while_the_server_is_away_nothing_waits_and_nothing_is_sent_later() {
    // Longer than the test lasts: it would be waited for.
    let scene = Scene::waiting(Duration::from_secs(3600)).await;
    let Some(mut scene) = scene else { return };
    scene.server.kill();
    scene.is_disconnected().await;
    for _ in 0..3 {
        let verdicts = scene.publish(&envelopes("a", 3)).await;
        assert_eq!(verdicts, UNKNOWN);
    }
    scene.restart().await;
    let after = [envelope("a", 17)];
    assert_eq!(scene.publish(&after).await, [Verdict::Acked]);
    assert_eq!(count(&scene.stream).await, 1);
}

#[tokio::test]
async fn what_a_server_took_without_a_word_is_unknown_and_then_a_duplicate() {
    let scene = Scene::waiting(Duration::from_millis(200)).await;
    let Some(scene) = scene else { return };
    let messages = envelopes("a", 3);
    scene.server.pause();
    assert_eq!(scene.publish(&messages).await, UNKNOWN);
    scene.server.resume();
    until("it has what it was sent", async || {
        count(&scene.stream).await == 3
    })
    .await;
    let again = scene.publish(&messages).await;
    assert_eq!(again, [const { Verdict::Duplicate }; 3]);
    assert_eq!(count(&scene.stream).await, 3);
}

#[tokio::test]
async fn what_was_in_flight_when_the_server_was_killed_is_there_once_in_the_end() {
    let scene = Scene::waiting(Duration::from_millis(200)).await;
    let Some(mut scene) = scene else { return };
    let messages = envelopes("a", 3);
    let before = [envelope("a", 17)];
    assert_eq!(scene.publish(&before).await, [Verdict::Acked]);
    scene.server.pause();
    let (verdicts, ()) = tokio::join!(scene.publisher.publish(&messages), async {
        tokio::task::yield_now().await;
        scene.server.kill();
    });
    assert_eq!(verdicts, UNKNOWN);
    scene.restart().await;
    let again = scene.publish(&messages).await;
    assert!(again.iter().all(is_confirmed), "{again:?}");
    // What it had acknowledged before it knows again: ids are read back from
    // what is stored.
    assert_eq!(scene.publish(&before).await, [Verdict::Duplicate]);
    assert_eq!(count(&scene.stream).await, 4);
}

#[tokio::test]
async fn a_server_that_is_stopped_in_order_knows_what_it_has() {
    let scene = Scene::waiting(Duration::from_secs(5)).await;
    let Some(mut scene) = scene else { return };
    let messages = envelopes("a", 3);
    let first = scene.publish(&messages).await;
    assert_eq!(first, [const { Verdict::Acked }; 3]);
    scene.server.stop();
    scene.is_disconnected().await;
    assert_eq!(scene.publish(&messages).await, UNKNOWN);
    scene.restart().await;
    let again = scene.publish(&messages).await;
    assert_eq!(again, [const { Verdict::Duplicate }; 3]);
    assert_eq!(count(&scene.stream).await, 3);
}

#[tokio::test]
async fn a_publication_can_be_dropped_while_its_server_says_nothing() {
    let scene = Scene::waiting(Duration::from_secs(3600)).await;
    let Some(scene) = scene else { return };
    let messages = envelopes("a", 3);
    scene.server.pause();
    for _ in 0..10 {
        let mut publishing = pin!(scene.publisher.publish(&messages));
        assert_eq!(publishing.as_mut().now_or_never(), None);
        // Dropped, as by a relay that was told to stop.
    }
    scene.server.resume();
    let verdicts = scene.publish(&messages).await;
    assert!(verdicts.iter().all(is_confirmed), "{verdicts:?}");
    assert_eq!(count(&scene.stream).await, 3);
}

#[tokio::test]
async fn a_work_queue_that_is_started_anew_forgets_the_ids_of_what_it_gave_out() {
    let Some(mut server) = Nats::start() else {
        return;
    };
    let client = client(&server).await;
    let context = async_nats::jetstream::new(client.clone());
    let stream = make_stream(&context, "S", |stream| {
        stream.retention = RetentionPolicy::WorkQueue;
    })
    .await;
    let publisher = publisher(&context, "S");
    let messages = envelopes("a", 2);
    publish(&publisher, "a", 2).await;
    let pull = pull(&stream, FOR_EVER).await;
    let mut first = pull.fetch().max_messages(1).messages().await.expect("some");
    let first = first.next().await.expect("one").expect("a message");
    first.double_ack().await.expect("it is given out");
    let again = publisher.publish(&messages).await;
    assert_eq!(again, [const { Verdict::Duplicate }; 2]);
    let before = client.server_info().server_id;
    server.stop();
    server.run();
    reconnected(&client, &before).await;
    let again = publisher.publish(&messages).await;
    assert_eq!(again, [Verdict::Acked, Verdict::Duplicate]);
}
