//! Several relays: how they share the buckets, and what one does that has lost
//! its lease without noticing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::outbox::history::{Consumer, Event, History, check};
use axiomatic_coordination::outbox::{
    Config, Envelope, MemoryOutbox, Message, Operate, Publisher, Relay, RelayHandle, Verdict,
    publish_with,
};
use axiomatic_coordination::{Memory, MessageId};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::until;
use super::watched::{Watched, When};

const LEASE: Duration = Duration::from_secs(3);

fn enqueue(memory: &Memory, numbers: std::ops::Range<u128>) {
    for n in numbers {
        let done = memory.transact(|tx| {
            let message = Message::new("t", n.to_string()).with_id(MessageId::from_u128(n));
            tx.enqueue(message.keyed(format!("{}", n % 40)));
            Ok::<_, Infallible>(())
        });
        done.unwrap();
    }
}

fn recording(history: &Arc<Mutex<History>>) -> impl Publisher + use<> {
    let history = Arc::clone(history);
    publish_with(move |messages: &[Envelope]| {
        let mut history = history.lock().unwrap();
        for envelope in messages {
            let (id, epoch) = (envelope.id(), envelope.epoch());
            history.record(Event::Published { id, epoch });
        }
        vec![Verdict::Acked; messages.len()]
    })
}

fn committed(history: &mut History, numbers: std::ops::Range<u128>) {
    history.extend(numbers.map(|n| Event::Committed {
        id: MessageId::from_u128(n),
        key: Some((n % 40).to_string().into()),
        order: n as u64,
    }));
}

