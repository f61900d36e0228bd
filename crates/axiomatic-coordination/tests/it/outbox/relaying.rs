//! What a relay does with messages, verdicts and leases.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::outbox::{
    Backlog, Class, Config, Envelope, HeadPolicy, MemoryOutbox, Message, Operate, Publisher, Relay,
    RelayHandle, Snapshot, Verdict, publish_with,
};
use tokio::sync::oneshot;

/// A publisher that keeps what it publishes, and answers what a test says.
#[derive(Clone, Default)]
struct Broker(Arc<Mutex<Vec<Envelope>>>);

impl Broker {
    fn bodies(&self) -> Vec<String> {
        let published = self.0.lock().unwrap();
        let bodies = published.iter().map(|envelope| envelope.body());
        bodies
            .map(|body| String::from_utf8(body.to_vec()).unwrap())
            .collect()
    }

    fn answering<F>(&self, answer: F) -> impl Publisher + use<F>
    where
        F: Fn(&Envelope) -> Verdict + Send + Sync,
    {
        let kept = self.0.clone();
        publish_with(move |messages: &[Envelope]| {
            let mut kept = kept.lock().unwrap();
            let verdicts = messages.iter().map(|envelope| {
                let verdict = answer(envelope);
                if verdict == Verdict::Acked {
                    kept.push(envelope.clone());
                }
                verdict
            });
            verdicts.collect()
        })
    }
}

fn enqueue(memory: &Memory, messages: impl IntoIterator<Item = Message>) {
    let done = memory.transact(|tx| {
        for message in messages {
            tx.enqueue(message);
        }
        Ok::<_, Infallible>(())
    });
    done.unwrap();
}

/// Runs a relay until the condition holds of what its operator sees.
async fn relay_until<P: Publisher>(
    outbox: &MemoryOutbox,
    publisher: P,
    config: Config,
    until: impl Fn(&Backlog, &Snapshot) -> bool,
) -> Snapshot {
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let handle: RelayHandle = relay.handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let watch = async {
        while !until(&outbox.backlog().await.unwrap(), &handle.snapshot()) {
            // There is nothing to await: the condition is over numbers.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(stop);
    };
    let run = relay.run(async {
        let _ = stopped.await;
    });
    let (ran, ()) = tokio::join!(run, watch);
    ran.unwrap()
}

fn drained(backlog: &Backlog, _: &Snapshot) -> bool {
    backlog.messages == 0
}

#[tokio::test(start_paused = true)]
async fn everything_that_commits_is_published_in_the_order_of_its_key() {
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let messages = (0..1000).map(|n| Message::new("t", format!("{n}")).keyed(format!("{}", n % 7)));
    enqueue(&memory, messages);
    let rolled_back = memory.transact(|tx| {
        tx.enqueue(Message::new("t", "phantom"));
        Err::<(), _>("no")
    });
    assert!(rolled_back.is_err());
    let broker = Broker::default();
    let ran = relay_until(
        &outbox,
        broker.answering(|_| Verdict::Acked),
        Config::new(),
        drained,
    )
    .await;
    assert_eq!(ran.published, 1000);
    let mut of_key: HashMap<u32, Vec<u32>> = HashMap::new();
    for body in broker.bodies() {
        let number: u32 = body.parse().unwrap();
        of_key.entry(number % 7).or_default().push(number);
    }
    assert_eq!(of_key.len(), 7);
    assert!(of_key.values().all(|numbers| numbers.is_sorted()));
    let leases = outbox.leases().await.unwrap();
    assert!(
        leases.iter().all(|lease| lease.owner.is_none()),
        "all were given back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_fails_waits_and_overtakes_nothing_while_others_go_on() {
    let memory = Memory::new();
    let outbox = MemoryOutbox::new(&memory);
    let keyed =
        |n: u32| Message::new("t", format!("{n}")).keyed(if n % 2 == 0 { "bad" } else { "good" });
    enqueue(&memory, (0..20).map(keyed));
    let broker = Broker::default();
    let tries = Mutex::new(0);
    let publisher = broker.answering(move |envelope| {
        if envelope.key() == Some("bad") {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            if *tries <= 3 {
                return Verdict::rejected(Class::Transient, "not yet");
            }
        }
        Verdict::Acked
    });
    let ran = relay_until(&outbox, publisher, Config::new().wave(1), drained).await;
    assert_eq!((ran.published, ran.rejected), (20, 3));
    let numbers = broker
        .bodies()
        .iter()
        .map(|body| body.parse::<u32>().unwrap())
        .collect::<Vec<_>>();
    let (bad, good): (Vec<u32>, Vec<u32>) = numbers.iter().partition(|n| *n % 2 == 0);
    assert!(bad.is_sorted() && good.is_sorted());
    assert_eq!(numbers[..10], good, "those of the other key did not wait");
}

#[tokio::test(start_paused = true)]
async fn the_policy_decides_what_becomes_of_a_key_whose_head_never_passes() {
    for (policy, published, dead, parked) in [
        (HeadPolicy::ParkMessage, 9, 1, 0),
        (HeadPolicy::ParkKey, 0, 0, 10),
        (HeadPolicy::BlockKey, 0, 0, 10),
    ] {
        let memory = Memory::new();
        let outbox = MemoryOutbox::new(&memory);
        enqueue(
            &memory,
            (0..10).map(|n| Message::new("t", format!("{n}")).keyed("key")),
        );
        let broker = Broker::default();
        let publisher = broker.answering(|envelope| {
            if envelope.body() == "0" {
                Verdict::rejected(Class::Permanent, "never")
            } else {
                Verdict::Acked
            }
        });
        let config = Config::new().head_policy(policy);
        let ran = relay_until(&outbox, publisher, config, |backlog, _| {
            backlog.dead + backlog.parked_lanes > 0 && backlog.messages == backlog.parked
        });
        let ran = ran.await;
        let backlog = outbox.backlog().await.unwrap();
        assert_eq!(
            (ran.published, backlog.dead, backlog.parked),
            (published, dead, parked),
            "{policy:?}"
        );
        if parked > 0 {
            let blocked = outbox.blocked(10).await.unwrap();
            assert_eq!(&*blocked[0].error, "never");
            assert!(outbox.unblock(blocked[0].lane).await.unwrap());
        } else {
            let letters = outbox.dead(10).await.unwrap();
            assert_eq!(outbox.requeue(&[letters[0].stored.row]).await.unwrap(), 1);
        }
        // Repaired, it goes through.
        let mended = broker.answering(|_| Verdict::Acked);
        relay_until(&outbox, mended, Config::new(), drained).await;
        assert_eq!(broker.bodies().len(), 10, "{policy:?}");
    }
}
