//! Where the tests find a NATS, and what they publish.
//!
//! A test that needs one begins with `let Some(..) = .. else { return }`. On a
//! laptop without NATS it is skipped, and says so by its name; where `CI` is
//! true it fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{Context, consumer, stream};
use axiomatic_coordination::outbox::{Envelope, Epoch, Message, Publisher, RowId, Stored, Verdict};
use axiomatic_coordination::{MessageId, Timestamp};
use axiomatic_nats::outbox::{Config, JetStream, Subjects};
use axiomatic_testbed::nats::Nats;
use axiomatic_testbed::skip;
use futures::StreamExt;

/// Longer than anything takes, also on a machine with other things to do: who
/// waits so long waits for something that does not come.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(FOR_EVER, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for ever: {what}");
}

/// A client that looks for its server often when it is gone.
pub(crate) async fn connect(address: &str) -> Result<async_nats::Client, async_nats::ConnectError> {
    async_nats::ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .connection_timeout(Duration::from_secs(2))
        .request_timeout(Some(Duration::from_secs(1)))
        .connect(address)
        .await
}

/// A client of a test's own server.
pub(crate) async fn client(server: &Nats) -> async_nats::Client {
    connect(&server.url()).await.expect("it is there")
}

/// A stream of a test's own on a NATS that others use too. It is removed when
/// this is dropped, and so is every other that was made by it.
pub(crate) struct Shared {
    pub(crate) context: Context,
    address: String,
    name: String,
}

impl Shared {
    /// The NATS that is there, and no stream yet.
    pub(crate) async fn find() -> Option<Shared> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let address = std::env::var("AXIOMATIC_NATS_URL")
            .unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
        let client = match connect(&address).await {
            Ok(client) => client,
            Err(error) => {
                skip(&format!("NATS: {error}"));
                return None;
            }
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Some(Shared {
            context: async_nats::jetstream::new(client),
            address,
            name: format!("axiomatic-test-{}-{number}", std::process::id()),
        })
    }

    /// The name of the stream, with which its subjects begin.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The subject of a topic.
    pub(crate) fn subject(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    /// Makes the stream, all of whose subjects begin with its name.
    pub(crate) async fn stream(&self, change: impl FnOnce(&mut stream::Config)) -> stream::Stream {
        make_stream(&self.context, &self.name, change).await
    }

    /// A publisher under the name.
    pub(crate) fn publisher(&self) -> JetStream {
        publisher(&self.context, &self.name)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let (address, name) = (self.address.clone(), self.name.clone());
        // A runtime of its own: that of the test may be ending.
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                if let Ok(client) = connect(&address).await {
                    let context = async_nats::jetstream::new(client);
                    let _ = context.delete_stream(name).await;
                }
            });
        });
        let _ = removing.join();
    }
}

/// Makes a stream of which all subjects begin with its name.
pub(crate) async fn make_stream(
    context: &Context,
    name: &str,
    change: impl FnOnce(&mut stream::Config),
) -> stream::Stream {
    let mut config = stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        ..stream::Config::default()
    };
    change(&mut config);
    context.create_stream(config).await.expect("a stream")
}

/// A publisher of messages whose subjects begin with this.
pub(crate) fn publisher(context: &Context, name: &str) -> JetStream {
    let config = Config::new().subjects(Subjects::under(name));
    JetStream::new(context.clone(), config).expect("it can work")
}

/// The n-th message of a topic: always the same.
pub(crate) fn envelope(topic: &str, n: u128) -> Envelope {
    sent(Message::new(topic, format!("body {n}")).with_id(MessageId::from_u128(n + 1)))
}

pub(crate) fn envelopes(topic: &str, count: u128) -> Vec<Envelope> {
    (0..count).map(|n| envelope(topic, n)).collect()
}

/// A message as a relay has it.
pub(crate) fn sent(message: Message) -> Envelope {
    let stored = Stored {
        row: RowId(1),
        lane: message.lane(),
        sequence: None,
        failures: 0,
        started: 0,
        enqueued_at: Timestamp::default(),
        message,
    };
    Envelope::new(stored, Epoch(1))
}

/// How many messages a stream has.
pub(crate) async fn count(stream: &stream::Stream) -> u64 {
    loop {
        // A question is lost with the server that was asked.
        if let Ok(info) = stream.get_info().await {
            return info.state.messages;
        }
    }
}

/// Waits until a client is connected to another server than this one, which
/// was started anew.
pub(crate) async fn reconnected(client: &async_nats::Client, before: &str) {
    until("it is back", async || {
        let is_connected = client.connection_state() == State::Connected;
        is_connected && client.server_info().server_id != before
    })
    .await;
}

/// All messages that a stream has, in its order.
pub(crate) async fn contents(stream: &stream::Stream) -> Vec<async_nats::Message> {
    let count = count(stream).await;
    let all = consumer::pull::Config {
        ack_policy: consumer::AckPolicy::None,
        ..consumer::pull::Config::default()
    };
    let all: PullConsumer = stream.create_consumer(all).await.expect("a consumer");
    let mut contents = Vec::new();
    while (contents.len() as u64) < count {
        let mut some = all
            .fetch()
            .max_messages(500)
            .messages()
            .await
            .expect("some");
        while let Some(message) = some.next().await {
            let (message, _) = message.expect("a message").split();
            contents.push(message);
        }
    }
    contents
}

pub(crate) fn is_confirmed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Acked | Verdict::Duplicate)
}

/// A pull consumer that waits so long for acknowledgements.
pub(crate) async fn pull(stream: &stream::Stream, ack_wait: Duration) -> PullConsumer {
    let config = consumer::pull::Config {
        durable_name: Some("consumer".to_owned()),
        ack_wait,
        ..consumer::pull::Config::default()
    };
    stream.create_consumer(config).await.expect("a consumer")
}

/// Publishes so many messages of a topic.
pub(crate) async fn publish(publisher: &JetStream, topic: &str, count: u128) {
    let verdicts = publisher.publish(&envelopes(topic, count)).await;
    assert!(verdicts.iter().all(is_confirmed), "{verdicts:?}");
}

/// How many messages a consumer has delivered and not heard of.
pub(crate) async fn unacknowledged(pull: &PullConsumer) -> usize {
    pull.get_info().await.expect("it is there").num_ack_pending
}
