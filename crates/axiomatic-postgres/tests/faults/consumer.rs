//! A consumer with an inbox, in the database of the business.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use axiomatic_coordination::inbox::{Config as InboxConfig, Delivery, IdRule};
use axiomatic_nats::inbox::{Answer, Arrival, Config, Consumer as Pulling};
use axiomatic_postgres::inbox::{Inbox, Options};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Transaction};

use crate::load::Load;
use crate::load::stream::{ORDERS, connect};
use crate::support::FOR_EVER;

/// Consumes for as long as it is there.
pub(crate) struct Consumer {
    inbox: Inbox,
    run: JoinHandle<()>,
}

impl Consumer {
    /// Handles what is in the stream: each message has its effect.
    pub(crate) async fn start(load: &Load, url: &str) -> Consumer {
        let client = load.place.client().await;
        let effects = format!("CREATE TABLE {}.effects (message text)", load.place.schema);
        client.batch_execute(&effects).await.expect("it is new");
        let database = load.database(&load.place.url, FOR_EVER);
        let config = InboxConfig::new(IdRule::BrokerId, Duration::ZERO).build();
        let inbox = Inbox::new(&database, config.expect("it can work"), Options::new()).await;
        let inbox = inbox.expect("migrates");
        let context = async_nats::jetstream::new(connect(url).await);
        let pull: PullConsumer = context
            .create_consumer_on_stream(pull::Config::default(), ORDERS)
            .await
            .expect("the stream is there");
        let pulling = Pulling::new(context, pull, Config::new()).expect("it can work");
        let handler = Arc::new(Handler {
            inbox: inbox.clone(),
            client: Mutex::new(client),
            schema: load.place.schema.clone(),
        });
        let run = tokio::spawn(async move {
            let handle = |arrival: Arrival| {
                let handler = Arc::clone(&handler);
                async move { handler.handle(arrival.into_delivery()).await }
            };
            let ended = pulling.run(handle, std::future::pending()).await;
            ended.expect("it goes on");
        });
        Consumer { inbox, run }
    }

    /// How many effects there are, and of how many messages.
    pub(crate) async fn effects(&self, load: &Load) -> (i64, i64) {
        let counts = format!(
            "SELECT count(*), count(DISTINCT message) FROM {}.effects",
            load.place.schema
        );
        let client = load.place.client().await;
        let counts = client.query_one(&counts, &[]).await.expect("counts");
        (counts.get(0), counts.get(1))
    }

    /// How many deliveries were of messages that had been handled.
    pub(crate) fn duplicates(&self) -> u64 {
        self.inbox.snapshot().duplicates
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.run.abort();
    }
}

struct Handler {
    inbox: Inbox,
    client: Mutex<Client>,
    schema: String,
}

impl Handler {
    async fn handle(&self, delivery: Delivery) -> Result<Answer, String> {
        let effect = async |tx: &mut Transaction<'_>, delivery: &Delivery| {
            let insert = format!("INSERT INTO {}.effects VALUES ($1)", self.schema);
            tx.execute(&insert, &[&delivery.broker_id()]).await
        };
        let mut client = self.client.lock().await;
        let handled = self
            .inbox
            .handle(&mut client, "consumer", &delivery, effect);
        let handled = handled.await.map_err(|error| error.to_string())?;
        drop(handled);
        Ok(Answer::Acknowledge)
    }
}
