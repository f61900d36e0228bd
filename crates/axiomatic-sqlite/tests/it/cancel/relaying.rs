//! A relay that is dropped, and another that comes after it.

use std::sync::Mutex;
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::history::{Consumer, Event, History, check};
use axiomatic_coordination::outbox::{Config, Envelope, Operate, Publisher, Relay, Verdict};
use axiomatic_core::backoff::Backoff;
use axiomatic_sqlite::outbox::{Keep, Options};

use super::{BOTH, is_whole, polled};
use crate::scene::{HOUR, Scene, message};

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
async fn relay(scene: &Scene, history: &Mutex<History>) {
    let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(2));
    let config = Config::new().rows(2).wave(2).poll(soon);
    let relay = Relay::new(scene.outbox.clone(), Broker(history), config).unwrap();
    let drained = async {
        while scene.outbox.backlog().await.unwrap().messages > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    relay.run(drained).await.unwrap();
}

#[tokio::test]
async fn what_a_relay_leaves_that_is_dropped_is_published_by_the_next() {
    for dropped in BOTH {
        let mut polls = 0;
        loop {
            let scene = Scene::new(Options::new().keep(Keep::Archive(HOUR)));
            let history = Mutex::new(History::new());
            let messages: Vec<_> = (0..6u64)
                .map(|order| {
                    let key = if order % 2 == 0 { "a" } else { "b" };
                    let id = MessageId::unique();
                    let mut history = history.lock().unwrap();
                    history.record(Event::Committed {
                        id,
                        key: Some(key.into()),
                        order,
                    });
                    message(key, "body").with_id(id)
                })
                .collect();
            scene.enqueue(messages).await;
            let completed = polled(relay(&scene, &history), polls, dropped).await;
            is_whole(&scene).await;
            if completed.is_none() {
                // It is as if its process had ended.
                history.lock().unwrap().record(Event::Crash);
                scene.expire_leases();
                scene
                    .place
                    .look()
                    .execute("UPDATE outbox_relay SET until = 1", ())
                    .unwrap();
                relay(&scene, &history).await;
                is_whole(&scene).await;
            }
            let history = history.into_inner().unwrap();
            let violations = check(&history, Consumer::None);
            assert_eq!(violations, [], "{dropped:?} after {polls} polls");
            assert_eq!(scene.number("SELECT count(*) FROM outbox_archive"), 6);
            if completed.is_some() {
                break;
            }
            polls += 1;
        }
        println!("{dropped:?}: {polls} polls");
        assert!(polls > 10, "it has more awaits than that");
    }
}
