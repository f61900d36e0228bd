//! A consumer before an inbox: what comes twice has its effect once.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};

use axiomatic_amqp::inbox::{Answer, Arrival, Config, DeliveryLimit, Queue};
use axiomatic_coordination::inbox::{Admission, Config as Inboxing, IdRule, Inbox};
use axiomatic_coordination::{Memory, MemoryTransaction, StoreError};

use crate::broker::{Broker, FOR_EVER, Proxy, until};
use crate::losing::eager;

const NAME: &str = "bank";

pub(crate) fn inbox() -> Inbox {
    let config = Inboxing::new(IdRule::BrokerId, FOR_EVER);
    config.build().expect("it can work")
}

fn book(tx: &mut MemoryTransaction<'_>) -> Result<(), StoreError> {
    let booked = tx.read("booked").map_or(0, |booked| booked.len());
    tx.put("booked", vec![0; booked + 1]);
    Ok(())
}

pub(crate) fn booked(database: &Memory) -> usize {
    database.read("booked").map_or(0, |booked| booked.len())
}

/// All the steps, in their order.
pub(crate) fn handle(database: &Memory, inbox: &Inbox, arrival: &Arrival) -> Answer {
    let delivery = arrival.delivery();
    let admission = database.transact(|tx| inbox.begin(tx, NAME, delivery));
    let admission: Admission = admission.expect("in memory");
    if let Some(answer) = Answer::instead_of_handling(admission) {
        return answer;
    }
    let outcome = database.transact(|tx| inbox.once(tx, NAME, delivery, book));
    outcome.expect("in memory").into()
}

/// A quorum queue and a classic one.
pub(crate) async fn queues(broker: &Broker) -> [Queue; 2] {
    let (quorum, classic) = (broker.quorum(&[]).await, broker.declare(&[]).await);
    [
        Queue::quorum(&quorum, DeliveryLimit::Unlimited),
        Queue::classic(&classic),
    ]
}

#[tokio::test]
async fn a_message_that_the_queue_has_twice_has_its_effect_once() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    for queue in queues(&broker).await {
        broker.publish(queue.name(), ["a", "a", "b"]).await;
        let (database, inbox) = (Memory::new(), inbox());
        let consumer = broker.consumer(queue, Config::new());
        let seen = consumer.handle();
        let run = consumer.run(
            async |arrival| Ok::<_, Infallible>(handle(&database, &inbox, &arrival)),
            until("all came", async || seen.snapshot().acknowledged == 3),
        );
        run.await.expect("it runs");
        assert_eq!(booked(&database), 2);
    }
}

#[tokio::test]
async fn a_consumer_that_dies_between_its_commit_and_the_acknowledgement_repeats_nothing() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    for queue in queues(&broker).await {
        let name = queue.name().to_owned();
        broker.publish_numbers(&name, 3).await;
        let (database, inbox) = (Memory::new(), inbox());
        // It commits, and is gone before it could say so.
        let committed = AtomicUsize::new(0);
        let dies = broker.consumer(queue.clone(), Config::new()).run(
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
        let next = broker.consumer(queue, Config::new());
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
        assert_eq!(broker.ready(&name).await, Some(0));
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_between_a_commit_and_the_acknowledgement_repeats_nothing() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    for queue in queues(&broker).await {
        let proxy = Proxy::before(&broker).await;
        let name = queue.name().to_owned();
        broker.publish_numbers(&name, 20).await;
        let (database, inbox) = (Memory::new(), inbox());
        let consumer = proxy.consumer(queue, eager().in_hand(8));
        let seen = consumer.handle();
        let committed = AtomicUsize::new(0);
        let run = consumer.run(
            async |arrival| {
                let answer = handle(&database, &inbox, &arrival);
                // Twice the connection is gone before it is told.
                if matches!(committed.fetch_add(1, Ordering::Relaxed), 7 | 15) {
                    proxy.cut();
                    pending::<()>().await;
                }
                Ok::<_, Infallible>(answer)
            },
            until("the server heard of all", async || {
                booked(&database) == 20
                    && seen.snapshot().in_hand == 0
                    && broker.ready(&name).await == Some(0)
            }),
        );
        let ran = run.await.expect("it runs");
        assert!(ran.opened >= 3 && ran.redelivered >= 2, "{ran}");
        assert_eq!(booked(&database), 20);
        assert_eq!(broker.ready(&name).await, Some(0));
    }
}

#[tokio::test]
async fn a_message_that_ends_its_consumers_goes_to_quarantine_and_is_acknowledged() {
    let Some(broker) = Broker::find().await else {
        return;
    };
    for queue in queues(&broker).await {
        let name = queue.name().to_owned();
        broker.publish(&name, ["a"]).await;
        let (database, inbox) = (Memory::new(), inbox());
        let begun = AtomicUsize::new(0);
        loop {
            let consumer = broker.consumer(queue.clone(), Config::new());
            let seen = consumer.handle();
            let before = begun.load(Ordering::Relaxed);
            let run = consumer.run(
                async |arrival: Arrival| {
                    let delivery = arrival.delivery();
                    let admission = database.transact(|tx| inbox.begin(tx, NAME, delivery));
                    let admission = admission.expect("in memory");
                    if let Some(answer) = Answer::instead_of_handling(admission) {
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
        assert_eq!(broker.ready(&name).await, Some(0));
    }
}
