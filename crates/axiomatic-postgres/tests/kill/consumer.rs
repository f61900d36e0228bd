//! Somebody who hears of what is published, and has a database.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::inbox::{Config, Delivery, IdRule};
use axiomatic_coordination::outbox::history::{Event, History};
use axiomatic_postgres::Database;
use axiomatic_postgres::inbox::{Handled, Inbox, Options};
use tokio_postgres::{Client, Transaction};

use super::child::Work;
use crate::support;

/// The inbox of a database, which makes its tables.
pub(crate) async fn inbox(database: &Database) -> Inbox {
    let config = Config::new(IdRule::BrokerId, Duration::ZERO);
    let config = config.build().unwrap();
    Inbox::new(database, config, Options::new()).await.unwrap()
}

pub(crate) struct Consumer<'a> {
    work: &'a Work,
    /// What comes first may have been begun by a process that ended.
    attempt: u32,
    inbox: Inbox,
    client: Client,
}

impl<'a> Consumer<'a> {
    pub(crate) async fn open(work: &'a Work) -> Self {
        let is_second = work.path.join("acknowledged").exists();
        Consumer {
            work,
            attempt: if is_second { 2 } else { 1 },
            inbox: inbox(&work.database).await,
            client: support::connect(&work.url).await.unwrap(),
        }
    }

    /// Handles what was published and not acknowledged, one delivery for each
    /// publication, until there is no more.
    pub(crate) async fn work(&mut self) {
        let acknowledged = self.work.path.join("acknowledged");
        let mut done = fs::read(&acknowledged).unwrap_or_default().len();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&acknowledged);
        let mut file = file.unwrap();
        loop {
            let history = History::read(self.work.path.join("history")).unwrap();
            let published = history.events().iter().filter_map(|event| match event {
                Event::Published { id, .. } => Some(*id),
                _ => None,
            });
            let Some(id) = published.into_iter().nth(done) else {
                return;
            };
            let delivery = Delivery::new("")
                .with_broker_id(id.to_string())
                .attempted(self.attempt);
            self.handle(&delivery, id).await;
            reach("consumer.handled");
            file.write_all(b".").unwrap();
            reach("consumer.acknowledged");
            (done, self.attempt) = (done + 1, 1);
        }
    }

    /// Handles a delivery: the message has its effect.
    pub(crate) async fn handle(&mut self, delivery: &Delivery, id: MessageId) {
        let effect = format!("INSERT INTO {}.effects VALUES ('{id}')", self.work.schema);
        let effect = async |tx: &mut Transaction<'_>, _: &Delivery| tx.batch_execute(&effect).await;
        let handled = self
            .inbox
            .handle(&mut self.client, "consumer", delivery, effect);
        assert_ne!(handled.await.unwrap(), Handled::Quarantined);
    }
}
