//! A relay and a business that go on while something fails.

use std::time::Duration;

use axiomatic_coordination::outbox::{Config, Publisher, Relay, RelayHandle, Snapshot};
use axiomatic_postgres::outbox::Outbox;
use axiomatic_testbed::chance::Chance;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::load::Load;
use crate::load::producer::{Outcomes, Producer};

/// A relay at work.
pub(crate) struct Working {
    pub(crate) handle: RelayHandle,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Snapshot>,
}

impl Working {
    /// Lets it work; it must not end before it is told to.
    pub(crate) fn start<P>(outbox: Outbox, publisher: P, config: Config) -> Working
    where
        P: Publisher + 'static,
    {
        let relay = Relay::new(outbox, publisher, config).expect("it can work");
        let handle = relay.handle();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(async {
            let ended = relay.run(async { drop(stopped.await) }).await;
            ended.expect("it goes on")
        });
        Working { handle, stop, run }
    }

    pub(crate) async fn stop(self) -> Snapshot {
        self.stop.send(()).expect("it is at work");
        self.run.await.expect("it has not panicked")
    }
}

/// Two producers, until so many messages are known to be committed.
pub(crate) async fn produce(load: &Load, outbox: &Outbox, url: &str, enough: u64) -> Outcomes {
    let outcomes = Outcomes::default();
    let producer = |seed| {
        let producer = Producer {
            url: url.to_owned(),
            schema: &load.place.schema,
            outbox,
            chance: Chance::of(seed),
            keys: 40,
            batch: 8,
            drops: 0,
            pause: Duration::from_millis(1),
        };
        producer.until(enough, &outcomes)
    };
    tokio::join!(producer(1), producer(2));
    outcomes
}
