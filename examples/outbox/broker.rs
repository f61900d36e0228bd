//! Where the messages go.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use axiomatic_amqp::lapin::options::{BasicGetOptions, QueueDeclareOptions};
use axiomatic_amqp::lapin::types::{AMQPValue, FieldTable};
use axiomatic_amqp::lapin::{self, Channel, Connection, ConnectionProperties, ExchangeKind};
use axiomatic_amqp::outbox::{self as amqp, Queue, RabbitMq, Route, Routes};
use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{Envelope, Epoch, Publisher, Verdict};
use axiomatic_nats::inbox::Arrival;
use axiomatic_nats::outbox::{self as nats, JetStream, Requirements, Subjects};
use futures::{StreamExt, TryStreamExt};

use crate::Failure;

/// Somewhere to publish to, and to look at what was.
pub(crate) trait Broker: Sync {
    type Publisher: Publisher;

    fn publisher(&self) -> impl Future<Output = Result<Self::Publisher, Failure>> + Send;

    /// How many were published: soon asked again.
    fn count(&self) -> impl Future<Output = Result<usize, Failure>> + Send;

    /// What was published, in its order, and under which epochs.
    fn received(&self) -> impl Future<Output = Result<Vec<(MessageId, Epoch)>, Failure>> + Send;

    /// Removes what was made.
    fn remove(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A file as a broker: what is in it is published.
pub(crate) struct InFile(PathBuf);

impl InFile {
    pub(crate) fn new(directory: &Path) -> Self {
        InFile(directory.join("broker"))
    }
}

impl Broker for InFile {
    type Publisher = ToFile;

    async fn publisher(&self) -> Result<ToFile, Failure> {
        let file = OpenOptions::new().append(true).create(true).open(&self.0)?;
        Ok(ToFile(Mutex::new(file)))
    }

    async fn count(&self) -> Result<usize, Failure> {
        Ok(self.received().await?.len())
    }

    /// A line that was cut off by a kill is not there.
    async fn received(&self) -> Result<Vec<(MessageId, Epoch)>, Failure> {
        let mut text = String::new();
        match File::open(&self.0) {
            Ok(mut file) => file.read_to_string(&mut text)?,
            Err(_) => return Ok(Vec::new()),
        };
        let whole = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        let mut received = Vec::new();
        for line in whole {
            let (id, epoch) = line.split_once(' ').ok_or("a line has two words")?;
            received.push((id.parse()?, Epoch(epoch.parse()?)));
        }
        Ok(received)
    }

    async fn remove(&self) -> Result<(), Failure> {
        // The directory goes with the program.
        Ok(())
    }
}

pub(crate) struct ToFile(Mutex<File>);

impl Publisher for ToFile {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        // As long as a broker takes to confirm.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut file = self.0.lock().expect("nobody panics with the file");
        let taken = messages.iter().map(|envelope| {
            let line = format!("{} {}\n", envelope.id(), envelope.epoch());
            match file.write_all(line.as_bytes()) {
                Ok(()) => Verdict::Acked,
                Err(_) => Verdict::Unknown,
            }
        });
        taken.collect()
    }
}

/// A stream of JetStream, with the name of the example's directory.
pub(crate) struct InStream {
    context: Context,
    name: String,
}

impl InStream {
    pub(crate) async fn open(url: &str, name: &str) -> Result<Self, Failure> {
        let client = async_nats::connect(url).await?;
        Ok(InStream {
            context: async_nats::jetstream::new(client),
            name: name.to_owned(),
        })
    }
}

impl Broker for InStream {
    type Publisher = JetStream;

    async fn publisher(&self) -> Result<JetStream, Failure> {
        let requirements = Requirements::new();
        let subjects = [format!("{}.>", self.name)];
        requirements
            .ensure(&self.context, &self.name, subjects)
            .await?;
        let config = nats::Config::new().subjects(Subjects::under(self.name.as_str()));
        let subject = format!("{}.orders", self.name);
        let context = self.context.clone();
        let checked = JetStream::checked(context, config, &requirements, &[&subject]).await?;
        let (publisher, _what_to_know_of_the_stream) = checked;
        Ok(publisher)
    }