async fn holders(outbox: &MemoryOutbox) -> HashMap<String, usize> {
    let mut holders = HashMap::new();
    for holding in outbox.leases().await.unwrap() {
        if let Some(owner) = holding.owner {
            let (called, _) = owner.as_str().split_once('/').unwrap();
            *holders.entry(called.to_owned()).or_default() += 1;
        }
    }
    holders
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_joins_gets_its_share_and_one_that_leaves_gives_it_back() {
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let history = Arc::new(Mutex::new(History::new()));
    let mut running = JoinSet::new();
    let mut stops = Vec::new();
    let mut enqueued = 0;
    for (count, name) in ["one", "two", "three"].into_iter().enumerate() {
        let (stop, mut stopped) = watch::channel(());
        let config = Config::new().named(name).lease(LEASE);
        let relay = Relay::new(outbox.clone(), recording(&history), config).unwrap();
        running.spawn(relay.run(async move { drop(stopped.changed().await) }));
        stops.push(stop);
        // Binomial with n = 64 and p = 1/3: six is four deviations below. They
        // pass from one to the other in pieces.
        until(async || {
            let holders = holders(&outbox).await;
            let held = holders.values().sum::<usize>();
            holders.len() == count + 1 && held == 64 && holders.values().all(|held| *held >= 6)
        })
        .await;
        enqueue(&memory, enqueued..enqueued + 200);
        enqueued += 200;
        until(async || outbox.backlog().await.unwrap().messages == 0).await;
    }
    for stop in stops {
        drop(stop);
        running.join_next().await.unwrap().unwrap().unwrap();
        enqueue(&memory, enqueued..enqueued + 200);
        enqueued += 200;
        if !running.is_empty() {
            until(async || outbox.backlog().await.unwrap().messages == 0).await;
        }
    }
    assert_eq!(
        outbox.backlog().await.unwrap().messages,
        200,
        "there is none left to publish"
    );
    assert!(holders(&outbox).await.is_empty(), "all was given back");
    let mut history = history.lock().unwrap();
    committed(&mut history, 0..enqueued - 200);
    assert_eq!(
        check(&history, Consumer::None),
        [],
        "no lease was lost, so nothing twice"
    );
}

/// A relay whose settlements hang while its renewals do, as those of a process
/// that is stopped: the lease passes to another, and then it goes on.
#[tokio::test(start_paused = true)]
async fn a_late_write_is_refused_and_counted() {
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let history = Arc::new(Mutex::new(History::new()));
    enqueue(&memory, 0..100);
    let go_on = Arc::new(Notify::new());
    let published = Arc::new(Notify::new());
    let hook = {
        let (go_on, published) = (Arc::clone(&go_on), Arc::clone(&published));
        move |what, when| {
            let (go_on, published) = (Arc::clone(&go_on), Arc::clone(&published));
            async move {
                if (what, when) == ("settle", When::Before) {
                    published.notify_one();
                    go_on.notified().await;
                }
                if what == "renew" {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        }
    };
    let config = Config::new().named("zombie").lease(LEASE);
    let store = Watched::new(outbox.clone(), hook);
    let zombie = Relay::new(store, recording(&history), config).unwrap();
    let handle: RelayHandle = zombie.handle();
    let stopping = tokio::spawn(zombie.run(std::future::pending()));
    published.notified().await;
    history.lock().unwrap().record(Event::LeaseLost);

    let config = Config::new().named("heir").lease(LEASE);
    let heir = Relay::new(outbox.clone(), recording(&history), config).unwrap();
    let drained = async { until(async || outbox.backlog().await.unwrap().messages == 0).await };
    let heired = heir.run(drained).await.unwrap();
    assert_eq!(
        heired.published, 100,
        "also those that the zombie had published"
    );

    // It knows by itself that its time is over.
    until(async || handle.snapshot().leases_lost == 64).await;
    let before = handle.snapshot();
    assert_eq!(before.fenced, 0);
    go_on.notify_one();
    until(async || handle.snapshot().fenced > 0).await;
    let after = handle.snapshot();
    assert_eq!(after.fenced, 40, "the first wave, one message of each key");
    stopping.abort();

    let mut history = history.lock().unwrap();
    committed(&mut history, 0..100);
    assert_eq!(check(&history, Consumer::None), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_under_a_lease_that_is_lost_is_not_published() {
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    enqueue(&memory, 0..10);
    let (hung, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hook = {
        let (hung, go_on) = (Arc::clone(&hung), Arc::clone(&go_on));
        let first = Arc::new(Mutex::new(true));
        move |what, when| {
            let (hung, go_on) = (Arc::clone(&hung), Arc::clone(&go_on));
            let hangs = (what, when) == ("fetch", When::After)
                && std::mem::replace(&mut *first.lock().unwrap(), false);
            let stuck = what == "renew" || (what == "claim" && !*first.lock().unwrap());
            async move {
                if hangs {
                    hung.notify_one();
                    go_on.notified().await;
                }
                if stuck {
                    return Err(axiomatic_coordination::StoreError::new(
                        axiomatic_coordination::Why::Unavailable,
                    ));
                }
                Ok(())
            }
        }
    };
    let history = Arc::new(Mutex::new(History::new()));
    let config = Config::new().lease(LEASE);
    let store = Watched::new(outbox.clone(), hook);
    let slow = Relay::new(store, recording(&history), config).unwrap();
    let handle = slow.handle();
    let running = tokio::spawn(slow.run(std::future::pending()));
    hung.notified().await;
    until(async || handle.snapshot().leases_lost == 64).await;
    go_on.notify_one();
    until(async || handle.snapshot().fetches > 0).await;
    assert_eq!(handle.snapshot().published, 0);
    assert_eq!(history.lock().unwrap().events(), []);
    running.abort();
}

/// A relay whose renewals hang after the first trusts its leases until they
/// expire by the store's clock, and no longer.
#[tokio::test(start_paused = true)]
async fn a_lease_is_trusted_for_as_long_as_it_was_asked_for() {
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let renewals = Arc::new(Mutex::new(0));
    let hook = {
        let renewals = Arc::clone(&renewals);
        move |what, when| {
            let hangs = what == "renew" && {
                let mut renewals = renewals.lock().unwrap();
                *renewals += u32::from(when == When::Before);
                *renewals > 1
            };
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        }
    };
    let history = Arc::new(Mutex::new(History::new()));
    let config = Config::new().lease(LEASE);
    let store = Watched::new(outbox, hook);
    let relay = Relay::new(store, recording(&history), config).unwrap();
    let handle = relay.handle();
    let running = tokio::spawn(relay.run(std::future::pending()));
    until(async || *renewals.lock().unwrap() == 2).await;
    let before = tokio::time::Instant::now();
    until(async || handle.snapshot().leases_lost == 64).await;
    assert!(
        before.elapsed() <= LEASE,
        "renewed once more, and not again"
    );
    running.abort();
}
