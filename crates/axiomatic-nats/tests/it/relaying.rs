//! A relay from a database to JetStream, end to end, with its server killed in
//! between.

use std::convert::Infallible;

use axiomatic_coordination::outbox::Epoch;
use axiomatic_coordination::outbox::history::{Consumer, Event, History, check};
use axiomatic_coordination::outbox::{Config, Envelope, MemoryOutbox, Message, Operate, Relay};
use axiomatic_coordination::{Memory, MessageId};
use axiomatic_testbed::nats::Nats;

use crate::support::{client, contents, count, make_stream, publisher, until};

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

#[tokio::test]
async fn what_commits_is_in_the_stream_once_and_in_order_though_the_server_is_killed() {
    let Some(mut server) = Nats::start() else {
        return;
    };
    let client = client(&server).await;
    let context = async_nats::jetstream::new(client);
    let stream = make_stream(&context, "S", |_| {}).await;
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let mut history = History::new();
    enqueue(&memory, &mut history, 0..700);
    let rolled_back = Message::new("orders", "phantom");
    history.record(Event::RolledBack {
        id: rolled_back.id(),
    });
    let undone = memory.transact(|tx| {
        tx.enqueue(rolled_back.clone());
        Err::<(), _>("no")
    });
    assert!(undone.is_err());

    let config = Config::new().wave(7).max_in_flight(7);
    let relay = Relay::new(outbox.clone(), publisher(&context, "S"), config).expect("it works");
    let ran = relay.run(async {
        for (half_way, numbers) in [(100, 700..1_000), (800, 1_000..1_400)] {
            until("half of it is there", async || {
                count(&stream).await >= half_way
            })
            .await;
            server.kill();
            enqueue(&memory, &mut history, numbers);
            server.run();
        }
        until("nothing waits", async || {
            outbox.backlog().await.expect("in memory").messages == 0
        })
        .await;
    });
    let ran = ran.await.expect("it runs");
    assert_eq!(ran.published, 1_400, "{ran}");

    let contents = contents(&stream).await;
    assert_eq!(contents.len(), 1_400, "no message twice");
    for message in contents {
        let headers = message.headers.expect("it has headers");
        let id = headers.get(async_nats::header::NATS_MESSAGE_ID);
        let id: MessageId = id.expect("an id").as_str().parse().expect("ours");
        let epoch = headers.get(Envelope::EPOCH).expect("an epoch");
        let epoch = Epoch(epoch.as_str().parse().expect("a number"));
        history.record(Event::Published { id, epoch });
    }
    assert_eq!(check(&history, Consumer::None), []);
}
