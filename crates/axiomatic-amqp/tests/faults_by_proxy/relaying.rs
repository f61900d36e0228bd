//! Connections to RabbitMQ that break in every way: what is committed is in the
//! queue in the end, and in order.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_amqp::Server;
use axiomatic_amqp::lapin::message::Delivery;
use axiomatic_amqp::lapin::options::BasicConsumeOptions;
use axiomatic_amqp::lapin::types::{AMQPValue, FieldTable};
use axiomatic_amqp::lapin::{Connection, ConnectionProperties, ExchangeKind};
use axiomatic_amqp::outbox::{Config as Publishing, Queue, RabbitMq, Requirements, Route, Routes};
use axiomatic_coordination::outbox::history::{Consumer, Event, History, Violation, check};
use axiomatic_coordination::outbox::{
    Config, Envelope, Epoch, MemoryOutbox, Message, Operate, Relay, RelayHandle,
};
use axiomatic_coordination::{Memory, MessageId};
use axiomatic_core::backoff::Backoff;
use axiomatic_testbed::matrix::{Subject, are_backed_off, cells, refuse, try_each};
use axiomatic_testbed::proxy::FaultProxy;
use axiomatic_testbed::rabbitmq::RabbitMq as Private;
use futures::StreamExt;

use crate::{HANDSHAKE, LONGEST, MESSAGE, PATIENCE, at_random, through};

const NAME: &str = "orders";
const KEYS: u64 = 7;

/// What is in a queue, as it comes.
type Queued = Arc<Mutex<Vec<(MessageId, Epoch)>>>;

/// A database in the process, a relay from it to a queue, and somebody who
/// reads that.
struct Relayed {
    memory: Memory,
    outbox: MemoryOutbox,
    committed: Vec<Event>,
    queued: Queued,
    relay: RelayHandle,
    _reading: Connection,
    _server: Private,
}

fn published(delivery: &Delivery) -> (MessageId, Epoch) {
    let properties = &delivery.properties;
    let id = properties.message_id().as_ref().expect("an id");
    let headers = properties.headers().as_ref().expect("it has some");
    let Some(AMQPValue::LongString(epoch)) = headers.inner().get(Envelope::EPOCH) else {
        panic!("no epoch");
    };
    let epoch = epoch.to_string().parse().expect("a number");
    (id.as_str().parse().expect("ours"), Epoch(epoch))
}

/// Reads a queue by a connection that no fault is for.
async fn read(address: &str) -> (Connection, Queued) {
    let connection = Connection::connect(address, ConnectionProperties::default()).await;
    let connection = connection.expect("it is there");
    let channel = connection.create_channel().await.expect("a channel");
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let consuming = channel.basic_consume(NAME.into(), "".into(), options, FieldTable::default());
    let mut consumer = consuming.await.expect("it is there");
    let queued = Queued::default();
    let read = Arc::clone(&queued);
    tokio::spawn(async move {
        // With its channel, which closes when nobody has it.
        let _channel = channel;
        while let Some(Ok(delivery)) = consumer.next().await {
            read.lock()
                .expect("nobody panics")
                .push(published(&delivery));
        }
    });
    (connection, queued)
}

