//! Tells other processes on a session of its own that there is something to
//! publish.
//!
//! Not in the transaction that enqueued: a transaction that notifies takes a
//! lock of the whole server when it commits, so commits would take turns, each
//! with its flush to the disk.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::StoreError;
use tokio::sync::watch;

use super::outage::Outage;
use super::{Channel, gone};
use crate::session::{Driven, within};

pub(super) struct Notifier {
    channel: Arc<Channel>,
    interval: Duration,
}

impl Notifier {
    pub(super) fn new(channel: &Arc<Channel>, interval: Duration) -> Self {
        Notifier {
            channel: channel.clone(),
            interval,
        }
    }

    /// Notifies when it is asked, once in an interval at most: at once, and
    /// again at the end of the interval if it was asked meanwhile. Ends when
    /// there is no handle of the outbox any more, and nothing left to tell.
    pub(super) async fn run(self, mut asked: watch::Receiver<()>) {
        let mut outage = Outage::new(self.channel.database.schema(), "notifier");
        let mut session = None;
        // Whoever asks from here on asks for the next one: what it committed
        // may be too late for this one.
        while asked.changed().await.is_ok() {
            while let Err(error) = self.notify(&mut session).await {
                session = None;
                if self.rest(outage.begins(&error), &asked).await.is_gone() {
                    return;
                }
            }
            outage.ends();
            outage.forget();
            self.rest(self.interval, &asked).await;
        }
    }

    async fn notify(&self, session: &mut Option<Driven>) -> Result<(), StoreError> {
        let database = &self.channel.database;
        let session = match session {
            Some(session) if !session.client().is_closed() => session,
            _ => {
                let connected = within(database.patience(), database.connector().connect());
                let (client, messages) = connected.await?;
                session.insert(Driven::new(client, messages))
            }
        };
        let Channel { quoted, own, .. } = &*self.channel;
        let notify = format!("NOTIFY {quoted}, '{own}'");
        let notified = session.client().batch_execute(&notify);
        within(database.patience(), notified).await
    }

    /// Waits so long, or until there is no handle of the outbox any more.
    async fn rest(&self, pause: Duration, asked: &watch::Receiver<()>) -> Handles {
        tokio::select! {
            () = tokio::time::sleep(pause) => Handles::There,
            () = gone(asked.clone()) => Handles::Gone,
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Handles {
    There,
    Gone,
}

impl Handles {
    fn is_gone(self) -> bool {
        self == Handles::Gone
    }
}
