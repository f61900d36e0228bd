//! Ours: the outbox of axiomatic-postgres, and its relay to a publisher that
//! confirms at once and keeps nothing.

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{Config, Message, Relay, Verdict, publish_with};
use axiomatic_postgres::outbox::{Options, Outbox};
use deadpool_postgres::{Manager, Object, Pool};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::queue::{BoxError, Producer, Queue, Row, Running, Seen, Step, Subject, TOPIC, Work};
use crate::server::Database;

/// One in of it is a statement of ours in the user's transaction, on a
/// connection of deadpool's, which remembers it; one out is fetched, handed to
/// the publisher, and settled under its lease.
pub(crate) const OURS: Subject = Subject {
    name: "ours",
    open: ours,
    part: 1,
    note: "",
};

struct Ours {
    database: Database,
    outbox: Outbox,
}

fn ours(database: Database) -> Step<'static, Box<dyn Queue>> {
    Box::pin(async move {
        let options = axiomatic_postgres::Options::new();
        let connections = axiomatic_postgres::Database::new(&database.url, options)?;
        let outbox = Outbox::new(&connections, Options::new()).await?;
        Ok(Box::new(Ours { database, outbox }) as Box<dyn Queue>)
    })
}

impl Queue for Ours {
    fn producer(&self) -> Step<'_, Box<dyn Producer>> {
        Box::pin(async {
            let manager = Manager::new(self.database.url.parse()?, NoTls);
            let pool = Pool::builder(manager).max_size(1).build()?;
            Ok(Box::new(OurProducer {
                client: pool.get().await?,
                outbox: self.outbox.clone(),
            }) as Box<dyn Producer>)
        })
    }

    fn work(&self, how: Work, seen: Seen) -> Step<'_, Running> {
        Box::pin(async move {
            let (config, relays) = match how {
                // As much at a time as the others take, and as much again on
                // its way.
                Work::Drain { batch, clients } => {
                    let config = Config::new().rows(batch).wave(batch);
                    (config.max_in_flight(2 * batch), clients)
                }
                Work::Wait => (Config::new(), 1),
            };
            let (stop, stopped) = oneshot::channel::<()>();
            let stopped = futures::FutureExt::shared(stopped);
            let mut running = JoinSet::new();
            for _ in 0..relays {
                let seen = seen.clone();
                let publisher = publish_with(move |wave| {
                    seen(wave.len());
                    vec![Verdict::Acked; wave.len()]
                });
                let relay = Relay::new(self.outbox.clone(), publisher, config.clone())?;
                let stopped = stopped.clone();
                running.spawn(relay.run(async move { drop(stopped.await) }));
            }
            Ok(Running::until(async move {
                drop(stop);
                while let Some(ended) = running.join_next().await {
                    ended??;
                }
                Ok(())
            }))
        })
    }

    fn emptied(&self) -> Step<'_, bool> {
        Box::pin(async {
            let client = self.database.connect().await?;
            let row = client
                .query_one("SELECT NOT EXISTS (SELECT FROM axiomatic.outbox)", &[])
                .await?;
            Ok(row.get(0))
        })
    }

    fn block(&self, rows: usize) -> Step<'_, ()> {
        Box::pin(async move {
            let stuck: Vec<Row> = (0..rows)
                .map(|n| crate::queue::row(n, "blocked".to_owned()))
                .collect();
            let lane = stuck[0].lane;
            self.prefill(stuck).await?;
            let client = self.database.connect().await?;
            client
                .execute(
                    "INSERT INTO axiomatic.outbox_lane (lane, error, since)
                     VALUES ($1, 'for the bench', now())",
                    &[&lane],
                )
                .await?;
            Ok(())
        })
    }
}

struct OurProducer {
    client: Object,
    outbox: Outbox,
}

impl Producer for OurProducer {
    fn commit<'a>(&'a mut self, rows: &'a [Row]) -> Step<'a, ()> {
        Box::pin(async move {
            let messages = rows.iter().map(|row| {
                let id = MessageId::from_bytes(row.id.into_bytes());
                Message::identified(id, TOPIC, row.body.clone()).keyed(row.key.as_str())
            });
            let mut tx = self.client.transaction().await?;
            self.outbox.enqueue(&mut tx, messages).await?;
            tx.commit().await?;
            self.outbox.wake();
            Ok::<_, BoxError>(())
        })
    }
}
