//! A RabbitMQ with queues of a test's own, and a proxy before it that breaks
//! connections.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_amqp::Server;
use axiomatic_amqp::inbox::{Config, Consumer, Queue};
use axiomatic_amqp::lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use axiomatic_amqp::lapin::types::{AMQPValue, FieldTable};
use axiomatic_amqp::lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
};
use axiomatic_core::backoff::Backoff;
use axiomatic_testbed::skip;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

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

/// A RabbitMQ. The queues that a test makes in it are deleted when this is
/// dropped.
pub(crate) struct Broker {
    address: String,
    queues: Mutex<Vec<String>>,
}

impl Broker {
    /// The one that others use too, if it is there.
    pub(crate) async fn find() -> Option<Broker> {
        let address = std::env::var("AXIOMATIC_RABBITMQ_URL")
            .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
        if connect(&address).await.is_none() {
            skip("RabbitMQ");
            return None;
        }
        Some(Broker::at(address))
    }

    /// The one at this address.
    pub(crate) fn at(address: String) -> Broker {
        Broker {
            address,
            queues: Mutex::new(Vec::new()),
        }
    }

    /// A name that no other test has.
    pub(crate) fn name(&self) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("axiomatic-test-con-{}-{number}", std::process::id());
        self.queues.lock().unwrap().push(name.clone());
        name
    }

    /// A connection, once there is one to be had, and a channel.
    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let found = async {
            loop {
                if let Some(connection) = connect(&self.address).await {
                    return connection;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let connection = tokio::time::timeout(FOR_EVER, found).await;
        let connection = connection.expect("there is a server");
        let channel = connection.create_channel().await.expect("a channel");
        (connection, channel)
    }

    /// Makes a quorum queue with these arguments.
    pub(crate) async fn quorum(&self, arguments: &[(&str, AMQPValue)]) -> String {
        let quorum = [("x-queue-type", text("quorum"))];
        self.declare(&[&quorum, arguments].concat()).await
    }

    /// Makes a queue with these arguments: a classic one, if there are none.
    pub(crate) async fn declare(&self, arguments: &[(&str, AMQPValue)]) -> String {
        let name = self.name();
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let (_connection, channel) = self.channel().await;
        let durable = QueueDeclareOptions::durable();
        let made = channel.queue_declare(name.as_str().into(), durable, table);
        made.await.expect("a queue");
        name
    }

    pub(crate) async fn delete(&self, queue: &str) {
        let (_connection, channel) = self.channel().await;
        let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        deleted.await.expect("it was there");
    }

    /// How many messages of a queue nobody has; nothing if there is no queue.
    pub(crate) async fn ready(&self, queue: &str) -> Option<u32> {
        let (_connection, channel) = self.channel().await;
        let is_there = QueueDeclareOptions::default().passive();
        let found = channel.queue_declare(queue.into(), is_there, FieldTable::default());
        found.await.ok().map(|queue| queue.message_count())
    }

    /// Publishes messages whose bodies, and whose ids, are these.
    pub(crate) async fn publish(&self, queue: &str, bodies: impl IntoIterator<Item = &str>) {
        for body in bodies {
            let properties = BasicProperties::default().with_message_id(body.into());
            self.publish_with(queue, body, properties).await;
        }
    }

    /// Publishes so many messages, whose bodies are numbers.
    pub(crate) async fn publish_numbers(&self, queue: &str, count: usize) {
        let (_connection, channel) = self.channel().await;
        let confirm = channel.confirm_select(ConfirmSelectOptions::default());
        confirm.await.expect("confirms");
        for number in 0..count {
            let body = number.to_string();
            let properties = BasicProperties::default().with_message_id(body.as_str().into());
            publish(&channel, queue, &body, properties).await;
        }
    }

    pub(crate) async fn publish_with(&self, queue: &str, body: &str, properties: BasicProperties) {
        let (_connection, channel) = self.channel().await;
        let confirm = channel.confirm_select(ConfirmSelectOptions::default());
        confirm.await.expect("confirms");
        publish(&channel, queue, body, properties).await;
    }

    /// Takes a message from a queue.
    pub(crate) async fn take(&self, queue: &str) -> Option<String> {
        let (_connection, channel) = self.channel().await;
        let taken = channel.basic_get(queue.into(), BasicGetOptions { no_ack: true });
        let message = taken.await.expect("there is a queue")?;
        Some(String::from_utf8(message.delivery.data).expect("text"))
    }

    /// A consumer of a queue.
    pub(crate) fn consumer(&self, queue: Queue, config: Config) -> Consumer {
        Consumer::new(server(&self.address), queue, config).expect("it can work")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let address = self.address.clone();
        let queues = std::mem::take(self.queues.get_mut().expect("nobody panicked"));
        // A runtime of its own: that of the test may be ending.
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                // A private server may be gone already, and its queues with it.
                let Some(connection) = connect(&address).await else {
                    return;
                };
                let Ok(channel) = connection.create_channel().await else {
                    return;
                };
                for queue in queues {
                    let options = QueueDeleteOptions::default();
                    let _ = channel.queue_delete(queue.into(), options).await;
                }
            });
        });
        let _ = removing.join();
    }
}

/// A server to which a consumer comes back soon.
pub(crate) fn server(address: &str) -> Server {
    let (first, longest) = (Duration::from_millis(10), Duration::from_millis(200));
    let server = Server::new(address).expect("an address");
    server.backoff(Backoff::exponential(first, longest))
}

async fn connect(address: &str) -> Option<Connection> {
    let connecting = Connection::connect(address, ConnectionProperties::default());
    let connected = tokio::time::timeout(Duration::from_secs(20), connecting).await;
    connected.ok()?.ok()
}

async fn publish(channel: &Channel, queue: &str, body: &str, properties: BasicProperties) {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = properties.with_delivery_mode(2);
    let published = channel
        .basic_publish(
            "".into(),
            queue.into(),
            options,
            body.as_bytes(),
            properties,
        )
        .await
        .expect("sent");
    let confirmed = published.await.expect("confirmed");
    assert_eq!(confirmed, Confirmation::Ack(None));
}

pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// What stands between a consumer and its server, and breaks its connections.
pub(crate) struct Proxy {
    port: u16,
    cut: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn before(broker: &Broker) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let (cut, cuts) = watch::channel(0);
        let (_, behind) = broker.address.split_once('@').expect("a user");
        let (behind, _) = behind.split_once('/').expect("a virtual host");
        let behind = behind.to_owned();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut cuts, behind) = (cuts.clone(), behind.clone());
                cuts.borrow_and_update();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(&behind).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Proxy { port, cut }
    }

    /// Breaks all connections that there are.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// A consumer behind it.
    pub(crate) fn consumer(&self, queue: Queue, config: Config) -> Consumer {
        let address = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port);
        Consumer::new(server(&address), queue, config).expect("it can work")
    }
}
