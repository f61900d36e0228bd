//! A consumer before an inbox: what comes twice has its effect once.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axiomatic_coordination::inbox::{Admission, Config as Inboxing, IdRule, Inbox};
use axiomatic_coordination::outbox::Publisher;
use axiomatic_coordination::outbox::Verdict;
use axiomatic_coordination::{Memory, MemoryTransaction, StoreError};
use axiomatic_nats::inbox::{Answer, Arrival, Config, Consumer};
use axiomatic_testbed::nats::Nats;

use crate::support::{
    FOR_EVER, Shared, client, count, envelope, make_stream, publish, publisher, pull, reconnected,
    until,
};

const NAME: &str = "bank";

fn inbox() -> Inbox {
    let config = Inboxing::new(IdRule::BrokerId, FOR_EVER);
    config.build().expect("it can work")
}

fn book(tx: &mut MemoryTransaction<'_>) -> Result<(), StoreError> {
    let booked = tx.read("booked").map_or(0, |booked| booked.len());
    tx.put("booked", vec![0; booked + 1]);
    Ok(())
}

fn booked(database: &Memory) -> usize {
    database.read("booked").map_or(0, |booked| booked.len())
}

/// All the steps, in their order.
fn handle(database: &Memory, inbox: &Inbox, arrival: &Arrival) -> Answer {
    let delivery = arrival.delivery();
    let admission = database.transact(|tx| inbox.begin(tx, NAME, delivery));
    let admission: Admission = admission.expect("in memory");
    if let Some(answer) = Answer::instead_of_handling(admission) {
        return answer;
    }
    let outcome = database.transact(|tx| inbox.once(tx, NAME, delivery, book));
    outcome.expect("in memory").into()
}

#[tokio::test]
async fn a_message_that_the_stream_has_twice_has_its_effect_once() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let window = Duration::from_millis(200);
    let stream = shared
        .stream(|stream| stream.duplicate_window = window)
        .await;
    let publisher = shared.publisher();
    let message = [envelope("a", 1)];
    assert_eq!(publisher.publish(&message).await, [Verdict::Acked]);
    until("the window is over", async || {
        publisher.publish(&message).await == [Verdict::Acked]
    })
    .await;
    assert_eq!(count(&stream).await, 2, "the stream has forgotten the id");
    let (database, inbox) = (Memory::new(), inbox());
    let pull = pull(&stream, FOR_EVER).await;
    let consumer = Consumer::new(shared.context.clone(), pull, Config::new());
    let consumer = consumer.expect("it can work");
    let seen = consumer.handle();
    let run = consumer.run(
        async |arrival| Ok::<_, Infallible>(handle(&database, &inbox, &arrival)),
        until("both came", async || seen.snapshot().acknowledged == 2),
    );
    run.await.expect("it runs");
    assert_eq!(booked(&database), 1);
}

#[tokio::test]
async fn a_consumer_that_dies_between_its_commit_and_the_acknowledgement_repeats_nothing() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 3).await;
    let (database, inbox) = (Memory::new(), inbox());
    let pull = pull(&stream, Duration::from_millis(300)).await;
    let consumer = || Consumer::new(shared.context.clone(), pull.clone(), Config::new());
    // It commits, and is gone before it could say so.
    let committed = AtomicUsize::new(0);
    let dies = consumer().expect("it can work").run(
        async |arrival| {
            let _ = handle(&database, &inbox, &arrival);
            committed.fetch_add(1, Ordering::Relaxed);
            pending::<Result<Answer, Infallible>>().await
        },
        pending::<()>(),
    );
    tokio::select! {
        ran = dies => panic!("{ran:?}"),
        () = until("all committed", async || committed.load(Ordering::Relaxed) == 3) => {}
    }
    assert_eq!(booked(&database), 3);
    let next = consumer().expect("it can work");
    let seen = next.handle();
    let run = next.run(
        async |arrival| Ok::<_, Infallible>(handle(&database, &inbox, &arrival)),
        until("they came again", async || {
            seen.snapshot().acknowledged == 3
        }),
    );
    let ran = run.await.expect("it runs");
    assert_eq!(ran.redelivered, ran.received, "{ran}");
    assert_eq!(booked(&database), 3);
}

#[tokio::test]
async fn an_acknowledgement_that_the_server_forgot_is_harmless() {
    let Some(mut server) = Nats::start() else {
        return;
    };
    let client = client(&server).await;
    let context = async_nats::jetstream::new(client.clone());
    let stream = make_stream(&context, "S", |_| {}).await;
    publish(&publisher(&context, "S"), "a", 20).await;
    let (database, inbox) = (Memory::new(), inbox());
    let pull = pull(&stream, Duration::from_millis(500)).await;
    let consumer = Consumer::new(context, pull.clone(), Config::new().in_hand(4));
    let consumer = consumer.expect("it can work");
    let seen = consumer.handle();
    let run = consumer.run(
        async |arrival| Ok::<_, Infallible>(handle(&database, &inbox, &arrival)),
        async {
            until("some came", async || seen.snapshot().acknowledged >= 4).await;
            let before = client.server_info().server_id;
            server.kill();
            server.run();
            reconnected(&client, &before).await;
            until("the server heard of all", async || {
                let info = pull.get_info().await;
                info.is_ok_and(|info| info.ack_floor.stream_sequence == 20)
            })
            .await;
        },
    );
    run.await.expect("it runs");
    assert_eq!(booked(&database), 20);
}

#[tokio::test]
async fn a_message_that_ends_its_consumers_goes_to_quarantine_and_is_acknowledged() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    publish(&shared.publisher(), "a", 1).await;
    let (database, inbox) = (Memory::new(), inbox());
    let pull = pull(&stream, Duration::from_millis(150)).await;
    let begun = AtomicUsize::new(0);
    loop {
        let consumer = Consumer::new(shared.context.clone(), pull.clone(), Config::new());
        let consumer = consumer.expect("it can work");
        let seen = consumer.handle();
        let before = begun.load(Ordering::Relaxed);
        let run = consumer.run(
            async |arrival: Arrival| {
                let delivery = arrival.delivery();
                let admission = database.transact(|tx| inbox.begin(tx, NAME, delivery));
                if let Some(answer) = Answer::instead_of_handling(admission.expect("in memory")) {
                    return Ok::<_, Infallible>(answer);
                }
                begun.fetch_add(1, Ordering::Relaxed);
                pending().await
            },
            until("it is acknowledged", async || {
                seen.snapshot().acknowledged == 1
            }),
        );
        tokio::select! {
            ran = run => {
                ran.expect("it runs");
                break;
            }
            // The process dies.
            () = until("it began", async || begun.load(Ordering::Relaxed) > before) => {}
        }
    }
    assert_eq!(begun.into_inner(), 4, "the first, and three more");
    let quarantined = database.transact(|tx| inbox.peek(tx, 10));
    assert_eq!(quarantined.expect("in memory").len(), 1);
}