impl Relayed {
    async fn start() -> Option<(FaultProxy, Relayed)> {
        let server = Private::start()?;
        let proxy = FaultProxy::to(server.port());
        let queue = Queue::quorum(NAME).bound(Route::new(NAME, "#"));
        let requirements = Requirements::new().exchange(NAME, ExchangeKind::Topic);
        let requirements = requirements.queue(queue.delivery_limit(10));
        // By one that has the time for it.
        let direct = Server::new(&server.address()).expect("a URI");
        let config = Publishing::new().timeout(PATIENCE * 100);
        let making = RabbitMq::new(direct.timeout(PATIENCE * 100), config).expect("it can work");
        let made = making.ensure(&requirements).await;
        made.expect("they are made");
        let config = Publishing::new().routes(Routes::exchange(NAME));
        let publisher = RabbitMq::new(through(&server, &proxy), config.timeout(PATIENCE));
        let publisher = publisher.expect("it can work");
        let (reading, queued) = read(&server.address()).await;
        let memory = Memory::new();
        let outbox = MemoryOutbox::new(&memory);
        let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(50));
        let config = Config::new()
            .publish_timeout(publisher.publish_timeout())
            .poison_after(u32::MAX)
            .backoff(soon)
            .outage_backoff(soon)
            .poll(soon);
        let relay = Relay::new(outbox.clone(), publisher, config).expect("it can work");
        let handle = relay.handle();
        tokio::spawn(async move {
            let ran = relay.run(std::future::pending()).await;
            ran.expect("it goes on");
        });
        let relayed = Relayed {
            memory,
            outbox,
            committed: Vec::new(),
            queued,
            relay: handle,
            _reading: reading,
            _server: server,
        };
        Some((proxy, relayed))
    }

    fn ends(&self) {
        let ran = self.relay.snapshot();
        println!("{ran}; {} outages", ran.outages);
        assert!(ran.outages + ran.unknown > 0, "it has not noticed");
    }
}

impl Subject for Relayed {
    async fn work(&mut self) {
        let waiting = self.outbox.backlog().await.expect("in memory").messages;
        if waiting > 100 {
            return;
        }
        let done = self.memory.transact(|tx| {
            for _ in 0..10 {
                let n = self.committed.len() as u64;
                let key = format!("key {}", n % KEYS);
                let message = Message::new("orders", n.to_string()).keyed(&*key).ordered();
                self.committed.push(Event::Committed {
                    id: message.id(),
                    key: Some(key.into()),
                    order: n + 1,
                });
                tx.enqueue(message);
            }
            Ok::<_, Infallible>(())
        });
        done.expect("it commits");
        let undone = self.memory.transact(|tx| {
            tx.enqueue(Message::new("orders", "phantom"));
            Err::<(), _>("no")
        });
        undone.expect_err("it is rolled back");
    }

    async fn is_done(&mut self) -> bool {
        let waiting = self.outbox.backlog().await.expect("in memory").messages;
        let queued = self.queued.lock().expect("nobody panics");
        let different: HashSet<_> = queued.iter().map(|(id, _)| *id).collect();
        waiting == 0 && different.len() >= self.committed.len()
    }

    async fn wrong(&mut self) -> Vec<String> {
        let mut history = History::new();
        for event in &self.committed {
            history.record(event.clone());
        }
        for (id, epoch) in self.queued.lock().expect("nobody panics").iter().copied() {
            history.record(Event::Published { id, epoch });
        }
        // RabbitMQ knows no message again whose confirmation was lost.
        let violations = check(&history, Consumer::None).into_iter();
        let violations = violations.filter(|found| !matches!(found, Violation::Duplicated { .. }));
        violations.map(|found| format!("{found:?}")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_behind_every_fault_has_each_message_in_the_queue_and_in_order() {
    let Some((proxy, mut relayed)) = Relayed::start().await else {
        return;
    };
    try_each(&proxy, &cells(&HANDSHAKE, &MESSAGE), &mut relayed).await;
    at_random(&proxy, &mut relayed).await;
    relayed.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_refused_comes_back_no_more_often_than_its_backoff_says() {
    let Some((proxy, mut relayed)) = Relayed::start().await else {
        return;
    };
    let lasting = Duration::from_secs(3);
    let between = refuse(&proxy, lasting, &mut relayed).await;
    // One connection, which waits for half of the longest wait at least once it
    // has reached that.
    let most = lasting.div_duration_f64(LONGEST / 2) + 8.0;
    let fewest = lasting.div_duration_f64(LONGEST) / 3.0;
    are_backed_off(&between, fewest, most);
    relayed.ends();
}
