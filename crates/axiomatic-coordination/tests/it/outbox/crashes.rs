//! A database that crashes between any two steps, relays that are dropped at
//! any poll, and what their histories say.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axiomatic_coordination::outbox::history::{Consumer, Event, History, check};
use axiomatic_coordination::outbox::{
    Config, Envelope, MemoryOutbox, Message, Operate, Publisher, Relay, Verdict,
};
use axiomatic_coordination::{Memory, MessageId};

use super::watched::Watched;

/// Messages of two keys and of none, committed one by one with a value each,
/// so that what is in the database says what was committed.
const MESSAGES: u128 = 12;

fn place(memory: &Memory, n: u128) {
    let id = MessageId::from_u128(n);
    let message = Message::new("t", n.to_string()).with_id(id);
    let message = match n % 3 {
        0 => message,
        key => message.keyed(key.to_string()).ordered(),
    };
    // A crash hides whether it was done: the value tells later.
    let _ = memory.transact(|tx| {
        tx.put(id.to_string(), n.to_string());
        tx.enqueue(message);
        Ok::<_, Infallible>(())
    });
}

/// What the database holds was committed.
fn committed(memory: &Memory, history: &mut History) {
    for (id, number) in memory.read_all("") {
        let number: u64 = std::str::from_utf8(&number).unwrap().parse().unwrap();
        history.record(Event::Committed {
            id: id.parse().unwrap(),
            key: (number % 3 != 0).then(|| (number % 3).to_string().into()),
            order: number,
        });
    }
}

/// Takes messages into a history, one by one, and can be dropped in between.
struct Recording(Arc<Mutex<History>>);

impl Publisher for Recording {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        for envelope in messages {
            tokio::task::yield_now().await;
            self.0.lock().unwrap().record(Event::Published {
                id: envelope.id(),
                epoch: envelope.epoch(),
            });
        }
        tokio::task::yield_now().await;
        vec![Verdict::Acked; messages.len()]
    }
}

fn relay(
    outbox: &MemoryOutbox,
    history: &Arc<Mutex<History>>,
) -> Relay<Watched<MemoryOutbox>, Recording> {
    let config = Config::new()
        .wave(2)
        .per_key(2)
        .lease(Duration::from_secs(1));
    let store = Watched::yielding(outbox.clone());
    Relay::new(store, Recording(Arc::clone(history)), config).unwrap()
}

async fn drain(outbox: &MemoryOutbox, history: &Arc<Mutex<History>>) {
    let relay = relay(outbox, history);
    let empty = async {
        while outbox.backlog().await.unwrap().messages > 0 {
            // There is nothing to await: the condition is over numbers.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    relay.run(empty).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_loses_nothing_and_keeps_the_order() {
    let mut step = 0;
    loop {
        let memory = Memory::new();
        let outbox = MemoryOutbox::new(&memory);
        let history = Arc::new(Mutex::new(History::new()));
        memory.crash_at(step);
        for n in 0..MESSAGES {
            place(&memory, n);
        }
        let relay = relay(&outbox, &history);
        // Ends when the database crashes, or when all is published.
        let done = async {
            while outbox
                .backlog()
                .await
                .is_ok_and(|backlog| backlog.messages > 0)
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = relay.run(done).await;
        let has_crashed = memory.is_down();
        if has_crashed {
            history.lock().unwrap().record(Event::Crash);
        }
        memory.restart();
        drain(&outbox, &history).await;
        let mut history = history.lock().unwrap();
        committed(&memory, &mut history);
        assert_eq!(
            check(&history, Consumer::None),
            [],
            "a crash at step {step}"
        );
        if !has_crashed {
            break;
        }
        step += 1;
    }
    // Two for each transaction, and what the relay does.
    assert!(
        step > 2 * MESSAGES as u64 + 20,
        "{step} steps were crashed at"
    );
}

/// The relay is dropped at its n-th poll, for all n: as when a process dies,
/// but that the database lives on.
#[tokio::test(start_paused = true)]
async fn a_relay_dropped_at_any_poll_loses_nothing_and_keeps_the_order() {
    let mut polls = 0_usize;
    loop {
        let memory = Memory::new();
        let outbox = MemoryOutbox::new(&memory);
        let history = Arc::new(Mutex::new(History::new()));
        for n in 0..MESSAGES {
            place(&memory, n);
        }
        let was_dropped = {
            let relay = relay(&outbox, &history);
            let done = async {
                while outbox.backlog().await.unwrap().messages > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let mut running = pin!(relay.run(done));
            let mut left = polls;
            poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(true);
                }
                left -= 1;
                running.as_mut().poll(context).map(|ran| {
                    ran.unwrap();
                    false
                })
            })
            .await
        };
        if was_dropped {
            history.lock().unwrap().record(Event::Crash);
        }
        drain(&outbox, &history).await;
        let mut history = history.lock().unwrap();
        committed(&memory, &mut history);
        assert_eq!(
            check(&history, Consumer::None),
            [],
            "dropped at poll {polls}"
        );
        if !was_dropped {
            break;
        }
        polls += 1;
    }
    assert!(polls > MESSAGES as usize * 2, "{polls} polls");
}
