//! Who wakes whom: relays of this process by a bell, those of others by a
//! NOTIFY.
//!
//! Nothing depends on it: a relay that hears nothing looks every 5 ms to 1 s.

mod listener;
mod notifier;
mod outage;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{Wake, WakeUps};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::listener::Listener;
use self::notifier::Notifier;
use super::options::Notify;
use crate::database::Database;

/// What the channel's name has before the schema's.
const CHANNEL: &str = "axiomatic:";

/// The longest name that PostgreSQL keeps apart, in bytes.
const LONGEST: usize = 63;

/// The bell of an outbox, and the tasks that carry it from process to process.
/// Each begins when somebody needs it, and ends with the last handle of the
/// outbox.
#[derive(Debug)]
pub(super) struct Waking {
    wake: Wake,
    channel: Arc<Channel>,
    /// Where tasks begin if who needs them is on no runtime.
    runtime: Option<Handle>,
    interval: Option<Duration>,
    /// The notifier is to notify. It has a receiver of this while it runs.
    asked: watch::Sender<()>,
    /// The listener has a receiver of this while it runs, and ends with it.
    listening: watch::Sender<()>,
    beginning: Mutex<()>,
}

/// Where an outbox is rung.
#[derive(Debug)]
struct Channel {
    database: Database,
    /// Its name, in quotes.
    quoted: String,
    /// What only notifications of this outbox say.
    own: String,
}

impl Waking {
    /// To be called on a runtime, where the tasks begin for all who are not.
    pub(super) fn new(database: &Database, notify: Notify) -> Self {
        let interval = match notify {
            Notify::Off => None,
            Notify::Debounced(interval) => Some(interval),
        };
        Waking {
            wake: Wake::new(),
            channel: Arc::new(Channel {
                database: database.clone(),
                quoted: format!("\"{}\"", channel(database)),
                own: MessageId::unique().to_string(),
            }),
            runtime: Handle::try_current().ok(),
            interval,
            asked: watch::Sender::new(()),
            listening: watch::Sender::new(()),
            beginning: Mutex::new(()),
        }
    }

    /// Rings at once here, and soon elsewhere.
    pub(super) fn wake(&self) {
        self.wake.wake();
        let Some(interval) = self.interval else {
            return;
        };
        let begin = |asked| Notifier::new(&self.channel, interval).run(asked);
        self.begin(&self.asked, begin);
        self.asked.send_replace(());
    }

    /// Hears what is rung here and elsewhere.
    pub(super) fn wake_ups(&self) -> WakeUps {
        let wake_ups = self.wake.wake_ups();
        if self.interval.is_some() {
            let begin = |alive| Listener::new(&self.channel, &self.wake).run(alive);
            self.begin(&self.listening, begin);
        }
        wake_ups
    }

    /// Begins a task, if it does not run: it holds a receiver while it does,
    /// also if its runtime has ended.
    fn begin<F>(&self, of: &watch::Sender<()>, task: impl FnOnce(watch::Receiver<()>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if of.receiver_count() > 0 {
            return;
        }
        let beginning = self.beginning.lock();
        let _beginning = beginning.unwrap_or_else(PoisonError::into_inner);
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.clone());
        if let (0, Some(runtime)) = (of.receiver_count(), runtime) {
            runtime.spawn(task(of.subscribe()));
        }
    }
}

/// The name of the channel. Schemas whose names are cut to the same share it,
/// which wakes some relays for nothing.
pub(super) fn channel(database: &Database) -> String {
    let mut channel = format!("{CHANNEL}{}", database.schema().name());
    channel.truncate(LONGEST);
    channel
}

/// Waits until there is no handle of the outbox any more.
async fn gone(mut alive: watch::Receiver<()>) {
    while alive.changed().await.is_ok() {}
}
