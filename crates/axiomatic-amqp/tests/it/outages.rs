//! What is said of messages whose server was stopped, paused, killed or short
//! of memory, and what is in the queue afterwards.

use std::time::Duration;

use axiomatic_amqp::outbox::{Config, RabbitMq, Routes};
use axiomatic_amqp::{ConnectionState, Server};
use axiomatic_coordination::outbox::{Class, Envelope, Message, Publisher, Verdict};
use axiomatic_testbed::rabbitmq::RabbitMq as Private;

use crate::support::{FOR_EVER, Shared, envelope, envelopes, id, sent, server, until};

const UNKNOWN: [Verdict; 3] = [const { Verdict::Unknown }; 3];
const ACKED: [Verdict; 3] = [const { Verdict::Acked }; 3];

struct Scene {
    server: Private,
    publisher: RabbitMq,
    names: Shared,
}

impl Scene {
    /// A publisher to a private server, with a queue.
    async fn with(lines: &str, timeout: Duration, change: fn(Server) -> Server) -> Option<Scene> {
        let private = Private::configured(lines)?;
        let address = private.address();
        let names = Shared::at(&address).await.expect("it is there");
        let config = Config::new()
            .routes(Routes::exchange(names.name()))
            .timeout(timeout);
        let publisher = RabbitMq::new(change(server(&address)), config).expect("it can work");
        publisher
            .ensure(&names.requirements())
            .await
            .expect("it is made");
        Some(Scene {
            server: private,
            publisher,
            names,
        })
    }

    async fn waiting(timeout: Duration) -> Option<Scene> {
        Scene::with("", timeout, |server| server).await
    }

