//! Where the tests find a RabbitMQ, and what they publish.
//!
//! A test that needs one begins with `let Some(..) = .. else { return }`. On a
//! laptop without RabbitMQ it is skipped, and says so by its name; where `CI`
//! is true it fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_amqp::Server;
use axiomatic_amqp::lapin::message::Delivery;
use axiomatic_amqp::lapin::options::{
    BasicConsumeOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use axiomatic_amqp::lapin::types::{AMQPValue, FieldTable};
use axiomatic_amqp::lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use axiomatic_amqp::outbox::{Config, Queue, RabbitMq, Requirements, Route, Routes};
use axiomatic_coordination::outbox::{Envelope, Epoch, Message, RowId, Stored};
use axiomatic_coordination::{MessageId, Timestamp};
use axiomatic_core::backoff::Backoff;
use futures::StreamExt;

/// Longer than anything takes, also on a machine with other things to do: who
/// waits so long waits for something that does not come.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(FOR_EVER, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for ever: {what}");
}

/// A server that is looked for often when it is gone.
pub(crate) fn server(address: &str) -> Server {
    let backoff = Backoff::exponential(Duration::from_millis(5), Duration::from_millis(50));
    Server::new(address).expect("a URI").backoff(backoff)
}

/// Names of a test's own on a RabbitMQ that others use too. What has them is
/// removed when this is dropped.
pub(crate) struct Shared {
    address: String,
    name: String,
    /// To look at what is there, and to make what no outbox would.
    pub(crate) channel: Channel,
    _connection: Connection,
}

impl Shared {
    /// The RabbitMQ that is there.
    pub(crate) async fn find() -> Option<Shared> {
        let address = std::env::var("AXIOMATIC_RABBITMQ_URL")
            .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
        match Shared::at(&address).await {
            Ok(shared) => Some(shared),
            Err(error) => {
                axiomatic_testbed::skip(&format!("RabbitMQ: {error}"));
                None
            }
        }
    }

    /// The RabbitMQ at this address.
    pub(crate) async fn at(address: &str) -> axiomatic_amqp::lapin::Result<Shared> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let connection = Connection::connect(address, ConnectionProperties::default()).await?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Ok(Shared {
            address: address.to_owned(),
            name: format!("axiomatic-test-{}-{number}", std::process::id()),
            channel: connection.create_channel().await?,
            _connection: connection,
        })
    }

    /// Other names on the same.
    pub(crate) async fn another(&self) -> Shared {
        Shared::at(&self.address).await.expect("it is there")
    }

    /// The name of an exchange and of a queue, of which both are removed.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A topic exchange and a quorum queue that has all that is published to
    /// it.
    pub(crate) fn requirements(&self) -> Requirements {
        let queue = Queue::quorum(self.name()).bound(Route::new(self.name(), "#"));
        let requirements = Requirements::new().exchange(self.name(), ExchangeKind::Topic);
        requirements.queue(queue.delivery_limit(10))
    }

    /// A publisher to the exchange, which may not be there.
    pub(crate) async fn publisher(&self) -> RabbitMq {
        self.publishing(Config::new()).await
    }

    pub(crate) async fn publishing(&self, config: Config) -> RabbitMq {
        let routes = Routes::exchange(self.name());
        self.connected(config.routes(routes)).await
    }

    pub(crate) async fn routing(&self, routes: Routes) -> RabbitMq {
        self.connected(Config::new().routes(routes)).await
    }

    async fn connected(&self, config: Config) -> RabbitMq {
        let publisher = RabbitMq::new(server(&self.address), config).expect("it can work");
        let connected = tokio::time::timeout(FOR_EVER, publisher.connected());
        connected.await.expect("in time");
        publisher
    }

    /// A publisher, and the exchange and the queue for it.
    pub(crate) async fn ready(&self) -> RabbitMq {
        let publisher = self.publisher().await;
        let made = publisher.ensure(&self.requirements()).await;
        made.expect("they are made");
        publisher
    }

    /// Makes a queue with these arguments, bound to nothing but its name.
    pub(crate) async fn queue(&self, arguments: &[(&str, AMQPValue)]) {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let made = self
            .channel
            .queue_declare(self.name().into(), options, table);
        made.await.expect("a queue");
    }

    pub(crate) async fn purge(&self) {
        let options = QueuePurgeOptions::default();
        let purged = self.channel.queue_purge(self.name().into(), options);
        purged.await.expect("it empties");
    }

    /// Takes messages from the queue until this is enough of them.
    pub(crate) async fn take(&self, is_enough: impl FnMut(&[Delivery]) -> bool) -> Vec<Delivery> {
        take(&self.channel, self.name(), is_enough).await
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
                let properties = ConnectionProperties::default();
                let Ok(connection) = Connection::connect(&address, properties).await else {
                    return;
                };
                if let Ok(channel) = connection.create_channel().await {
                    let options = QueueDeleteOptions::default();
                    let _ = channel.queue_delete(name.clone().into(), options).await;
                    let _ = channel
                        .exchange_delete(name.into(), Default::default())
                        .await;
                }
            });
        });
        let _ = removing.join();
    }
}

/// Takes messages from a queue until this is enough of them.
pub(crate) async fn take(
    channel: &Channel,
    queue: &str,
    mut is_enough: impl FnMut(&[Delivery]) -> bool,
) -> Vec<Delivery> {
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let consuming = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    let mut consumer = consuming.await.expect("it is there");
    let mut taken = Vec::new();
    let taking = tokio::time::timeout(FOR_EVER, async {
        while !is_enough(&taken) {
            let next = consumer.next().await.expect("it goes on");
            taken.push(next.expect("a message"));
        }
    });
    assert!(taking.await.is_ok(), "{} messages for ever", taken.len());
    taken
}

/// The id of a message as it was delivered.
pub(crate) fn id(delivery: &Delivery) -> MessageId {
    let id = delivery.properties.message_id().as_ref();
    id.expect("an id").as_str().parse().expect("ours")
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
