//! The matrix once more, with a stream between the relay and a consumer that
//! acknowledges to it.

use std::fs;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{self, Context, consumer, stream};
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Epoch;
use axiomatic_coordination::outbox::Relay;
use axiomatic_coordination::outbox::history::{Consumer as Consumers, Event};
use axiomatic_nats::inbox::{Answer, Arrival, Config as ConsumerConfig, Consumer as Pulling};
use axiomatic_nats::outbox::{Config, JetStream, Subjects};
use axiomatic_testbed::nats::Nats;
use tokio::sync::Mutex;

use super::child::{LONG_LEASE, TICK, Work, produce_all};
use super::consumer::Consumer;
use super::place::Place;

/// Where a child finds NATS.
const NATS: &str = "AXIOMATIC_KILL_NATS";

/// For how long a message is somebody's who died with it.
const ACK_WAIT: Duration = Duration::from_millis(300);

async fn context(url: &str) -> Context {
    jetstream::new(async_nats::connect(url).await.unwrap())
}

/// Producers, a relay to a stream, and a consumer of it, until each message
/// has had its effect.
pub(crate) async fn all_through_a_stream(work: &Work) {
    let context = context(&std::env::var(NATS).unwrap()).await;
    let config = Config::new().subjects(Subjects::under(work.schema.as_str()));
    let publisher = JetStream::new(context.clone(), config).unwrap();
    let relay = Relay::new(
        work.outbox.clone(),
        publisher,
        work.config("relay", LONG_LEASE),
    );
    let pull: PullConsumer = context
        .get_consumer_from_stream("consumer", &*work.schema)
        .await
        .unwrap();
    let pulling = Pulling::new(context, pull, ConsumerConfig::new().in_hand(4)).unwrap();
    let consumer = Mutex::new(Consumer::open(work).await);
    let handle = |arrival: Arrival| {
        let consumer = &consumer;
        async move {
            let delivery = arrival.into_delivery();
            let id = delivery.broker_id().unwrap().parse().unwrap();
            consumer.lock().await.handle(&delivery, id).await;
            reach("consumer.handled");
            Ok::<_, std::convert::Infallible>(Answer::Acknowledge)
        }
    };
    let over = tokio::sync::watch::Sender::new(false);
    let is_over = || async {
        let _ = over.subscribe().wait_for(|over| *over).await;
    };
    let toil = async {
        produce_all(work).await;
        work.until_drained().await;
        while !work.is_consumed().await {
            tokio::time::sleep(TICK).await;
        }
        over.send_replace(true);
    };
    let (relayed, consumed, ()) = tokio::join!(
        relay.unwrap().run(is_over()),
        pulling.run(handle, is_over()),
        toil
    );
    relayed.unwrap();
    consumed.unwrap();
}

/// A place, and a stream of its own at a server of the test's own.
struct Streamed {
    place: Place,
    nats: Nats,
    context: Context,
}

impl Streamed {
    fn find() -> Option<Streamed> {
        let (place, nats) = (Place::find()?, Nats::start()?);
        let context = place.wait_for(context(&nats.url()));
        Some(Streamed {
            place,
            nats,
            context,
        })
    }

    fn clear(&self) {
        self.place.clear();
        let name = self.place.schema().to_owned();
        self.place.wait_for(async {
            let _ = self.context.delete_stream(&name).await;
            let stream = stream::Config {
                subjects: vec![format!("{name}.>")],
                duplicate_window: Duration::from_secs(120),
                name,
                ..stream::Config::default()
            };
            let stream = self.context.create_stream(stream).await.unwrap();
            let durable = consumer::pull::Config {
                durable_name: Some("consumer".to_owned()),
                ack_wait: ACK_WAIT,
                ..consumer::pull::Config::default()
            };
            stream.create_consumer(durable).await.unwrap();
        });
    }

    fn run(&self, variables: &[(&str, &str)]) -> Option<String> {
        let url = self.nats.url();
        let mut all = vec![(NATS, &*url)];
        all.extend(variables);
        self.place.run("all through a stream", &all)
    }

    /// What the stream has is what was published: it knows ids again, so that
    /// none is there twice, whoever died.
    fn check(&self) {
        let published = self.place.wait_for(async {
            let name = self.place.schema();
            let mut stream = self.context.get_stream(name).await.unwrap();
            let last = stream.info().await.unwrap().state.last_sequence;
            let mut published = Vec::new();
            for sequence in 1..=last {
                let message = stream.get_raw_message(sequence).await.unwrap();
                let id = message.headers.get(async_nats::header::NATS_MESSAGE_ID);
                published.push(Event::Published {
                    id: id.unwrap().as_str().parse().unwrap(),
                    epoch: Epoch(1),
                });
            }
            published
        });
        for event in &published {
            self.place.record(event);
        }
        self.place.check(Consumers::Once);
    }
}

#[test]
fn wherever_a_process_ends_a_stream_has_each_message_once_and_so_has_its_consumer() {
    let Some(scene) = Streamed::find() else {
        return;
    };
    scene.clear();
    let log = scene.place.path().join("boundaries");
    let log_at = log.to_str().unwrap();
    assert_eq!(scene.run(&[("AXIOMATIC_CRASH_LOG", log_at)]), None);
    scene.check();
    let boundaries = fs::read_to_string(&log).unwrap();
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    // What else there is, the other matrix reaches.
    let is_between = |name: &str| {
        let here = ["relay.", "postgres.settle.", "postgres.inbox.", "consumer."];
        is_deep || here.iter().any(|part| name.starts_with(part))
    };
    let boundaries: Vec<_> = boundaries.lines().filter(|name| is_between(name)).collect();
    let times: &[u32] = if is_deep { &[1, 2, 3, 5] } else { &[2] };
    let mut deaths = 0;
    for nth in times {
        for name in &boundaries {
            scene.clear();
            let at = format!("{name}:{nth}");
            deaths += usize::from(scene.run(&[("AXIOMATIC_CRASH_AT", &at)]).is_some());
            assert_eq!(scene.run(&[]), None);
            scene.check();
        }
    }
    println!(
        "{} boundaries, {deaths} processes ended early",
        boundaries.len()
    );
    assert!(deaths >= 8, "{deaths} of {boundaries:?}");
}