    /// What a publication says, which must not be later than for ever.
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let published = tokio::time::timeout(FOR_EVER, self.publisher.publish(messages));
        published.await.expect("in time")
    }

    /// Starts the server anew, once and in order. RabbitMQ 3.10 writes down
    /// which quorum queues there are some time after they were declared; one
    /// that is killed before has none of what they had.
    async fn settle(&mut self) {
        self.server.stop();
        self.server.run();
        self.is(ConnectionState::Open).await;
    }

    /// Publishes until it is confirmed, as a relay does.
    async fn publish_at_last(&self, messages: &[Envelope]) {
        let confirmed = async || {
            self.publish(messages)
                .await
                .iter()
                .all(|verdict| *verdict == Verdict::Acked)
        };
        until("it is confirmed", confirmed).await;
    }

    async fn is(&self, state: ConnectionState) {
        until("the connection is so", async || {
            self.publisher.snapshot().state == state
        })
        .await;
    }

    /// The queue has these messages, and some of them more than once.
    async fn has(&self, messages: &[Envelope]) {
        let names = Shared::at(&self.server.address())
            .await
            .expect("it is there");
        let are_all = |taken: &[axiomatic_amqp::lapin::message::Delivery]| {
            messages
                .iter()
                .all(|message| taken.iter().any(|taken| id(taken) == message.id()))
        };
        crate::support::take(&names.channel, self.names.name(), are_all).await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_opened_again() {
    let scene = Scene::waiting(Duration::from_secs(3600)).await;
    let Some(scene) = scene else { return };
    assert_eq!(scene.publish(&envelopes("a", 3)).await, ACKED);
    for opened in 2..4 {
        scene.server.ctl(["close_all_connections", "for a test"]);
        until("it is another", async || {
            scene.publisher.snapshot().opened == opened
        })
        .await;
        let why = scene.publisher.snapshot().error.expect("it is known");
        assert!(why.contains("for a test"), "{why}");
        scene.publish_at_last(&envelopes("a", 3)).await;
    }
}

#[tokio::test]
async fn what_was_in_flight_when_the_server_was_killed_is_unknown_at_once_and_there_in_the_end() {
    let scene = Scene::waiting(Duration::from_secs(2)).await;
    let Some(mut scene) = scene else { return };
    scene.settle().await;
    let before = envelopes("a", 3);
    scene.publish_at_last(&before).await;
    // Longer than the test lasts: it would be waited for.
    let patient = scene.names.publishing(Config::new().timeout(FOR_EVER * 60));
    let patient = patient.await;
    let messages = [17, 18, 19].map(|n| envelope("a", n));
    scene.server.pause();
    let (verdicts, ()) = tokio::join!(patient.publish(&messages), async {
        tokio::task::yield_now().await;
        scene.server.kill();
    });
    assert_eq!(verdicts, UNKNOWN);
    let is_away = async || patient.snapshot().state == ConnectionState::Away;
    until("it is known", is_away).await;
    for _ in 0..3 {
        assert_eq!(patient.publish(&messages).await, UNKNOWN);
    }
    scene.server.run();
    scene.publish_at_last(&messages).await;
    let mut all = before;
    all.extend(messages);
    scene.has(&all).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_found_out_by_its_heartbeat_and_by_publishing() {
    let scene = Scene::with("", Duration::from_millis(300), |server| {
        server.heartbeat(Duration::from_secs(1))
    });
    let Some(scene) = scene.await else { return };
    let messages = envelopes("a", 3);
    assert_eq!(scene.publish(&messages).await, ACKED);
    scene.server.pause();
    // Nothing is published.
    scene.is(ConnectionState::Away).await;
    scene.server.resume();
    scene.is(ConnectionState::Open).await;
    scene.publish_at_last(&messages).await;

    // One for which a heartbeat would take hours.
    let config = Config::new()
        .routes(Routes::exchange(scene.names.name()))
        .timeout(Duration::from_millis(300));
    let slow = server(&scene.server.address()).heartbeat(Duration::from_secs(3600));
    let slow = RabbitMq::new(slow, config).expect("it can work");
    slow.connected().await;
    scene.server.pause();
    until("it is given up", async || {
        let verdicts = slow.publish(&messages).await;
        assert_eq!(verdicts, UNKNOWN);
        slow.snapshot().state == ConnectionState::Away
    })
    .await;
    scene.server.resume();
    let confirmed = async || slow.publish(&messages).await == ACKED;
    until("it is back", confirmed).await;
}

#[tokio::test]
async fn while_the_server_is_short_of_memory_nothing_is_sent_and_then_it_goes_on_by_itself() {
    // Longer than the test lasts: what is sent would be waited for.
    let scene = Scene::waiting(FOR_EVER * 60).await;
    let Some(scene) = scene else { return };
    assert_eq!(scene.publish(&envelopes("a", 3)).await, ACKED);
    let watermark = "set_vm_memory_high_watermark";
    scene.server.ctl([watermark, "absolute", "1"]);
    // The server says so when something is published to it.
    let first = envelopes("a", 3);
    let is_blocked = async || scene.publisher.is_blocked();
    let publishing = async {
        loop {
            scene.publisher.publish(&first).await;
        }
    };
    tokio::select! {
        () = publishing => {}
        () = until("it is blocked", is_blocked) => {}
    }
    let opened = scene.publisher.snapshot().opened;
    let others = [100, 101, 102].map(|n| envelope("a", n));
    for _ in 0..20 {
        assert_eq!(scene.publish(&others).await, UNKNOWN);
        assert!(scene.publisher.is_blocked());
    }
    scene.server.ctl([watermark, "0.9"]);
    scene.is(ConnectionState::Open).await;
    let last = [200, 201, 202].map(|n| envelope("a", n));
    scene.publish_at_last(&last).await;
    assert_eq!(scene.publisher.snapshot().opened, opened, "it is the same");
    let is_last = |taken: &[axiomatic_amqp::lapin::message::Delivery]| {
        taken.last().is_some_and(|taken| id(taken) == last[2].id())
    };
    let taken = scene.names.take(is_last).await;
    let was_sent = taken.iter().any(|taken| id(taken) == others[0].id());
    assert!(!was_sent, "what was published while it was blocked");
}

#[tokio::test]
async fn a_message_that_is_larger_than_the_server_takes_is_too_large_and_harms_no_later_wave() {
    let lines = "max_message_size = 10000";
    let scene = Scene::with(lines, Duration::from_secs(30), |server| server).await;
    let Some(scene) = scene else { return };
    let of = |n: u128, bytes| {
        let message = Message::new("a", vec![b'x'; bytes]);
        sent(message.with_id(axiomatic_coordination::MessageId::from_u128(n)))
    };
    let mut wave = vec![
        of(1, 10),
        of(2, 20_000),
        of(3, 10_000),
        of(4, 30_000),
        of(5, 0),
    ];
    let mut parked = Vec::new();
    let mut published = Vec::new();
    for _ in 0..3 {
        let verdicts = scene.publish(&wave).await;
        let mut left = Vec::new();
        for (message, verdict) in wave.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Acked => published.push(message.body().len()),
                Verdict::Rejected { class, .. } => {
                    assert_eq!(class, Class::TooLarge);
                    parked.push(message.body().len());
                }
                _ => left.push(message),
            }
        }
        wave = left;
    }
    published.sort_unstable();
    assert_eq!(parked, [30_000, 20_000], "one a wave, the largest first");
    assert_eq!(published, [0, 10, 10_000]);
    assert_eq!(
        scene.publisher.snapshot().opened,
        1,
        "the connection is the same"
    );
}

#[tokio::test]
async fn an_exchange_that_may_not_be_written_to_refuses_for_now() {
    let scene = Scene::waiting(Duration::from_secs(30)).await;
    let Some(scene) = scene else { return };
    assert_eq!(scene.publish(&envelopes("a", 3)).await, ACKED);
    scene
        .server
        .ctl(["set_permissions", "guest", ".*", "none", ".*"]);
    // A channel that is never idle keeps what it was permitted.
    scene.server.ctl(["close_all_connections", "permissions"]);
    let refused = async || {
        let verdicts = scene.publish(&envelopes("a", 3)).await;
        verdicts.iter().all(|verdict| {
            matches!(verdict, Verdict::Rejected { class: Class::Transient, error } if error.contains("ACCESS_REFUSED"))
        })
    };
    until("the server knows", refused).await;
    scene
        .server
        .ctl(["set_permissions", "guest", ".*", ".*", ".*"]);
    scene.publish_at_last(&envelopes("a", 3)).await;
}
