//! Brokers that fail, messages that kill, stores that do not answer, and an
//! end that waits for what is in flight.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::outbox::{
    Cause, Class, Config, Envelope, HeadPolicy, MemoryOutbox, Message, Operate, Publisher, Relay,
    Scope, Verdict, in_process, publish_with,
};
use axiomatic_coordination::{Memory, StoreError, Why};
use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_core::hash::mix;
use tokio::sync::{Notify, oneshot};

use super::until;
use super::watched::{Watched, When};

fn with(messages: impl IntoIterator<Item = Message>) -> (Memory, MemoryOutbox) {
    let memory = Memory::new();
    let done = memory.transact(|tx| {
        for message in messages {
            tx.enqueue(message);
        }
        Ok::<_, Infallible>(())
    });
    done.unwrap();
    let outbox = MemoryOutbox::new(&memory);
    (memory, outbox)
}

async fn drained(outbox: &MemoryOutbox) {
    until(async || outbox.backlog().await.unwrap().messages == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_charged_to_no_message() {
    let (_, outbox) = with((0..50).map(|n| Message::new("t", "").keyed(format!("{n}"))));
    let waves = Arc::new(Mutex::new(0));
    let publisher = {
        let waves = Arc::clone(&waves);
        publish_with(move |messages: &[Envelope]| {
            let mut waves = waves.lock().unwrap();
            *waves += 1;
            assert!(
                messages
                    .iter()
                    .all(|envelope| envelope.stored().failures == 0)
            );
            let verdict = match *waves {
                ..100 => Verdict::rejected(Class::Transient, "down"),
                _ => Verdict::Acked,
            };
            vec![verdict; messages.len()]
        })
    };
    let config = Config::new()
        .max_failures(2)
        .head_policy(HeadPolicy::ParkMessage)
        .outage_backoff(Backoff::constant(Duration::from_millis(200)));
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let ran = relay.run(drained(&outbox)).await.unwrap();
    assert_eq!((ran.published, ran.buried), (50, 0));
    assert!(ran.outages >= 90, "{ran}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_confirmation_is_no_failure() {
    let (_, outbox) = with((0..2).map(|n| Message::new("t", "").keyed(format!("{n}"))));
    let (publisher, mut subscriber) = in_process(4);
    let lost = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(delivery) = subscriber.next().await {
            seen.push(delivery.envelope().id());
            // Dropped: handled, and nobody is told; from the seventh on, told.
            if seen.len() > 6 {
                delivery.ack();
            }
        }
        seen
    });
    let config = Config::new()
        .max_failures(1)
        .head_policy(HeadPolicy::ParkMessage);
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let ran = relay.run(drained(&outbox)).await.unwrap();
    assert_eq!((ran.published, ran.unknown, ran.buried), (2, 6, 0));
    let mut ids = lost.await.unwrap();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2, "a message's id never changes");
}

/// A publisher that kills whoever publishes a message that bites: the relay is
/// dropped, its lease expires, another relay comes.
#[tokio::test(start_paused = true)]
async fn a_message_that_ends_processes_is_found_out_and_no_other_is_charged_for_it() {
    let messages = (0..30).map(|n| Message::new("t", format!("{n}")).keyed(format!("{n}")));
    let (_, outbox) = with(messages);
    let mut deaths = 0;
    loop {
        let (died, death) = oneshot::channel::<()>();
        let died = Mutex::new(Some(died));
        let publisher = Biting(died);
        let config = Config::new()
            .lease(Duration::from_secs(3))
            .head_policy(HeadPolicy::ParkMessage);
        let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
        tokio::select! {
            ran = relay.run(drained(&outbox)) => {
                assert_eq!(ran.unwrap().poison, 1);
                break;
            }
            _ = death => deaths += 1,
        }
    }
    // Once unsuspected, and then as often as it takes to be sure.
    assert_eq!(deaths, 4);
    let dead = outbox.dead(10).await.unwrap();
    assert_eq!(dead.len(), 1, "it and no other");
    assert_eq!(
        (dead[0].stored.message.body(), dead[0].cause),
        (&"13".into(), Cause::Poison)
    );
}

struct Biting(Mutex<Option<oneshot::Sender<()>>>);