    async fn count(&self) -> Result<usize, Failure> {
        // The relay makes the stream.
        match self.context.get_stream(&self.name).await {
            Ok(stream) => Ok(stream.cached_info().state.messages as usize),
            Err(_) => Ok(0),
        }
    }

    async fn received(&self) -> Result<Vec<(MessageId, Epoch)>, Failure> {
        let stream = self.context.get_stream(&self.name).await?;
        let count = stream.cached_info().state.messages as usize;
        let config = OrderedConfig::default();
        let consumer = stream.create_consumer(config).await?;
        let mut messages = consumer.messages().await?.take(count);
        let mut received = Vec::new();
        while let Some(message) = messages.try_next().await? {
            let arrival = Arrival::of(&message);
            let delivery = arrival.delivery();
            let id = delivery
                .broker_id()
                .ok_or("the publisher gives each an id")?;
            let epoch = delivery.epoch()?.ok_or("the relay writes its epoch")?;
            received.push((id.parse()?, epoch));
        }
        Ok(received)
    }

    async fn remove(&self) -> Result<(), Failure> {
        self.context.delete_stream(&self.name).await?;
        Ok(())
    }
}

/// An exchange of RabbitMQ and a quorum queue bound to it, both with the name of
/// the example's directory.
pub(crate) struct InQueue {
    server: axiomatic_amqp::Server,
    connection: Connection,
    name: String,
}

impl InQueue {
    pub(crate) async fn open(url: &str, name: &str) -> Result<Self, Failure> {
        Ok(InQueue {
            server: axiomatic_amqp::Server::new(url)?.named("shop"),
            connection: Connection::connect(url, ConnectionProperties::default()).await?,
            name: name.to_owned(),
        })
    }

    fn requirements(&self) -> amqp::Requirements {
        let all_topics = Route::new(self.name.as_str(), "#");
        amqp::Requirements::new()
            .exchange(self.name.as_str(), ExchangeKind::Topic)
            .queue(Queue::quorum(self.name.as_str()).bound(all_topics))
    }

    /// How many messages the queue holds, if it is there, and a channel to read
    /// them by: a channel on which something is asked for in vain is closed.
    async fn look(&self) -> Result<(Channel, u32), lapin::Error> {
        let channel = self.connection.create_channel().await?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let name = self.name.as_str().into();
        let queue = channel.queue_declare(name, passive, FieldTable::default());
        let count = queue.await?.message_count();
        Ok((channel, count))
    }
}

impl Broker for InQueue {
    type Publisher = RabbitMq;

    async fn publisher(&self) -> Result<RabbitMq, Failure> {
        let config = amqp::Config::new().routes(Routes::exchange(self.name.as_str()));
        let publisher = RabbitMq::new(self.server.clone(), config)?;
        publisher.ensure(&self.requirements()).await?;
        let _what_to_know_of_the_queue = publisher.check(&self.requirements()).await?;
        Ok(publisher)
    }

    async fn count(&self) -> Result<usize, Failure> {
        // The relay makes the queue.
        match self.look().await {
            Ok((_, count)) => Ok(count as usize),
            Err(_) => Ok(0),
        }
    }

    async fn received(&self) -> Result<Vec<(MessageId, Epoch)>, Failure> {
        let (channel, _) = self.look().await?;
        let taken = BasicGetOptions { no_ack: true };
        let mut received = Vec::new();
        while let Some(message) = channel.basic_get(self.name.as_str().into(), taken).await? {
            let properties = &message.properties;
            let id = properties.message_id().as_ref();
            let id = id.ok_or("the publisher gives each an id")?;
            let headers = properties.headers().as_ref();
            let epoch = headers.and_then(|headers| headers.inner().get(Envelope::EPOCH));
            let Some(AMQPValue::LongString(epoch)) = epoch else {
                return Err("the relay writes its epoch".into());
            };
            let epoch = std::str::from_utf8(epoch.as_bytes())?;
            received.push((id.as_str().parse()?, Epoch(epoch.parse()?)));
        }
        Ok(received)
    }

    async fn remove(&self) -> Result<(), Failure> {
        let publisher = RabbitMq::new(self.server.clone(), amqp::Config::new())?;
        publisher.remove(&self.requirements()).await?;
        Ok(())
    }
}
