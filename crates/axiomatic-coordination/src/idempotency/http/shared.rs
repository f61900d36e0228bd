//! What the services and completers of a layer have in common: the store, and
//! how it is asked.

use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use axiomatic_core::time::Clock;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::config::Config;
use super::counts::Counts;
use crate::StoreError;
use crate::idempotency::{Claim, Claimed, Fence, Lease, Store, StoredResponse};

#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) store: S,
    pub(super) config: Config,
    pub(super) counts: Counts,
}

/// For how long a claim is asked again when the store says that it could not,
/// or that it does not know.
const CLAIMED_WITHIN: Duration = Duration::from_secs(1);

/// The waits between questions to a store that does not answer.
fn waits() -> impl Iterator<Item = Duration> {
    Backoff::exponential(Duration::from_millis(20), Duration::from_secs(1)).start()
}

pub(super) fn now() -> Instant {
    Clock::Precise.now().into()
}

impl<S: Store> Shared<S> {
    /// Claims; with the same owner each time, so that a claim whose answer was
    /// lost is found to be ours.
    pub(super) async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError> {
        let until = now() + CLAIMED_WITHIN;
        let mut waits = waits();
        loop {
            let error = match self.store.claim(claim).await {
                Ok(claimed) => return Ok(claimed),
                Err(error) => error,
            };
            let wait = waits.next().unwrap_or_default();
            if now() + wait >= until {
                return Err(error);
            }
            sleep(wait).await;
        }
    }
}

/// A lease, and until when it is ours for certain.
#[derive(Debug)]
pub(super) struct Hold<'a, S> {
    shared: &'a Shared<S>,
    lease: Lease,
    ends: Instant,
}

impl<'a, S: Store> Hold<'a, S> {
    /// Of a lease that was asked for at this time.
    pub(super) fn new(shared: &'a Shared<S>, lease: Lease, since: Instant) -> Self {
        let ends = since + shared.config.lease;
        Hold {
            shared,
            lease,
            ends,
        }
    }

    /// Renews the lease, and returns when it is lost, or has ended without an
    /// answer from the store: then another may have it.
    pub(super) async fn keep(&mut self) {
        let lasts = self.shared.config.lease;
        loop {
            sleep_until(self.ends - lasts * 2 / 3).await;
            let asked = now();
            let store = &self.shared.store;
            match persist(self.ends, || store.renew(&self.lease, lasts)).await {
                Some(Fence::Held) => self.ends = asked + lasts,
                Some(Fence::Lost) => return,
                None => {
                    sleep_until(self.ends).await;
                    return;
                }
            }
        }
    }

    /// Stores the answer. Nothing if it is not known whether it is stored.
    pub(super) async fn complete(&self, response: &StoredResponse) -> Option<Fence> {
        let Shared { store, config, .. } = self.shared;
        let retention = config.retention;
        persist(self.ends, || {
            store.complete(&self.lease, response, retention)
        })
        .await
    }

    /// Gives the request up, so that a repeat need not wait for the lease's
    /// end. If the store does not answer, it must.
    pub(super) async fn release(&self) {
        let until = self.ends.min(now() + CLAIMED_WITHIN);
        persist(until, || self.shared.store.release(&self.lease)).await;
    }
}

/// Asks until there is an answer, or it is too late.
async fn persist<F>(until: Instant, ask: impl Fn() -> F) -> Option<Fence>
where
    F: Future<Output = Result<Fence, StoreError>>,
{
    let mut waits = waits();
    loop {
        match timeout_at(until, ask()).await {
            Ok(Ok(fence)) => return Some(fence),
            Ok(Err(_)) => {}
            Err(_) => return None,
        }
        let wait = waits.next().unwrap_or_default();
        if now() + wait >= until {
            return None;
        }
        sleep(wait).await;
    }
}
