//! Hears on a session of its own what other processes have committed.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::outbox::Wake;
use axiomatic_coordination::{StoreError, Why};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Client, Notification};

use super::outage::Outage;
use super::{Channel, gone};
use crate::error::store_error;
use crate::session::{Messages, within};

/// After so long the server is asked whether it is there: a session whose
/// other end vanished is as silent as one on which nothing happens.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) struct Listener {
    channel: Arc<Channel>,
    wake: Wake,
}

impl Listener {
    pub(super) fn new(channel: &Arc<Channel>, wake: &Wake) -> Self {
        Listener {
            channel: channel.clone(),
            wake: wake.clone(),
        }
    }

    /// Rings the bell until there is no handle of the outbox any more.
    pub(super) async fn run(self, alive: watch::Receiver<()>) {
        tokio::select! {
            () = gone(alive) => {}
            () = self.listen() => {}
        }
    }

    async fn listen(&self) {
        let mut outage = Outage::new(self.channel.database.schema(), "listener");
        loop {
            let Err(error) = self.session(&mut outage).await;
            tokio::time::sleep(outage.begins(&error)).await;
        }
    }

    /// One session, until it breaks.
    async fn session(&self, outage: &mut Outage) -> Result<Infallible, StoreError> {
        let database = &self.channel.database;
        let connected = within(database.patience(), database.connector().connect());
        let (client, messages) = connected.await?;
        let mut broken = pin!(self.hear(messages));
        let listen = format!("LISTEN {}", self.channel.quoted);
        self.ask(&client, &listen, broken.as_mut()).await?;
        // What was committed before was notified to nobody, or to a session
        // that broke.
        self.wake.wake();
        outage.ends();
        loop {
            tokio::select! {
                error = broken.as_mut() => return Err(error),
                () = tokio::time::sleep(SILENCE) => {}
            }
            self.ask(&client, "", broken.as_mut()).await?;
            outage.forget();
        }
    }

    /// Executes a statement. The session makes progress while it is heard.
    async fn ask(
        &self,
        client: &Client,
        sql: &str,
        broken: Pin<&mut impl Future<Output = StoreError>>,
    ) -> Result<(), StoreError> {
        let patience = self.channel.database.patience();
        tokio::select! {
            error = broken => Err(error),
            done = within(patience, client.batch_execute(sql)) => done,
        }
    }

    /// Hears until the session breaks.
    async fn hear(&self, mut messages: Messages) -> StoreError {
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notification(heard)) => self.heard(&heard),
                Ok(_) => {}
                Err(error) => return store_error(error),
            }
        }
        StoreError::new(Why::Unavailable).because("the session has ended")
    }

    fn heard(&self, notification: &Notification) {
        // This process has rung its bell already when it notified.
        if notification.payload() != self.channel.own {
            self.wake.wake();
        }
    }
}