impl Publisher for Biting {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        if messages.iter().any(|envelope| envelope.body() == "13") {
            drop(self.0.lock().unwrap().take());
            std::future::pending::<()>().await;
        }
        vec![Verdict::Acked; messages.len()]
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_asked_again() {
    let (_, outbox) = with((0..20).map(|n| Message::new("t", "").keyed(format!("{}", n % 3))));
    let turn = Arc::new(Mutex::new(0));
    // Every other operation fails, before or after it is done.
    let store = Watched::new(outbox.clone(), move |_, _| {
        let mut turn = turn.lock().unwrap();
        *turn += 1;
        let fails = mix(*turn) % 3 == 0;
        async move {
            match fails {
                true => Err(StoreError::new(Why::Unavailable)),
                false => Ok(()),
            }
        }
    });
    let publisher = publish_with(|messages| vec![Verdict::Acked; messages.len()]);
    let relay = Relay::new(store, publisher, Config::new()).unwrap();
    let ran = relay.run(drained(&outbox)).await.unwrap();
    assert!(ran.store_errors > 3 && ran.published >= 20, "{ran}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_broken_ends_the_relay() {
    let (_, outbox) = with([]);
    let store = Watched::new(outbox, |what, when| async move {
        match (what, when) {
            ("fetch", When::Before) => Err(StoreError::new(Why::Corrupt)),
            _ => Ok(()),
        }
    });
    let publisher = publish_with(|messages| vec![Verdict::Acked; messages.len()]);
    let relay = Relay::new(store, publisher, Config::new()).unwrap();
    let ended = relay.run(std::future::pending()).await;
    assert_eq!(ended.unwrap_err().store_error().why(), Why::Corrupt);
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_what_is_in_flight_and_begins_nothing() {
    let (_, outbox) = with((0..10).map(|n| Message::new("t", "").keyed(format!("{}", n % 2))));
    let (publisher, mut subscriber) = in_process(10);
    let relay = Relay::new(outbox.clone(), publisher, Config::new()).unwrap();
    let handle = relay.handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async { drop(stopped.await) }));
    let first = subscriber.next().await.unwrap();
    let second = subscriber.next().await.unwrap();
    drop(stop);
    first.ack();
    tokio::task::yield_now().await;
    assert!(!running.is_finished(), "one is in flight");
    second.ack();
    let ran = running.await.unwrap().unwrap();
    assert_eq!((ran.published, handle.snapshot().in_flight), (2, 0));
    assert!(subscriber.next().await.is_none(), "nothing was begun");
    assert_eq!(outbox.backlog().await.unwrap().messages, 8);
    let leases = outbox.leases().await.unwrap();
    assert!(leases.iter().all(|lease| lease.owner.is_none()));
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_wait_for_ever_and_keeps_the_leases_of_what_is_in_flight() {
    let (_, outbox) = with([Message::new("t", "").keyed("a")]);
    let (publisher, mut subscriber) = in_process(10);
    let hour = Duration::from_secs(3600);
    let config = Config::new()
        .publish_timeout(hour)
        .lease(hour)
        .drain_within(hour / 2);
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async { drop(stopped.await) }));
    let _in_flight = subscriber.next().await.unwrap();
    drop(stop);
    running.await.unwrap().unwrap();
    let leases = outbox.leases().await.unwrap();
    let kept = leases.iter().filter(|lease| lease.owner.is_some());
    assert_eq!(
        kept.count(),
        1,
        "what is in flight is suspect to whoever takes it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_wakes_an_idle_relay() {
    let (memory, outbox) = with([]);
    let arrived = Arc::new(Notify::new());
    let publisher = {
        let arrived = Arc::clone(&arrived);
        publish_with(move |messages: &[Envelope]| {
            arrived.notify_one();
            vec![Verdict::Acked; messages.len()]
        })
    };
    // It looks by itself once an hour.
    let hour = Duration::from_secs(3600);
    let poll = Backoff::constant(hour).jitter(Jitter::Off);
    let config = Config::new().lease(hour * 24).poll(poll);
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let handle = relay.handle();
    let running = tokio::spawn(relay.run(std::future::pending()));
    until(async || handle.snapshot().fetches > 0).await;
    let before = tokio::time::Instant::now();
    for _ in 0..3 {
        let done = memory.transact(|tx| {
            tx.enqueue(Message::new("t", "").keyed("a"));
            Ok::<_, Infallible>(())
        });
        done.unwrap();
        arrived.notified().await;
    }
    assert!(before.elapsed() < hour, "nobody waited for the next look");
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_not_paced_by_looks() {
    let (_, outbox) = with((0..2000).map(|n| Message::new("t", "").keyed(format!("{}", n % 2))));
    let publisher = publish_with(|messages| vec![Verdict::Acked; messages.len()]);
    let hour = Duration::from_secs(3600);
    let poll = Backoff::constant(hour).jitter(Jitter::Off);
    let config = Config::new().lease(hour * 24).poll(poll).per_key(4);
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let before = tokio::time::Instant::now();
    relay.run(drained(&outbox)).await.unwrap();
    assert!(before.elapsed() < hour, "250 rounds in less than one look");
}

#[tokio::test(start_paused = true)]
async fn many_keys_that_are_not_ready_are_looked_at_once() {
    let (_, outbox) = with((0..100).map(|n| Message::new("t", "").keyed(format!("{n}"))));
    outbox.pause(&Scope::Topic("t".into())).await.unwrap();
    let publisher = publish_with(|messages| vec![Verdict::Acked; messages.len()]);
    let hour = Duration::from_secs(3600);
    let poll = Backoff::constant(hour).jitter(Jitter::Off);
    let config = Config::new().lease(hour * 24).poll(poll).keys_looked_at(10);
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let handle = relay.handle();
    let running = tokio::spawn(relay.run(std::future::pending()));
    until(async || handle.snapshot().fetches > 0).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    until(async || handle.snapshot().fetches >= 10).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let fetches = handle.snapshot().fetches;
    assert!(fetches <= 25, "once around, or twice: {fetches}");
    outbox.resume(&Scope::Topic("t".into())).await.unwrap();
    drained(&outbox).await;
    running.abort();
}
