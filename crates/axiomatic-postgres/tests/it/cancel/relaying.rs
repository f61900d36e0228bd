//! A relay that is dropped, and another that comes after it.

use std::sync::Mutex;
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::history::{Consumer, Event, History, check};
use axiomatic_coordination::outbox::{
    Config, Envelope, Message, Operate, Publisher, Relay, Verdict,
};
use axiomatic_core::backoff::Backoff;

use super::stage::Stage;
use super::{BOTH, polled};

/// Takes what is published, and gives others a turn before it says so.
struct Broker<'a>(&'a Mutex<History>);

impl Publisher for Broker<'_> {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for envelope in messages {
            tokio::task::yield_now().await;
            self.0.lock().unwrap().record(Event::Published {
                id: envelope.id(),
                epoch: envelope.epoch(),
            });
            tokio::task::yield_now().await;
            verdicts.push(Verdict::Acked);
        }
        verdicts
    }
}

/// Runs a relay until everything is published.
async fn relay(stage: &Stage, history: &Mutex<History>) {
    let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(2));
    let config = Config::new().rows(2).wave(2).poll(soon);
    let relay = Relay::new(stage.outbox.clone(), Broker(history), config).unwrap();
    let drained = async {
        while stage.outbox.backlog().await.unwrap().messages > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    relay.run(drained).await.unwrap();
}

/// Commits six messages of two keys.
async fn commit(stage: &Stage, history: &Mutex<History>) {
    let messages: Vec<_> = (0..6u64)
        .map(|order| {
            let key = if order % 2 == 0 { "a" } else { "b" };
            let id = MessageId::unique();
            let key_of = Some(key.into());
            let committed = Event::Committed {
                id,
                key: key_of,
                order,
            };
            history.lock().unwrap().record(committed);
            Message::new("orders", "body").keyed(key).with_id(id)
        })
        .collect();
    let mut client = stage.handler.lock().await;
    let mut tx = client.transaction().await.unwrap();
    stage.outbox.enqueue(&mut tx, messages).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_a_relay_leaves_that_is_dropped_is_published_by_the_next() {
    let Some(stage) = Stage::find().await else {
        return;
    };
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    for dropped in BOTH {
        let mut polls = 0;
        loop {
            stage.clear().await;
            let history = Mutex::new(History::new());
            commit(&stage, &history).await;
            let completed = polled(relay(&stage, &history), polls, dropped).await;
            stage.is_whole().await;
            if completed.is_none() {
                // It is as if its process had ended.
                history.lock().unwrap().record(Event::Crash);
                stage.let_leases_expire().await;
                relay(&stage, &history).await;
                stage.is_whole().await;
            }
            let history = history.into_inner().unwrap();
            let violations = check(&history, Consumer::None);
            assert_eq!(violations, [], "{dropped:?} after {polls} polls");
            if completed.is_some() {
                break;
            }
            polls += if is_deep { 1 } else { 1 + polls / 4 };
        }
    }
}
