//! The relay: takes messages from a store to a publisher.

mod asking;
mod running;
mod state;
mod tending;

use std::error::Error;
use std::fmt;

use super::config::{Config, ConfigError};
use super::publisher::Publisher;
use super::snapshot::{Counts, Snapshot};
use super::store::Store;
use super::telemetry::Telemetry;
use crate::StoreError;

/// Takes messages from a [`Store`] to a [`Publisher`], for as long as
/// [`run`](Relay::run) runs. Any number of relays can work on one store: each
/// leases its share of the buckets.
#[derive(Debug)]
pub struct Relay<S, P> {
    store: S,
    publisher: P,
    config: Config,
    counts: Counts,
    telemetry: Telemetry,
}

impl<S: Store, P: Publisher> Relay<S, P> {
    /// A relay from this store to this publisher.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot work so.
    pub fn new(store: S, publisher: P, config: Config) -> Result<Self, ConfigError> {
        let config = config.checked()?;
        Ok(Relay {
            store,
            publisher,
            counts: Counts::new(),
            telemetry: Telemetry::new(config.name),
            config,
        })
    }

    /// What tells, from outside, what the relay has done.
    pub fn handle(&self) -> RelayHandle {
        RelayHandle {
            config: self.config.clone(),
            counts: self.counts.clone(),
        }
    }

    /// Runs until `shutdown` is ready, then waits for what is in flight,
    /// writes down what became of it, and gives its leases back.
    ///
    /// Dropped before that, it stops at once: its leases expire, and what was
    /// in flight is published again by whoever takes them.
    ///
    /// # Errors
    ///
    /// [`RelayError`] if the store fails in a way that does not pass by
    /// itself. Everything else it waits out.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Snapshot, RelayError> {
        running::run(&self, shutdown).await?;
        Ok(self.counts.snapshot(self.config.name))
    }
}

/// What tells what a [`Relay`] has done.
#[derive(Clone, Debug)]
pub struct RelayHandle {
    config: Config,
    counts: Counts,
}

impl RelayHandle {
    /// What the relay has done so far.
    pub fn snapshot(&self) -> Snapshot {
        self.counts.snapshot(self.config.name)
    }
}

/// The store failed for good: something is to be repaired by hand.
#[derive(Debug)]
pub struct RelayError(StoreError);

impl RelayError {
    /// What the store said.
    pub fn store_error(&self) -> &StoreError {
        &self.0
    }
}

impl From<StoreError> for RelayError {
    fn from(error: StoreError) -> Self {
        RelayError(error)
    }
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the relay stopped: {}", self.0)
    }
}

impl Error for RelayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
