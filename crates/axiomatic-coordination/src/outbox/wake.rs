//! How a commit wakes the relays of its process.

use tokio::sync::watch;

/// Wakes relays: given to whoever commits messages.
#[derive(Clone, Debug)]
pub struct Wake(watch::Sender<()>);

impl Wake {
    /// A bell that nobody hears yet.
    pub fn new() -> Self {
        Wake(watch::Sender::new(()))
    }

    /// There may be something to do. Cheap, and never blocks; a hundred of
    /// these may wake a relay once.
    pub fn wake(&self) {
        self.0.send_replace(());
    }

    /// Hears everything from now on.
    pub fn wake_ups(&self) -> WakeUps {
        WakeUps(self.0.subscribe())
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}

/// Hears what a [`Wake`] says; what is said while nobody waits is kept.
#[derive(Clone, Debug)]
pub struct WakeUps(watch::Receiver<()>);

impl WakeUps {
    /// Waits until something was said since the last time. For ever, once
    /// there is nobody left who could.
    ///
    /// Can be dropped while it waits: then nothing was heard.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
