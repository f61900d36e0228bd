//! A consumer with an inbox: what is delivered has its effect once.

use std::convert::Infallible;
use std::future::pending;

use axiomatic_amqp::inbox::{Answer, Arrival, Config, Consumer, Queue};
use axiomatic_amqp::lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use axiomatic_amqp::lapin::types::FieldTable;
use axiomatic_amqp::lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use axiomatic_coordination::inbox::{Admission, Config as Inboxing, IdRule, Inbox};
use axiomatic_coordination::{Memory, MemoryTransaction, StoreError};
use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_testbed::matrix::{Subject, cells, try_each};
use axiomatic_testbed::proxy::FaultProxy;
use axiomatic_testbed::rabbitmq::RabbitMq;

use crate::{FIRST, HANDSHAKE, LONGEST, MESSAGE, PATIENCE, at_random, through};

const NAME: &str = "orders";
const EFFECTS: &str = "effects of ";

/// All the steps, in their order. The effects of a message are counted.
fn handle(database: &Memory, inbox: &Inbox, arrival: &Arrival) -> Answer {
    let delivery = arrival.delivery();
    let admission = database.transact(|tx| inbox.begin(tx, "bank", delivery));
    let admission: Admission = admission.expect("in memory");
    if let Some(answer) = Answer::instead_of_handling(admission) {
        return answer;
    }
    let effects = format!("{EFFECTS}{}", delivery.broker_id().expect("an id"));
    let effect = |tx: &mut MemoryTransaction<'_>| -> Result<(), StoreError> {
        let before = tx.read(&effects).map_or(0, |effects| effects.len());
        tx.put(&*effects, vec![0; before + 1]);
        Ok(())
    };
    let outcome = database.transact(|tx| inbox.once(tx, "bank", delivery, effect));
    outcome.expect("in memory").into()
}

/// A queue, a consumer of it with an inbox in a database in the process, and
/// somebody who publishes by a connection that no fault is for.
struct Consumed {
    database: Memory,
    channel: Channel,
    published: usize,
    _connection: Connection,
    _server: RabbitMq,
}

impl Consumed {
    async fn start() -> Option<(FaultProxy, Consumed)> {
        let server = RabbitMq::start()?;
        let proxy = FaultProxy::to(server.port());
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&server.address(), properties).await;
        let connection = connection.expect("it is there");
        let channel = connection.create_channel().await.expect("a channel");
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        confirms.await.expect("it confirms");
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let made = channel.queue_declare(NAME.into(), durable, FieldTable::default());
        made.await.expect("it is new");
        let reopen = Backoff::exponential(FIRST, LONGEST).jitter(Jitter::Equal);
        let config = Config::new().reopen(reopen);
        let consumer = Consumer::new(through(&server, &proxy), Queue::classic(NAME), config);
        let consumer = consumer.expect("it can work");
        // It is no message's fault that connections break.
        let inbox = Inboxing::new(IdRule::BrokerId, PATIENCE * 100);
        let inbox = inbox.starts(u32::MAX.try_into().expect("not 0")).build();
        let inbox = inbox.expect("it can work");
        let database = Memory::new();
        let handling = database.clone();
        tokio::spawn(async move {
            let handle = |arrival: Arrival| {
                let answer = handle(&handling, &inbox, &arrival);
                async move { Ok::<Answer, Infallible>(answer) }
            };
            let ran = consumer.run(handle, pending()).await;
            ran.expect("it goes on");
        });
        let consumed = Consumed {
            database,
            channel,
            published: 0,
            _connection: connection,
            _server: server,
        };
        Some((proxy, consumed))
    }

    /// How many messages wait in the queue.
    async fn waiting(&self) -> u32 {
        let is_there = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self
            .channel
            .queue_declare(NAME.into(), is_there, FieldTable::default());
        queue.await.expect("it is there").message_count()
    }

    fn effects(&self) -> Vec<usize> {
        let effects = self.database.read_all(EFFECTS);
        effects.iter().map(|(_, effects)| effects.len()).collect()
    }
}

impl Subject for Consumed {
    async fn work(&mut self) {
        if self.waiting().await > 50 {
            return;
        }
        for _ in 0..5 {
            let id = self.published.to_string();
            let properties = BasicProperties::default()
                .with_message_id(id.as_str().into())
                .with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let published =
                self.channel
                    .basic_publish("".into(), NAME.into(), options, b"paid", properties);
            let confirmed = published.await.expect("it is sent").await;
            confirmed.expect("it is confirmed");
            self.published += 1;
        }
    }

    async fn is_done(&mut self) -> bool {
        self.effects().len() >= self.published && self.waiting().await == 0
    }

    async fn wrong(&mut self) -> Vec<String> {
        let (effects, published) = (self.effects(), self.published);
        let mut wrong = Vec::new();
        if effects.len() != published {
            let had = effects.len();
            wrong.push(format!("{had} of {published} messages had an effect"));
        }
        let others = effects.iter().filter(|effects| **effects != 1);
        wrong.extend(others.map(|effects| format!("one has {effects} effects")));
        wrong
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_its_effect_once_whatever_fault_its_consumer_is_behind() {
    let Some((proxy, mut consumed)) = Consumed::start().await else {
        return;
    };
    try_each(&proxy, &cells(&HANDSHAKE, &MESSAGE), &mut consumed).await;
    at_random(&proxy, &mut consumed).await;
}
