//! A relay from a database to RabbitMQ, end to end, with its server killed in
//! between.

use std::collections::HashSet;
use std::convert::Infallible;

use axiomatic_amqp::lapin::message::Delivery;
use axiomatic_amqp::lapin::types::AMQPValue;
use axiomatic_coordination::Memory;
use axiomatic_coordination::outbox::Epoch;
use axiomatic_coordination::outbox::history::{Consumer, Event, History, Violation, check};
use axiomatic_coordination::outbox::{Config, Envelope, MemoryOutbox, Message, Operate, Relay};
use axiomatic_testbed::rabbitmq::RabbitMq as Private;

use crate::support::{Shared, id, until};

const KEYS: u64 = 7;

fn enqueue(memory: &Memory, history: &mut History, numbers: std::ops::Range<u64>) {
    let done = memory.transact(|tx| {
        for n in numbers {
            let key = format!("key {}", n % KEYS);
            let message = Message::new("orders", format!("{n}"))
                .keyed(&*key)
                .ordered();
            history.record(Event::Committed {
                id: message.id(),
                key: Some(key.into()),
                order: n + 1,
            });
            tx.enqueue(message);
        }
        Ok::<_, Infallible>(())
    });
    done.expect("it commits");
}

fn epoch(delivery: &Delivery) -> Epoch {
    let headers = delivery.properties.headers().as_ref().expect("it has some");
    let Some(AMQPValue::LongString(epoch)) = headers.inner().get(Envelope::EPOCH) else {
        panic!("no epoch");
    };
    Epoch(epoch.to_string().parse().expect("a number"))
}

#[tokio::test]
async fn what_commits_is_in_the_queue_and_in_order_though_the_server_is_killed() {
    let Some(mut server) = Private::start() else {
        return;
    };
    let names = Shared::at(&server.address()).await.expect("it is there");
    let publisher = names.ready().await;
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let mut history = History::new();
    enqueue(&memory, &mut history, 0..700);
    let config = Config::new().wave(7).max_in_flight(7);
    let config = config.publish_timeout(publisher.publish_timeout());
    let relay = Relay::new(outbox.clone(), publisher.clone(), config).expect("it works");
    let left = async || outbox.backlog().await.expect("in memory").messages;
    let ran = relay.run(async {
        for (half_way, numbers) in [(600, 700..1_000), (450, 1_000..1_400)] {
            until("half of it is there", async || left().await <= half_way).await;
            server.kill();
            enqueue(&memory, &mut history, numbers);
            server.run();
        }
        until("nothing waits", async || left().await == 0).await;
    });
    let ran = ran.await.expect("it runs");
    assert_eq!(ran.published, 1_400, "{ran}");
    assert_eq!(publisher.snapshot().opened, 3);

    let reading = Shared::at(&server.address()).await.expect("it is there");
    let are_all = |taken: &[Delivery]| {
        let different: HashSet<_> = taken.iter().map(id).collect();
        different.len() == 1_400
    };
    let taken = crate::support::take(&reading.channel, names.name(), are_all).await;
    for delivery in &taken {
        let (id, epoch) = (id(delivery), epoch(delivery));
        history.record(Event::Published { id, epoch });
    }
    // A message whose confirm was lost is there twice: RabbitMQ knows none
    // again. Of those there are no more than a wave for each time.
    let twice = |violation: &Violation| matches!(violation, Violation::Duplicated { .. });
    let (twice, others): (Vec<_>, Vec<_>) =
        check(&history, Consumer::None).into_iter().partition(twice);
    assert_eq!(others, []);
    assert!(twice.len() <= 2 * 7, "{twice:?}");
}
