//! What a server has acknowledged and not yet written to its disk.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axiomatic_coordination::Memory;
use axiomatic_coordination::outbox::{
    Config as Relaying, MemoryOutbox, Message, Operate, Publisher, Relay, Verdict,
};
use axiomatic_nats::outbox::{Config, Durability, JetStream, Subjects};
use axiomatic_testbed::nats::Nats;

use crate::support::{FOR_EVER, client, count, envelopes, make_stream, reconnected, until};

const ACKED: [Verdict; 3] = [const { Verdict::Acked }; 3];

async fn publisher(client: &async_nats::Client, durability: Durability) -> JetStream {
    let context = async_nats::jetstream::new(client.clone());
    let config = Config::new().subjects(Subjects::under("S"));
    JetStream::new(context, config.durability(durability)).expect("it can work")
}

#[tokio::test]
async fn a_message_counts_as_published_once_it_is_old_enough() {
    let Some(server) = Nats::start() else {
        return;
    };
    let client = client(&server).await;
    let age = Duration::from_millis(300);
    let publisher = publisher(&client, Durability::AckedAndAged(age)).await;
    make_stream(&async_nats::jetstream::new(client), "S", |_| {}).await;
    let messages = envelopes("a", 3);
    let begun = Instant::now();
    assert_eq!(publisher.publish(&messages).await, ACKED);
    assert!(begun.elapsed() >= age);
    // A duplicate is no older than its first.
    let begun = Instant::now();
    let again = publisher.publish(&messages).await;
    assert_eq!(again, [const { Verdict::Duplicate }; 3]);
    assert!(begun.elapsed() >= age);
}

#[tokio::test]
async fn what_is_refused_does_not_age() {
    let Some(server) = Nats::start() else {
        return;
    };
    let client = client(&server).await;
    let publisher = publisher(&client, Durability::AckedAndAged(2 * FOR_EVER)).await;
    let refused = tokio::time::timeout(FOR_EVER, publisher.publish(&envelopes("a", 3))).await;
    let refused = refused.expect("at once");
    assert!(
        matches!(refused[0], Verdict::Rejected { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_server_that_was_started_anew_confirms_nothing_from_before() {
    for is_back in [true, false] {
        let Some(mut server) = Nats::start() else {
            return;
        };
        let client = client(&server).await;
        let age = Duration::from_millis(1_500);
        let publisher = publisher(&client, Durability::AckedAndAged(age)).await;
        let context = async_nats::jetstream::new(client.clone());
        let stream = make_stream(&context, "S", |_| {}).await;
        let messages = envelopes("a", 3);
        let (verdicts, ()) = tokio::join!(publisher.publish(&messages), async {
            until("it has them", async || count(&stream).await == 3).await;
            let before = client.server_info().server_id;
            server.kill();
            if is_back {
                server.run();
                reconnected(&client, &before).await;
            }
        });
        assert_eq!(verdicts, [const { Verdict::Unknown }; 3]);
        if !is_back {
            let before = client.server_info().server_id;
            server.run();
            reconnected(&client, &before).await;
        }
        let again = publisher.publish(&messages).await;
        assert_eq!(again, [const { Verdict::Duplicate }; 3]);
        assert_eq!(count(&stream).await, 3, "there once, for it had kept them");
    }
}

/// A relay publishes; as soon as the stream has everything, the server loses
/// its power, and its disk has none of it. Returns how many messages are in the
/// stream in the end.
async fn after_a_loss_of_power(durability: Durability) -> Option<u64> {
    let mut server = Nats::start()?;
    let client = client(&server).await;
    let context = async_nats::jetstream::new(client.clone());
    let stream = make_stream(&context, "S", |_| {}).await;
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let enqueued = memory.transact(|tx| {
        for n in 0..20 {
            tx.enqueue(Message::new("a", format!("{n}")).keyed(format!("{n}")));
        }
        Ok::<_, Infallible>(())
    });
    enqueued.expect("it commits");
    let publisher = publisher(&client, durability).await;
    let config = Relaying::new().publish_timeout(publisher.publish_timeout());
    let relay = Relay::new(outbox.clone(), publisher, config).expect("it can work");
    let handle = relay.handle();
    let ran = relay.run(async {
        until("all are there", async || count(&stream).await == 20).await;
        if durability == Durability::Acked {
            until("all are settled", async || {
                outbox.backlog().await.expect("in memory").messages == 0
            })
            .await;
        }
        let before = client.server_info().server_id;
        server.lose_power();
        server.run();
        reconnected(&client, &before).await;
        make_stream(&context, "S", |_| {}).await;
        until("all are settled", async || {
            outbox.backlog().await.expect("in memory").messages == 0
        })
        .await;
    });
    ran.await.expect("it runs");
    let seen = handle.snapshot().unknown;
    assert_eq!(seen > 0, durability != Durability::Acked, "{seen} unknown");
    Some(count(&stream).await)
}

#[tokio::test]
async fn what_a_loss_of_power_took_is_published_again() {
    let age = Durability::AckedAndAged(Duration::from_secs(2));
    let Some(there) = after_a_loss_of_power(age).await else {
        return;
    };
    assert_eq!(there, 20);
}

/// The other test would say nothing if this one did not lose them.
#[tokio::test]
async fn without_an_age_what_a_loss_of_power_took_is_lost() {
    let Some(there) = after_a_loss_of_power(Durability::Acked).await else {
        return;
    };
    assert_eq!(there, 0);
}
